package bolt

import (
	"bytes"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// maxForget bounds how many expired heads one Tx forgets, so that a long idle time is not paid for by one commit.
const maxForget = 64

// view is a store.View of one issuer in the pending transaction, which is written when all Txs of the commit are judged:
// what they share is read, and what they write again and again is written, once. It remembers the first error of the file:
// whatever becomes of it on the way through store.Apply, the commit is then undone.
type view struct {
	*space
	tx     *bbolt.Tx
	issuer string
	err    error

	at       *position // nil: not read yet
	marks    map[lineage.Selector]lineage.Mark
	heads    map[digest]*headState
	changes  []byte   // for the log
	postings []posted // for blocks of the index
	due      []byte   // the earliest key that there may be in the expiry bucket; nil: not known
	moved    bool     // the position is to be written
	freed    int64    // how much was forgotten, in bytes
}

// headState is a head as the commit has made it so far.
type headState struct {
	store.Head
	there, dirty bool // it was written; it is to be written
}

var _ store.View = (*view)(nil)

func newView(sp *space, tx *bbolt.Tx, issuer string) *view {
	return &view{space: sp, tx: tx, issuer: issuer, changes: sp.room[:0], marks: map[lineage.Selector]lineage.Mark{}, heads: map[digest]*headState{}}
}

func (v *view) note(err error) error {
	if v.err == nil {
		v.err = err
	}
	return err
}

func (v *view) Clock() (time.Time, uint64, error) {
	if v.at == nil {
		p, err := v.position()
		if err != nil {
			return time.Time{}, 0, v.note(err)
		}
		v.at = &p
	}
	return v.at.now, v.at.seq, nil
}

func (v *view) Record(id lineage.ID) (lineage.Record, bool, error) {
	k, err := v.record(id)
	if k == nil || err != nil {
		return lineage.Record{}, false, v.note(err)
	}
	return k.record, true, nil
}

func (v *view) Head(key string) (store.Head, error) {
	h, err := v.headAt(hashKey(key))
	if err != nil {
		return store.Head{}, v.note(err)
	}
	if !h.there {
		return store.Head{Key: key}, nil
	}
	return h.Head, nil
}

func (v *view) headAt(at digest) (*headState, error) {
	if h := v.heads[at]; h != nil {
		return h, nil
	}
	h, found, err := v.head(at)
	if err != nil {
		return nil, err
	}
	v.heads[at] = &headState{h, found, false}
	return v.heads[at], nil
}

func (v *view) Mark(sel lineage.Selector) (lineage.Mark, error) {
	if m, ok := v.marks[sel]; ok {
		return m, nil
	}
	m, _, err := v.mark(hashSelector(sel))
	if err != nil {
		return m, v.note(err)
	}
	v.marks[sel] = m
	return m, nil
}

// SetClock also forgets heads that have expired.
func (v *view) SetClock(now time.Time, seq uint64) error {
	if before, last, err := v.Clock(); err != nil {
		return err
	} else if !before.Equal(now) || last != seq {
		*v.at, v.moved = position{now, seq}, true
	}
	return v.note(v.forget(now))
}

func (v *view) PutRecord(r lineage.Record) error {
	id, place := r.ID(), placeOf(r)
	v.entries = append(v.entries, entryOf(r))
	err := v.put(idsBucket, id[:], place[:timeSize])
	if err == nil {
		err = v.put(recordsBucket, place[:], encodeRecord(r))
	}
	return v.note(err)
}

func (v *view) PutHead(h store.Head) error {
	at := hashKey(h.Key)
	old, err := v.headAt(at)
	if err != nil {
		return v.note(err)
	}
	if !old.Expires.IsZero() && !old.Expires.Equal(h.Expires) {
		err = v.remove(expiryBucket, expiryKey(old.Expires, at[:]))
	}
	if err == nil && !h.Expires.IsZero() && !old.Expires.Equal(h.Expires) {
		key := expiryKey(h.Expires, at[:])
		if bytes.Compare(key, v.due) < 0 {
			v.due = key
		}
		err = v.put(expiryBucket, key, nil)
	}
	*old = headState{h, true, true}
	return v.note(err)
}

func (v *view) PutMark(m lineage.Mark) error {
	v.marks[m.Selector] = m
	at := hashSelector(m.Selector)
	return v.note(v.put(marksBucket, at[:], encodeMark(m)))
}

func (v *view) PutRevocation(r lineage.Revocation) error {
	return v.note(v.put(feedBucket, sequenceKey(r.Seq), encodeRevocation(r)))
}

// forget removes up to maxForget heads whose time has passed, those that expired first.
func (v *view) forget(now time.Time) error {
	limit := expiryKey(now, nil)
	if v.due != nil && bytes.Compare(v.due, limit) >= 0 {
		return nil
	}
	expiry := v.cursor(expiryBucket)
	if expiry == nil {
		return nil
	}
	var due [][]byte
	key, sealed := expiry.First()
	for ; key != nil && len(due) < maxForget && bytes.Compare(key, limit) < 0; key, sealed = expiry.Next() {
		if _, err := unseal(expiryBucket, key, sealed); err != nil {
			return err
		}
		due = append(due, bytes.Clone(key))
	}
	if v.due = bytes.Clone(key); key == nil {
		v.due = bytes.Repeat([]byte{0xff}, len(limit)+1)
	}
	for _, key := range due {
		at := digest(key[len(limit):])
		v.heads[at] = &headState{}
		if err := v.remove(headsBucket, at[:]); err != nil {
			return err
		}
		if err := v.remove(expiryBucket, key); err != nil {
			return err
		}
	}
	return nil
}
