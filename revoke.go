package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// feedPoll is how often AwaitRevocation looks for entries that another node has written.
const feedPoll = time.Second

// Revoke cuts everything that carries the selector, in one write, whatever its number. When it returns without an
// error, nothing cut is active or derivable on any node of the store. By must be an operator.
//
// The result is the entry with what the store made of it: at least its place in the feed, and for a selector that is not
// absolute the moment before which issuance is dead. Both are zero where they could not be read back.
func (g *Governor) Revoke(ctx context.Context, by Client, r lineage.Revocation) (lineage.Revocation, error) {
	if !by.is(KindOperator) {
		return lineage.Revocation{}, ErrForbidden
	}
	if r.Action == lineage.Suspend || r.Action == lineage.Resume || len(r.Reason) > canon.MaxName || r.Check() != nil {
		return lineage.Revocation{}, fmt.Errorf("%w: revocation", ErrInvalid)
	}
	base, err := g.epoch(ctx)
	if err != nil {
		return lineage.Revocation{}, err
	}
	r.Seq, r.At, r.By = 0, g.now(), by.ID
	tx := g.tx(r.At)
	tx.Revocations = []lineage.Revocation{r}
	if err := g.change(ctx, by, tx); err != nil {
		return lineage.Revocation{}, err
	}
	if marks, err := g.cfg.Store.Revoked(ctx, g.cfg.Issuer, []lineage.Selector{r.Selector}); err == nil && len(marks) == 1 {
		r.Seq, r.Before = base+marks[0].Seq, marks[0].Before
	}
	return r, nil
}

// change commits a verb's effect together with spending the evidence that its caller was authenticated with.
func (g *Governor) change(ctx context.Context, by Client, tx store.Tx) error {
	if by.proof != nil {
		tx.Swaps = append(tx.Swaps, g.spend(by.proof))
	}
	err := g.commit(ctx, tx)
	var c *store.Conflict
	switch {
	case errors.As(err, &c) && by.proof != nil && c.Key == by.proof.key:
		return ErrUnauthenticated
	case errors.Is(err, store.ErrConflict):
		return fmt.Errorf("%w: the state has changed", ErrConflict)
	}
	return err
}

// Retire ends a token at the wish of the client it was issued to, or of an operator (RFC 7009). Retiring a task token
// ends the task. A token that is not ours, or dead already, is no error; one issued to another client is a *DeniedError
// (CodeUnauthorizedClient), and a caller of another kind ErrForbidden.
func (g *Governor) Retire(ctx context.Context, by Client, raw string) error {
	if !by.Kind.mayGet() && !by.is(KindOperator) || by.ID == "" {
		return ErrForbidden
	}
	tx := g.tx(g.now())
	e, err := g.own(ctx, raw)
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case err != nil: // nothing of ours: only the evidence is spent
		return g.change(ctx, by, tx)
	case e.Record.Body.Client != by.ID && !by.is(KindOperator):
		if err := g.change(ctx, by, tx); err != nil {
			return err
		}
		return &DeniedError{Decision{Code: CodeUnauthorizedClient, Parameter: "token"}}
	}
	if t := e.Record.Body.Task; t != nil && t.Authority != nil {
		_, err := g.SetTask(ctx, by, t.ID, TaskRevoked)
		return err
	}
	if s := stateOf(e, tx.Time); s == lineage.Revoked || s == lineage.Expired {
		return g.change(ctx, by, tx)
	}
	tx.Revocations = []lineage.Revocation{{
		Selector: lineage.Selector{Kind: lineage.SelectToken, Value: e.Record.ID().String()}, At: tx.Time, By: by.ID,
	}}
	return g.change(ctx, by, tx)
}

// Revocations yields the entries of the revocation feed behind after, in commit order, and ends with the last one. Zero
// is before the first. Sequence numbers rise by one; where they begin differs from store to store, so that a position
// that is not in this feed, or of a store that this one replaced, yields ErrGone. By must be a resource, which gets no reasons, or an operator.
func (g *Governor) Revocations(ctx context.Context, by Client, after uint64) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		if err := g.reads(by, KindResource, KindOperator); err != nil {
			yield(lineage.Revocation{}, err)
			return
		}
		from, base, err := g.place(ctx, after)
		if err != nil {
			yield(lineage.Revocation{}, err)
			return
		}
		for r, err := range g.cfg.Store.Feed(ctx, g.cfg.Issuer, from) {
			switch {
			case errors.Is(err, store.ErrGone):
				err = ErrGone
			case err != nil:
				err = unavailable("store", err)
			}
			if !yield(entryOf(r, base, by), err) || err != nil {
				return
			}
		}
	}
}

// AwaitRevocation returns when the feed has entries behind after: at once where it has them already or this Governor
// writes one, and within a second of another node's. It returns the context's error when that ends first.
func (g *Governor) AwaitRevocation(ctx context.Context, after uint64) error {
	for {
		changed := g.signal.wait() // before looking, so that nothing written in between is missed
		from, _, err := g.place(ctx, after)
		if errors.Is(err, ErrGone) {
			return nil // and Revocations says so
		}
		if err != nil {
			return err
		}
		for _, err := range g.cfg.Store.Feed(ctx, g.cfg.Issuer, from) {
			if err != nil && !errors.Is(err, store.ErrGone) {
				return unavailable("store", err)
			}
			return nil
		}
		tick := g.cfg.Clock.Timer(feedPoll)
		select {
		case <-ctx.Done():
			tick.Stop()
			return ctx.Err()
		case <-changed:
		case <-tick.C:
		}
		tick.Stop()
	}
}

// broadcast wakes all who wait, once per call of wake.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch == nil {
		b.ch = make(chan struct{})
	}
	return b.ch
}

func (b *broadcast) wake() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ch != nil {
		close(b.ch)
		b.ch = nil
	}
}
