package tokenboundary

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// lastFacts adds to a removal the facts about those whom nothing is left of when these records are erased, under that
// condition, and returns how many these are.
func (e *eraser) lastFacts(ctx context.Context, erased []lineage.Record, r *store.Removal) (n int, err error) {
	for _, sel := range e.about(erased) {
		last, err := e.lastOf(ctx, sel, r.Bodies)
		if err != nil {
			return 0, err
		}
		if !last {
			continue
		}
		heads, err := e.g.cfg.Store.Heads(ctx, e.g.cfg.Issuer, []string{sel.String(), pastKey(sel.String(), 1)})
		if err != nil {
			return 0, unavailable("store", err)
		}
		if heads[0].Version == 0 {
			continue
		}
		if err := e.forgetHistory(ctx, heads[0], heads[1]); err != nil {
			return 0, err
		}
		r.Heads = append(r.Heads, store.HeadVersion{Key: heads[0].Key, Version: heads[0].Version})
		r.Unused = append(r.Unused, sel)
		n++
	}
	return n, nil
}

// about returns whom facts may be known of that go with the records: who is erased, and of a subject itself as an actor, and
// its sessions. Another actor of the chain is somebody else.
func (e *eraser) about(erased []lineage.Record) []lineage.Selector {
	out := []lineage.Selector{e.sel}
	if e.sel.Kind != lineage.SelectSubject {
		return out
	}
	out = append(out, lineage.Selector{Kind: lineage.SelectActor, Value: e.sel.Value})
	for _, r := range erased {
		session := lineage.Selector{Kind: lineage.SelectSession, Value: r.Body.Session.ID}
		if r.Body.Subject.ID == e.sel.Value && session.Value != "" && !slices.Contains(out, session) {
			out = append(out, session)
		}
	}
	return out
}

// lastOf reports whether no record but these carries the selector.
func (e *eraser) lastOf(ctx context.Context, sel lineage.Selector, these []lineage.ID) (bool, error) {
	for r, err := range e.g.cfg.Store.Scan(ctx, e.g.cfg.Issuer, sel, store.Position{}) {
		if err != nil {
			return false, unavailable("store", err)
		}
		if !slices.Contains(these, r.ID()) {
			return false, nil
		}
	}
	return true, nil
}

// forgetHistory forgets what the versions of a fact were. The place of the first is taken for as long as a decision can be under
// way: versions begin anew once the fact is forgotten, and no decision on what it was may be committed on what it is then.
func (e *eraser) forgetHistory(ctx context.Context, fact, first store.Head) error {
	if err := e.history(ctx, fact.Key, 2, fact.Version+1); err != nil {
		return err
	}
	tx := e.g.tx(e.g.now())
	tx.Swaps = []store.Swap{{
		Key: pastKey(fact.Key, 1), Version: first.Version, State: "erased", Expires: tx.Time.Add(recordWindow + 2*e.g.cfg.Lifetimes.ClockLeeway),
	}}
	return stale(e.g.commit(ctx, tx))
}

// stale makes a conflict errStale.
func stale(err error) error {
	if errors.Is(err, store.ErrConflict) {
		return errStale
	}
	return err
}
