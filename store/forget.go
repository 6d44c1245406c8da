package store

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Forgetter is a Store that can let go of what is over. It is an optional power: without it everything is kept but the
// heads that have expired. What is to go, and when, is not the store's to say; but it lets go of nothing that its own
// store time does not show to be over (Removal).
//
// A wrapper passes the power on. Where the store below does not have it, both methods fail with an error that wraps
// [errors.ErrUnsupported].
type Forgetter interface {
	// Records yields all records of the issuer, those without a body too, ordered and positioned as Scan orders and
	// positions those of a selector, and with what Scan says of reading while others write.
	Records(ctx context.Context, issuer string, from Position) iter.Seq2[lineage.Record, error]

	// Forget takes out what r names: all of it, or nothing. When it returns nil that is durable, as if it had happened at
	// one moment among the Txs of Commit. An error wrapping ErrConflict or ErrInvalid means that nothing was taken out;
	// after any other the outcome is unknown, and what is to go can be read and named again. It writes nothing but what
	// Removal says, and does not move the store time.
	//
	// The sequence numbers of the feed go on where they are, and the store remembers the oldest that it has kept. What was
	// taken out is not kept where a later reader of the store's files would find it by its name, except that a database may
	// leave freed space as it is until it is used again.
	Forget(ctx context.Context, r Removal) error
}

// Removal names what Forget takes out of the state of one issuer, and under which conditions. What is not there, or is
// erased already, is passed over. The zero Removal of an issuer takes out nothing.
//
// The limit is the store time less Leeway: no writer whose clock is right can still write something that was made while what
// ended before it was valid (ErrBehind).
type Removal struct {
	Issuer string
	// Leeway is how far clocks of nodes may differ.
	Leeway time.Duration

	// Records are taken out whole, with their places in every index. One that expires at the limit or later, or that never
	// expires and was issued then, is ErrInvalid. The heads and the marks of their selectors stay.
	Records []lineage.ID
	// Bodies lose their body. The record then carries the selectors that its envelope implies, and is found by no other.
	// That nothing live comes from it, and never will, is for the caller to know. It does not come back: a Tx with the
	// record leaves it as it is.
	Bodies []lineage.ID
	// Heads are forgotten, as if never written. One that has another version is ErrConflict.
	Heads []HeadVersion
	// Marks are forgotten. One that is not exactly as it is here is ErrConflict; one that blocks, or cuts until the limit or
	// later, is ErrInvalid.
	Marks []lineage.Mark
	// Floor, where not zero, is a selector whose mark rises to the latest Before among Marks, so that what carries it and
	// is as old as what they cut is dead without them.
	Floor lineage.Selector
	// Feed, where not zero, is the last of the feed's oldest entries that go: it and all before it. An entry of which At or
	// Before is at the limit or later is ErrInvalid, and so is a number that the feed has not reached.
	Feed uint64

	// Unused are selectors that no record but those in Records and Bodies may carry, else ErrConflict: the condition under
	// which what is known of somebody can go with the last record.
	Unused []lineage.Selector
}

// HeadVersion is a head as it was read.
type HeadVersion struct {
	Key     string
	Version uint64
}

// Remover is a View that can also take things out, as Remove needs it.
type Remover interface {
	View
	// Oldest returns the sequence number of the oldest entry that is kept; where none is, that of the next one.
	Oldest() (uint64, error)
	// Revocation returns an entry of the feed that is kept.
	Revocation(seq uint64) (lineage.Revocation, error)
	// Carried reports whether a record carries the selector that is none of those named. It is asked before anything is
	// taken out.
	Carried(sel lineage.Selector, but []lineage.ID) (bool, error)

	// DropRecord takes out a record, and EraseRecord the body of one; both are given it as Record returns it.
	DropRecord(r lineage.Record) error
	EraseRecord(r lineage.Record) error
	DropHead(key string) error
	DropMark(sel lineage.Selector) error
	// DropRevocations takes out the entries up to the one with the number, and makes the next one the oldest.
	DropRevocations(until uint64) error
}

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

// Records implements Forgetter for a Store that is one.
func (c *coalescer) Records(ctx context.Context, issuer string, from Position) iter.Seq2[lineage.Record, error] {
	if f, ok := c.Store.(Forgetter); ok {
		return f.Records(ctx, issuer, from)
	}
	return func(yield func(lineage.Record, error) bool) { yield(lineage.Record{}, errKeeps) }
}

// Forget implements Forgetter for a Store that is one. It waits for no batch, and no batch waits for it.
func (c *coalescer) Forget(ctx context.Context, r Removal) error {
	if f, ok := c.Store.(Forgetter); ok {
		return f.Forget(ctx, r)
	}
	return errKeeps
}

// errKeeps is the answer of a store that keeps everything.
var errKeeps = fmt.Errorf("store: nothing can be forgotten: %w", errors.ErrUnsupported)
