package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// View is an open, serialised transaction of one issuer's state, as Apply needs it. Reads see the writes made before
// them. Any error of a method fails the whole commit.
type View interface {
	Clock() (storeTime time.Time, lastSeq uint64, err error)
	Record(id lineage.ID) (r lineage.Record, found bool, err error)
	Head(key string) (Head, error)
	Mark(sel lineage.Selector) (lineage.Mark, error)

	SetClock(storeTime time.Time, lastSeq uint64) error
	PutRecord(r lineage.Record) error
	PutHead(h Head) error
	PutMark(m lineage.Mark) error
	PutRevocation(r lineage.Revocation) error
}

// Apply is the meaning of a Tx, for stores that can open a serialised transaction: it judges tx against v and, if
// every condition holds, writes it. An error wrapping ErrConflict, ErrBehind or ErrInvalid is the Tx's own result and
// nothing was written; any other error comes from v and the transaction must be rolled back as a whole.
func Apply(v View, tx Tx) error {
	if err := tx.check(); err != nil {
		return err
	}
	now, seq, err := v.Clock()
	if err != nil {
		return err
	}
	tx.Time = tx.Time.Round(0).UTC() // without a monotonic reading, which would hide that the wall clock was set back
	fresh, err := unknown(v, tx.Records)
	if err != nil || len(fresh) == 0 && len(tx.Records) > 0 {
		return err
	}
	tx.Records = fresh
	if len(tx.Records) > 0 && tx.Time.Before(now.Add(-tx.Leeway)) {
		return ErrBehind
	}
	heads, err := judge(v, tx)
	if err != nil {
		return err
	}
	if tx.Time.After(now) {
		now = tx.Time
	}
	return write(v, tx, heads, now, seq)
}

// unknown returns those of the records that are not there. Where none is, tx is the repeat of a commit that has been
// applied. One that is there stays as it is: a body that was erased does not come back. Of one that is named twice the first
// counts.
func unknown(v View, records []lineage.Record) ([]lineage.Record, error) {
	fresh := records
	for i, r := range records {
		have, found, err := v.Record(r.ID())
		for _, o := range records[:i] {
			if o.ID() == r.ID() {
				have, found = o, true
				break
			}
		}
		switch {
		case err != nil:
			return nil, err
		case found && have.Body != nil && !have.Equal(r):
			return nil, fmt.Errorf("%w: record id is taken", ErrInvalid)
		case found && len(fresh) == len(records): // the first of these: what is passed in is not changed
			fresh = slices.Clone(records[:i])
		case !found && len(fresh) < len(records):
			fresh = append(fresh, r)
		}
	}
	return fresh, nil
}

// judge checks every condition of tx and returns what its swaps and adds make of their heads.
func judge(v View, tx Tx) (heads changed, err error) {
	if err := holds(v, tx); err != nil {
		return nil, err
	}
	for _, s := range tx.Swaps {
		h, err := heads.of(v, s.Key)
		if err != nil {
			return nil, err
		}
		if h.Version != s.Version {
			return nil, &Conflict{Key: s.Key}
		}
		*h = Head{s.Key, s.Version + 1, s.State, s.Value, h.Count, s.Expires}
	}
	for _, a := range tx.Adds {
		h, err := heads.of(v, a.Key)
		if err != nil {
			return nil, err
		}
		if a.N > a.Max || h.Count > a.Max-a.N {
			return nil, &Conflict{Key: a.Key, Full: true}
		}
		h.Count += a.N
	}
	return heads, nil
}

// changed are the few heads that a Tx writes, each once.
type changed []Head

// of returns the head as the Tx has made it so far, to be changed in place.
func (c *changed) of(v View, key string) (*Head, error) {
	for i := range *c {
		if (*c)[i].Key == key {
			return &(*c)[i], nil
		}
	}
	h, err := v.Head(key)
	if err != nil {
		return nil, err
	}
	h.Key = key
	*c = append(*c, h)
	return &(*c)[len(*c)-1], nil
}

// holds checks the conditions on what tx does not write.
func holds(v View, tx Tx) error {
	for _, r := range tx.Requires {
		h, err := v.Head(r.Key)
		if err != nil {
			return err
		}
		if h.State != r.State || !r.AnyVersion && h.Version != r.Version {
			return &Conflict{Key: r.Key}
		}
	}
	for _, u := range tx.Unrevoked {
		for _, sel := range u.Selectors {
			m, err := v.Mark(sel)
			if err != nil {
				return err
			}
			if m.Kills(u.Since) {
				return &Conflict{Mark: m}
			}
		}
	}
	return nil
}

func write(v View, tx Tx, heads changed, now time.Time, seq uint64) error {
	for _, r := range tx.Records {
		if err := v.PutRecord(r); err != nil {
			return err
		}
	}
	for _, h := range heads {
		if err := v.PutHead(h); err != nil {
			return err
		}
	}
	for _, r := range tx.Revocations {
		seq++
		r.Before = roundUp(later(now, r.At).Add(tx.Leeway))
		r.Seq, r.At = seq, lineage.Time(r.At)
		if err := revoke(v, r); err != nil {
			return err
		}
	}
	return v.SetClock(now, seq)
}

// revoke writes an entry of the feed and what it makes of its selector's mark.
func revoke(v View, r lineage.Revocation) error {
	if err := v.PutRevocation(r); err != nil {
		return err
	}
	m, err := v.Mark(r.Selector)
	if err != nil {
		return err
	}
	if next := m.Apply(r); next != m {
		return v.PutMark(next)
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// roundUp returns t in the precision that records keep, and never an earlier moment: what was issued before t in the
// same millisecond is before the result.
func roundUp(t time.Time) time.Time { return lineage.Time(t.Add(time.Millisecond - 1)) }

func (tx Tx) check() error {
	switch {
	case canon.Name(tx.Issuer) != nil:
		return fmt.Errorf("%w: no issuer", ErrInvalid)
	case tx.Time.IsZero() || tx.Leeway < 0:
		return fmt.Errorf("%w: no time", ErrInvalid)
	}
	for _, r := range tx.Records {
		if r.ID().IsZero() || r.Issuer != tx.Issuer {
			return fmt.Errorf("%w: a record of another issuer", ErrInvalid)
		}
	}
	for _, r := range tx.Revocations {
		if err := r.Check(); err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	longest := 0
	for _, s := range tx.Swaps {
		longest = max(longest, len(s.Key))
	}
	for _, a := range tx.Adds {
		longest = max(longest, len(a.Key))
	}
	for _, r := range tx.Requires {
		longest = max(longest, len(r.Key))
	}
	if longest > MaxKey {
		return fmt.Errorf("%w: key too long", ErrInvalid)
	}
	return nil
}
