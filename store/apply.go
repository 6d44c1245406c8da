package store

import (
	"errors"
	"fmt"
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
	if known, err := allKnown(v, tx.Records); known || err != nil {
		return err
	}
	if len(tx.Records) > 0 && tx.Time.Before(now.Add(-tx.Leeway)) {
		return ErrBehind
	}
	heads := map[string]Head{}
	if err := judge(v, tx, heads); err != nil {
		return err
	}
	if tx.Time.After(now) {
		now = tx.Time
	}
	return write(v, tx, heads, now, seq)
}

// allKnown reports whether tx is the repeat of a commit that has been applied.
func allKnown(v View, records []lineage.Record) (bool, error) {
	known := 0
	for _, r := range records {
		have, found, err := v.Record(r.ID())
		switch {
		case err != nil:
			return false, err
		case found && have.Body != nil && !have.Equal(r):
			return false, fmt.Errorf("%w: record id is taken", ErrInvalid)
		case found:
			known++
		}
	}
	return known > 0 && known == len(records), nil
}

// judge checks every condition of tx and leaves in heads what its swaps and adds make of them.
func judge(v View, tx Tx, heads map[string]Head) error {
	if err := holds(v, tx); err != nil {
		return err
	}
	head := func(key string) (Head, error) {
		if h, ok := heads[key]; ok {
			return h, nil
		}
		return v.Head(key)
	}
	for _, s := range tx.Swaps {
		h, err := head(s.Key)
		if err != nil {
			return err
		}
		if h.Version != s.Version {
			return &Conflict{Key: s.Key}
		}
		heads[s.Key] = Head{s.Key, s.Version + 1, s.State, s.Value, h.Count, s.Expires}
	}
	for _, a := range tx.Adds {
		h, err := head(a.Key)
		if err != nil {
			return err
		}
		if a.N > a.Max || h.Count > a.Max-a.N {
			return &Conflict{Key: a.Key, Full: true}
		}
		h.Count += a.N
		heads[a.Key] = h
	}
	return nil
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

func write(v View, tx Tx, heads map[string]Head, now time.Time, seq uint64) error {
	var errs []error
	for _, r := range tx.Records {
		errs = append(errs, v.PutRecord(r))
	}
	for _, h := range heads {
		errs = append(errs, v.PutHead(h))
	}
	for _, r := range tx.Revocations {
		m, err := v.Mark(r.Selector)
		if err != nil {
			return err
		}
		seq++
		r.Before = roundUp(later(now, r.At).Add(tx.Leeway))
		r.Seq, r.At = seq, lineage.Time(r.At)
		errs = append(errs, v.PutRevocation(r))
		if next := m.Apply(r); next != m {
			errs = append(errs, v.PutMark(next))
		}
	}
	return errors.Join(append(errs, v.SetClock(now, seq))...)
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
