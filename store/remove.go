package store

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Remove is the meaning of a Removal, as Apply is that of a Tx: it judges r against v and, if every condition holds, takes
// out what it names. An error wrapping ErrConflict or ErrInvalid is the Removal's own result and nothing was written; any
// other error comes from v and the transaction must be rolled back as a whole.
func Remove(v Remover, r Removal) error {
	if err := r.check(); err != nil {
		return err
	}
	now, last, err := v.Clock()
	if err != nil {
		return err
	}
	limit := now.Add(-r.Leeway)
	whole, err := r.ended(v, limit)
	if err != nil {
		return err
	}
	bodies, err := r.bodies(v, whole)
	if err != nil {
		return err
	}
	if err := r.holds(v, limit, last, slices.Concat(r.Records, r.Bodies)); err != nil {
		return err
	}
	return r.takeOut(v, whole, bodies)
}

func (r Removal) check() error {
	tx := Tx{Issuer: r.Issuer, Time: time.Unix(0, 0), Leeway: r.Leeway}
	for _, h := range r.Heads {
		tx.Requires = append(tx.Requires, Require{Key: h.Key})
	}
	return tx.check()
}

// ended returns the records that are to go whole, each once.
func (r Removal) ended(v View, limit time.Time) (out []lineage.Record, err error) {
	seen := make(map[lineage.ID]bool, len(r.Records))
	for _, id := range r.Records {
		rec, found, err := v.Record(id)
		switch {
		case err != nil:
			return nil, err
		case !found || seen[id]:
			continue
		}
		end := rec.ExpiresAt
		if end.IsZero() {
			end = rec.IssuedAt
		}
		if !end.Before(limit) {
			return nil, fmt.Errorf("%w: a record that is not over", ErrInvalid)
		}
		seen[id] = true
		out = append(out, rec)
	}
	return out, nil
}

// bodies returns the records that are to lose their body, each once, but for those that go whole.
func (r Removal) bodies(v View, whole []lineage.Record) (out []lineage.Record, err error) {
	seen := make(map[lineage.ID]bool, len(whole)+len(r.Bodies))
	for _, rec := range whole {
		seen[rec.ID()] = true
	}
	for _, id := range r.Bodies {
		rec, found, err := v.Record(id)
		if err != nil {
			return nil, err
		}
		if found && !seen[id] && rec.RawBody() != nil {
			out = append(out, rec)
		}
		seen[id] = true
	}
	return out, nil
}

// holds checks the conditions on everything but the records themselves.
func (r Removal) holds(v Remover, limit time.Time, last uint64, going []lineage.ID) error {
	for _, want := range r.Heads {
		h, err := v.Head(want.Key)
		if err != nil {
			return err
		}
		if h.Version != want.Version {
			return &Conflict{Key: want.Key}
		}
	}
	for _, want := range r.Marks {
		m, err := v.Mark(want.Selector)
		switch {
		case err != nil:
			return err
		case !same(m, want):
			return &Conflict{Mark: m}
		case m.Blocked || !m.Before.Before(limit):
			return fmt.Errorf("%w: a mark that is not over", ErrInvalid)
		}
	}
	for _, sel := range r.Unused {
		carried, err := v.Carried(sel, going)
		if err != nil {
			return err
		}
		if carried {
			return fmt.Errorf("%w: a record carries the %s", ErrConflict, sel.Kind)
		}
	}
	return r.endedEntries(v, limit, last)
}

// endedEntries checks that the entries of the feed that are to go are over.
func (r Removal) endedEntries(v Remover, limit time.Time, last uint64) error {
	if r.Feed > last {
		return fmt.Errorf("%w: the feed has no such entry", ErrInvalid)
	}
	if r.Feed == 0 {
		return nil
	}
	seq, err := v.Oldest()
	for ; err == nil && seq <= r.Feed; seq++ {
		var e lineage.Revocation
		if e, err = v.Revocation(seq); err == nil && !later(e.At, e.Before).Before(limit) {
			return fmt.Errorf("%w: an entry of the feed that is not over", ErrInvalid)
		}
	}
	return err
}

func (r Removal) takeOut(v Remover, whole, bodies []lineage.Record) error {
	for _, rec := range whole {
		if err := v.DropRecord(rec); err != nil {
			return err
		}
	}
	for _, rec := range bodies {
		if err := v.EraseRecord(rec); err != nil {
			return err
		}
	}
	for _, h := range r.Heads {
		if err := v.DropHead(h.Key); err != nil {
			return err
		}
	}
	var floor time.Time
	for _, m := range r.Marks {
		floor = later(floor, m.Before)
		if err := v.DropMark(m.Selector); err != nil {
			return err
		}
	}
	if err := r.raise(v, floor); err != nil || r.Feed == 0 {
		return err
	}
	oldest, err := v.Oldest()
	if err != nil || oldest > r.Feed {
		return err
	}
	return v.DropRevocations(r.Feed)
}

// raise lets the mark of the floor reach what the forgotten ones have cut.
func (r Removal) raise(v View, before time.Time) error {
	if before.IsZero() || r.Floor == (lineage.Selector{}) {
		return nil
	}
	m, err := v.Mark(r.Floor)
	if err != nil || !before.After(m.Before) {
		return err
	}
	m.Selector, m.Before = r.Floor, before
	return v.PutMark(m)
}

// same reports whether two marks say the same, whatever zones their times are in.
func same(a, b lineage.Mark) bool {
	equal := a.Before.Equal(b.Before)
	a.Before, b.Before = time.Time{}, time.Time{}
	return equal && a == b
}
