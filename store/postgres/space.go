package postgres

import (
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is the part of one issuer's state that the transactions of a commit name, read under the issuer's lock, and what they
// have made of it. It is a store.View.
type space struct {
	issuer string
	number int64
	now    time.Time
	seq    uint64

	records map[lineage.ID]*lineage.Record // nil: not there
	issued  map[lineage.ID]time.Time       // of all that are named
	heads   map[string]store.Head
	marks   map[lineage.Selector]lineage.Mark

	latest  time.Time   // of the transactions
	expired []expiredAt // heads that may be left behind by then, some of them where they are many

	newRecords  []lineage.Record
	newHeads    map[string]bool
	newMarks    map[lineage.Selector]bool
	revocations []lineage.Revocation
	ticked      bool

	failed error // a defect of this package
}

var _ store.View = (*space)(nil)

// expiredAt is the sum of a head's key, and until when it is kept.
type expiredAt struct {
	sum   []byte
	until time.Time
}

var zeroTime time.Time

var errNotRead = errors.New("postgres: a transaction reads what it does not name")

func newSpace(issuer string, number int64) *space {
	return &space{
		issuer: issuer, number: number, records: map[lineage.ID]*lineage.Record{}, issued: map[lineage.ID]time.Time{}, heads: map[string]store.Head{}, marks: map[lineage.Selector]lineage.Mark{},
		newHeads: map[string]bool{}, newMarks: map[lineage.Selector]bool{},
	}
}

// note takes down what a transaction is going to read: records, heads and marks that are not there yet have their place.
func (sp *space) note(tx store.Tx) {
	if tx.Time.After(sp.latest) {
		sp.latest = tx.Time
	}
	for _, r := range tx.Records {
		sp.records[r.ID()] = nil
		sp.issued[r.ID()] = r.IssuedAt
	}
	for _, s := range tx.Swaps {
		sp.heads[s.Key] = store.Head{Key: s.Key}
	}
	for _, a := range tx.Adds {
		sp.heads[a.Key] = store.Head{Key: a.Key}
	}
	for _, r := range tx.Requires {
		sp.heads[r.Key] = store.Head{Key: r.Key}
	}
	for _, u := range tx.Unrevoked {
		for _, sel := range u.Selectors {
			sp.marks[sel] = lineage.Mark{}
		}
	}
	for _, r := range tx.Revocations {
		sp.marks[r.Selector] = lineage.Mark{}
	}
}

// Clock implements store.View.
func (sp *space) Clock() (time.Time, uint64, error) { return sp.now, sp.seq, nil }

// Record implements store.View.
func (sp *space) Record(id lineage.ID) (lineage.Record, bool, error) {
	r, named := sp.records[id]
	if !named {
		return lineage.Record{}, false, sp.fail(errNotRead)
	}
	if r == nil {
		return lineage.Record{}, false, nil
	}
	return *r, true, nil
}

// Head implements store.View. A head that the store time has left behind is forgotten, whether its row is there or not.
func (sp *space) Head(key string) (store.Head, error) {
	h, named := sp.heads[key]
	switch {
	case !named:
		return store.Head{}, sp.fail(errNotRead)
	case !h.Expires.IsZero() && h.Expires.Before(sp.now):
		return store.Head{Key: key}, nil
	}
	return h, nil
}

// Mark implements store.View.
func (sp *space) Mark(sel lineage.Selector) (lineage.Mark, error) {
	m, named := sp.marks[sel]
	if !named {
		return m, sp.fail(errNotRead)
	}
	return m, nil
}

// SetClock implements store.View.
func (sp *space) SetClock(now time.Time, seq uint64) error {
	sp.now, sp.seq, sp.ticked = now, seq, true
	return nil
}

// PutRecord implements store.View.
func (sp *space) PutRecord(r lineage.Record) error {
	sp.records[r.ID()] = &r
	sp.newRecords = append(sp.newRecords, r)
	return nil
}

// PutHead implements store.View.
func (sp *space) PutHead(h store.Head) error {
	sp.heads[h.Key], sp.newHeads[h.Key] = h, true
	return nil
}

// PutMark implements store.View.
func (sp *space) PutMark(m lineage.Mark) error {
	sp.marks[m.Selector], sp.newMarks[m.Selector] = m, true
	return nil
}

// PutRevocation implements store.View.
func (sp *space) PutRevocation(r lineage.Revocation) error {
	sp.revocations = append(sp.revocations, r)
	return nil
}

// fail notes a defect, which fails the whole commit.
func (sp *space) fail(err error) error {
	sp.failed = err
	return err
}
