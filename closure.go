package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Closure is what a revocation keeps dead: how much would be live but for it.
type Closure struct {
	Tokens    int `json:"tokens"`
	Tasks     int `json:"tasks"`
	Families  int `json:"families"`  // refresh families
	Approvals int `json:"approvals"` // requests that waited for one
	Leases    int `json:"leases"`    // credentials of other systems that brokers held
	// Outstanding are those of the leases that are not taken back yet.
	Outstanding int `json:"outstanding"`
	// Complete is false where the context ended first. Next is then where to go on; zero: at the beginning.
	Complete bool       `json:"-"`
	Next     lineage.ID `json:"next,omitzero"`
}

// Closure counts what the revocation of a selector has cut: every record that carries the selector and would be live but
// for it. It counts from behind the record after (zero: from the beginning) until all is counted or the context ends.
// It walks an index once, whatever the depth of the tree. By must be an operator.
func (g *Governor) Closure(ctx context.Context, by Client, sel lineage.Selector, after lineage.ID) (Closure, error) {
	if err := g.reads(ctx, by, KindOperator); err != nil {
		return Closure{}, err
	}
	if _, err := lineage.ParseSelector(sel.String()); err != nil {
		return Closure{}, fmt.Errorf("%w: selector", ErrInvalid)
	}
	return g.closure(ctx, sel, after)
}

func (g *Governor) closure(ctx context.Context, sel lineage.Selector, after lineage.ID) (Closure, error) {
	c := Closure{Next: after}
	all := func(lineage.Record) bool { return true }
	err := g.scan(ctx, sel, after, all, func(batch []store.Entry) error {
		counted := c
		for _, e := range batch {
			n := counted.kind(e.Record.Kind)
			if n == nil || !g.cutBy(e, sel) {
				continue
			}
			if open, err := g.isOpen(ctx, e); err != nil {
				return err
			} else if open {
				*n++
			}
			if isOut(e) {
				counted.Outstanding++
			}
		}
		c, c.Next = counted, batch[len(batch)-1].Record.ID()
		return nil
	})
	switch {
	case err == nil:
		c.Complete, c.Next = true, lineage.ID{}
	case ctx.Err() != nil:
		err = nil
	}
	return c, err
}

// isOpen reports whether a record is not over for another reason: a deferred request that was answered is.
func (g *Governor) isOpen(ctx context.Context, e store.Entry) (bool, error) {
	r := e.Record
	if r.Kind == lineage.KindLease { // one that was given back is
		v, err := readLease(headOf(e, leaseKey(r.ID())))
		return err == nil && !v.Given, nil
	}
	if r.Kind != lineage.KindApproval {
		return true, nil
	}
	d, err := g.waiting(ctx, r.ID())
	switch {
	case errors.Is(err, ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	return d.head.State != state.Refused && d.head.State != state.Released, nil
}

// isOut reports whether e is a lease that has not ended.
func isOut(e store.Entry) bool {
	head := headOf(e, leaseKey(e.Record.ID()))
	return e.Record.Kind == lineage.KindLease && head.Version > 0 && head.State != state.Ended
}

// kind returns the count of a kind of record.
func (c *Closure) kind(k lineage.Kind) *int {
	switch k {
	case lineage.KindToken:
		return &c.Tokens
	case lineage.KindTask:
		return &c.Tasks
	case lineage.KindGrant:
		return &c.Families
	case lineage.KindApproval:
		return &c.Approvals
	case lineage.KindLease:
		return &c.Leases
	}
	return nil
}

// cutBy reports whether a record is dead and would be alive if the selector had not been revoked.
func (g *Governor) cutBy(e store.Entry, sel lineage.Selector) bool {
	now := g.latest()
	if stateOf(e, now) != lineage.Revoked {
		return false
	}
	e.Marks = slices.DeleteFunc(slices.Clone(e.Marks), func(m lineage.Mark) bool { return m.Selector == sel })
	e.Heads = slices.Clone(e.Heads)
	for i, h := range e.Heads {
		if h.Key == sel.String() { // the task that was ended
			e.Heads[i].State = string(TaskActive)
		}
	}
	return stateOf(e, now) != lineage.Revoked
}
