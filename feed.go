package tokenboundary

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// feedPoll is how often AwaitRevocation looks for entries that another node has written.
const feedPoll = time.Second

// Revocations yields the entries of the revocation feed behind after, in commit order, and ends with the last one. Zero
// is before the first that is kept. Sequence numbers rise by one; where they begin differs from store to store, so that a position
// that is not in this feed, or of a store that this one replaced, yields ErrGone. By must be a resource, which gets no
// reasons, or an operator.
func (g *Governor) Revocations(ctx context.Context, by Client, after uint64) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		if err := g.reads(ctx, by, KindResource, KindOperator); err != nil {
			yield(lineage.Revocation{}, err)
			return
		}
		from, base, err := g.place(ctx, after)
		if err != nil {
			yield(lineage.Revocation{}, err)
			return
		}
		for r, err := range g.cfg.Store.Feed(ctx, g.cfg.Issuer, from) {
			from++
			switch {
			case errors.Is(err, store.ErrGone):
				err = ErrGone
			case err != nil:
				err = unavailable("store", err)
			case after > 0 && r.Seq != from: // behind the epoch, and the first is not kept
				r, err = lineage.Revocation{}, ErrGone
			}
			if !yield(entryOf(r, base, by), err) || err != nil {
				return
			}
		}
	}
}

// AwaitRevocation returns when the feed has entries behind after: at once where it has them already or this Governor
// writes one; of another node's when the store tells of it (store.Hinter), and within a second in any case. It returns the
// context's error when that ends first.
func (g *Governor) AwaitRevocation(ctx context.Context, after uint64) error {
	for {
		changed := g.written.wait() // before looking, so that nothing written in between is missed
		from, _, err := g.place(ctx, after)
		if errors.Is(err, ErrGone) {
			return nil // and Revocations says so
		}
		if err != nil {
			return err
		}
		var told <-chan struct{} // nil where nothing will be told
		if h, ok := g.cfg.Store.(store.Hinter); ok {
			told = h.Changed(ctx, g.cfg.Issuer)
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
		case <-told:
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
