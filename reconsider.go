package tokenboundary

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// versioned is what a Policy may also be: one that says which version of it is in force.
type versioned interface{ Version() string }

// decidedByAnotherSet returns what tells records that another policy set decided from those of the one in force. Of a
// policy that does not say its version, all may be.
func (g *Governor) decidedByAnotherSet(facts time.Time) func(lineage.Record) bool {
	v, ok := g.cfg.Policy.(versioned)
	if !ok {
		return func(lineage.Record) bool { return true }
	}
	version := v.Version()
	// Since the facts changed, another set may have let live what this one decided on those before.
	facts = facts.Add(2 * g.cfg.Lifetimes.ClockLeeway)
	return func(r lineage.Record) bool { return r.Policy != version || !r.IssuedAt.After(facts) }
}

// review is what is decided anew: what carries the selector, is in the state, and was decided on what no longer holds.
type review struct {
	sel      lineage.Selector
	state    lineage.State
	outdated func(lineage.Record) bool
	count    uint64 // of the signal, among all
	what     string // has changed
	after    lineage.ID
}

// reconsider decides anew what the review is about, and revokes what would not be issued now.
func (g *Governor) reconsider(ctx context.Context, by Client, v review) (Outcome, error) {
	out := Outcome{Next: v.after}
	var failed error
	var seen glance
	keep := func(r lineage.Record) bool { // a refresh and a release are decided when they are asked for
		decided := r.Kind == lineage.KindToken || r.Kind == lineage.KindTask || r.Kind == lineage.KindLease
		return decided && v.outdated(r)
	}
	err := g.scan(ctx, v.sel, v.after, keep, func(batch []store.Entry) error {
		if err := seen.look(ctx, g, batch); err != nil {
			return err
		}
		var doomed []doom
		at := out.Next
		for _, e := range batch {
			if ctx.Err() != nil {
				break
			}
			d, err := g.judge(ctx, e, v, &seen, &out)
			switch {
			case err != nil: // what stands behind it must not wait for it
				failed = cmp.Or(failed, err)
			case d != nil:
				doomed = append(doomed, *d)
			}
			if failed == nil { // who goes on from here must not pass by what could not be decided
				at = e.Record.ID()
			}
		}
		n, err := g.revokeAll(context.WithoutCancel(ctx), by, v.what, doomed)
		if out.Revoked += n; err != nil {
			return err
		}
		out.Next = at
		return ctx.Err()
	})
	switch {
	case ctx.Err() != nil:
		return out, nil
	case err != nil:
		return out, err
	case failed != nil:
		return out, unavailable("some could not be decided anew", failed)
	}
	out.Complete, out.Next = true, lineage.ID{}
	return out, nil
}

// rests reports whether a task above, or the task itself, was suspended before the signal with the count: it is then
// decided anew, with all that was made under it, when it is resumed.
func rests(e store.Entry, count uint64) bool {
	return slices.ContainsFunc(e.Heads, func(h store.Head) bool {
		var v taskHead
		return h.State == string(TaskSuspended) && json.Unmarshal(h.Value, &v) == nil && v.Since != nil && v.Since.Signals < count
	})
}

// doom is a record that would not be issued now, decided anew, and why not.
type doom struct {
	*hop
	no *refusal
}

// judge decides one record anew, and returns it if it would not be issued now. What rests with its task is passed by.
func (g *Governor) judge(ctx context.Context, e store.Entry, v review, seen *glance, out *Outcome) (*doom, error) {
	s := stateOf(e, g.now())
	if s != v.state && (s != lineage.Suspended || v.state != lineage.Active || rests(e, v.count)) {
		return nil, nil
	}
	h, no, err := g.redecide(ctx, e, seen)
	if err != nil {
		return nil, err
	}
	out.Examined++
	if no != nil {
		return &doom{h, no}, nil
	}
	out.Kept++
	return nil, nil
}

// revokeAll revokes what would not be issued now, each with the record of the refusal, all in one commit.
func (g *Governor) revokeAll(ctx context.Context, by Client, what string, doomed []doom) (int, error) {
	if len(doomed) == 0 {
		return 0, nil
	}
	txs := make([]store.Tx, len(doomed))
	now := g.now() // of the commit: deciding may have taken longer than clocks may differ
	for i, d := range doomed {
		var err error
		d.now, d.since = now, now
		if txs[i], err = d.withdrawal(by, what, d.no); err != nil {
			return 0, err
		}
	}
	n := 0
	var failed error
	for i, err := range g.cfg.Store.Commit(ctx, txs) {
		switch {
		case err == nil:
			n++
		case errors.Is(err, store.ErrConflict): // a task that was suspended, resumed or ended meanwhile
			err = g.endTask(ctx, by, what, doomed[i].parent.Record.ID())
			if err == nil {
				n++
			}
		}
		if err != nil {
			failed = unavailable("commit", err)
		}
	}
	g.written.wake()
	return n, failed
}

// withdrawal returns the write that revokes what the hop decided anew, with its record.
func (h *hop) withdrawal(by Client, what string, no *refusal) (store.Tx, error) {
	e := *h.parent
	tx := h.g.tx(h.now)
	reasons := append(refused(h.ruling.reasons), lineage.Reason{Why: clip(what + ": " + no.why)})
	if r, err := h.sealDenial(no, reasons); err == nil {
		tx.Records = []lineage.Record{r}
	}
	if e.Record.Kind == lineage.KindTask {
		if err := ending(&tx, e, state.Revoke, by); err != nil {
			return tx, unavailable("task", err)
		}
	} else {
		tx.Revocations = []lineage.Revocation{{
			Selector: lineage.Selector{Kind: lineage.SelectToken, Value: e.Record.ID().String()}, At: tx.Time, By: by.ID,
		}}
	}
	tx.Revocations[0].Reason = clip(what + ": " + no.why)
	return tx, nil
}

// endTask revokes a task that changed while it was being decided anew. One that has ended stays as it is.
func (g *Governor) endTask(ctx context.Context, by Client, why string, id lineage.ID) error {
	for range attempts {
		e, err := g.entry(ctx, id)
		if err != nil {
			return err
		}
		if s := taskOf(e, g.latest()).State; s != TaskActive && s != TaskSuspended {
			return nil
		}
		tx := g.tx(g.now())
		if err := ending(&tx, e, state.Revoke, by); err != nil {
			return err
		}
		tx.Revocations[0].Reason = clip(why)
		if err := g.commit(ctx, tx); !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errStale
}
