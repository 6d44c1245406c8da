package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// maxLeaseHandle is the largest handle that the book keeps, in bytes.
const maxLeaseHandle = 4096

// Lease returns a lease to the broker that holds it, or to an operator; to anybody else there is none. One that would not be
// granted now is denied, once what was decided may not be relied on without asking again.
func (g *Governor) Lease(ctx context.Context, by Client, id lineage.ID) (Lease, error) {
	if err := g.reads(ctx, by, KindResource, KindOperator); err != nil {
		return Lease{}, err
	}
	f, err := g.one(ctx, by, id)
	if err != nil {
		return Lease{}, err
	}
	if f.Alive == lineage.Active {
		no, err := g.rechecked(ctx, f.entry)
		if err != nil {
			return Lease{}, err
		}
		if no != nil {
			f.Alive = lineage.Denied
		}
	}
	return f.Lease, nil
}

// SetLease changes what the book says of a lease, in one write: LeaseHeld, that the credential is there and how it is taken
// back; LeaseEnding, that it is used no more; LeaseEnded, that it was taken back. By must be the broker that holds it. Handle
// is put down with it, where it is not nil: at most 4 KiB that mean nothing to the boundary. The end of a lease forgets it.
//
// Held can only be what is alive at the moment of the write, and an intent only until its time is over. Only what is ending
// can end. Anything else is ErrConflict; a lease that is in the state already is returned as it is, but for the handle of one that is
// ending.
func (g *Governor) SetLease(ctx context.Context, by Client, id lineage.ID, to LeaseState, handle []byte) (Lease, error) {
	event, known := leaseEvents[to]
	switch {
	case !by.is(KindResource):
		return Lease{}, g.answer(ctx, by, ErrForbidden)
	case !known || len(handle) > maxLeaseHandle:
		return Lease{}, g.answer(ctx, by, fmt.Errorf("%w: lease", ErrInvalid))
	}
	for range contended { // a page of the book has many leases
		l, err := g.setLease(ctx, by, id, to, event, handle)
		if !errors.Is(err, errStale) {
			return l, g.answer(ctx, by, err)
		}
	}
	return Lease{}, unavailable("lease", errStale)
}

var leaseEvents = map[LeaseState]string{LeaseHeld: state.Hold, LeaseEnding: state.End, LeaseEnded: state.Done}

// setLease tries one change. It is errStale if the lease, or its page of the book, has changed since it was read.
func (g *Governor) setLease(ctx context.Context, by Client, id lineage.ID, to LeaseState, event string, handle []byte) (Lease, error) {
	tx := g.tx(g.now())
	f, err := g.one(ctx, by, id)
	if err != nil {
		return Lease{}, err
	}
	again := f.State == to && to != LeaseHeld
	if again && (handle == nil || to == LeaseEnded) {
		return f.Lease, g.change(ctx, by, tx)
	}
	next, ok := state.Lease(string(f.State), event)
	if again { // how it is taken back is known only now
		next, ok = string(to), true
	}
	if !ok || f.head.Version == 0 {
		return Lease{}, fmt.Errorf("%w: the lease is %s", ErrConflict, f.State)
	}
	v, err := readLease(f.head)
	if err != nil {
		return Lease{}, err
	}
	if handle != nil {
		v.Handle = handle
	}
	if err := g.step(ctx, &tx, f, &v, event); err != nil {
		return Lease{}, err
	}
	swap := v.swap(f.head, next)
	if event == state.Done { // kept for as long as anybody may ask again
		if swap.Expires = v.Expires; swap.Expires.Before(tx.Time) {
			swap.Expires = tx.Time
		}
		swap.Expires = swap.Expires.Add(2*g.cfg.Lifetimes.ClockLeeway + longIntent)
	}
	tx.Swaps = append(tx.Swaps, swap)
	switch err := g.change(ctx, by, tx); {
	case errors.Is(err, ErrConflict):
		return Lease{}, errStale
	case err != nil:
		return Lease{}, err
	}
	f.State, f.Handle = LeaseState(next), v.Handle
	return f.Lease, nil
}

// step adds to tx what the event needs besides, and makes of v what it leaves.
func (g *Governor) step(ctx context.Context, tx *store.Tx, f found, v *leaseHead, event string) error {
	now := g.latest()
	switch event {
	case state.Hold:
		if f.Alive != lineage.Active {
			return fmt.Errorf("%w: what the lease comes from is %s", ErrConflict, f.Alive)
		}
		if f.State == LeaseIntent && !now.Before(v.Until) {
			return fmt.Errorf("%w: the intent is over", ErrConflict)
		}
		r := f.entry.Record
		tx.Unrevoked = append(tx.Unrevoked, store.Unrevoked{Selectors: r.Selectors(), Since: r.Since})
		for head := range tasksOf(f.entry) {
			tx.Requires = append(tx.Requires, active(head.Key))
		}
	case state.End:
		v.Given = v.Given || f.State == LeaseHeld && f.Alive == lineage.Active
	case state.Done:
		v.Handle = nil
		swap, err := g.shut(ctx, v.By, f.ID)
		if err != nil {
			return err
		}
		tx.Swaps = append(tx.Swaps, swap)
	}
	return nil
}

// Leases yields the leases of a broker that have not ended, all of them and no other, in the order of their ids, from behind
// after (zero: from the beginning). Those that are not usable have to be taken back: see Lease.Over. One that is made or ends
// while it runs may or may not be seen. By must be the broker.
func (g *Governor) Leases(ctx context.Context, by Client, after lineage.ID) iter.Seq2[Lease, error] {
	return func(yield func(Lease, error) bool) {
		if err := g.reads(ctx, by, KindResource); err != nil {
			yield(Lease{}, err)
			return
		}
		for first := int(after[0]); first < leasePages; first += pagesAtOnce {
			ids, err := g.listed(ctx, by.ID, first, min(first+pagesAtOnce, leasePages), after)
			if err != nil {
				yield(Lease{}, err)
				return
			}
			for batch := range slices.Chunk(ids, scanBatch) {
				all, err := g.leases(ctx, by, batch)
				if err != nil {
					yield(Lease{}, err)
					return
				}
				for _, f := range all {
					if f.State != LeaseEnded && !yield(f.Lease, nil) {
						return
					}
				}
			}
		}
	}
}

// listed returns what stands on the pages of the book from first on, and before end, behind after.
func (g *Governor) listed(ctx context.Context, by string, first, end int, after lineage.ID) ([]lineage.ID, error) {
	keys := make([]string, 0, pagesAtOnce)
	for page := first; page < end; page++ {
		keys = append(keys, leasePageKey(by, page))
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys)
	if err != nil {
		return nil, unavailable("store", err)
	}
	var out []lineage.ID
	for _, head := range heads {
		ids, err := pageIDs(head)
		if err != nil {
			return nil, err
		}
		for _, id := range ids {
			if compareIDs(id, after) > 0 {
				out = append(out, id)
			}
		}
	}
	return out, nil
}
