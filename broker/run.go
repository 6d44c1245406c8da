package broker

import (
	"context"
	"errors"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	// lookAgain is how long Run leaves the book alone where nothing in it is due and nothing was revoked: others may have
	// written to it.
	lookAgain = 30 * time.Second
	// workers is how many calls of one provider Run makes at once.
	workers = 4
)

// Run keeps the leases until the context ends, and returns its error: it takes back what is over, also what other processes
// of the registration or an earlier life of this one have left, and tries again what failed; and it renews what is used. It
// learns of revocations from the feed. Run it once.
func (b *Broker) Run(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	running.Go(func() { b.follow(ctx) })
	for name := range b.queues {
		for range workers {
			running.Go(func() { b.work(ctx, b.queues[name]) })
		}
	}
	for {
		next := b.cfg.Clock.Now().Add(b.cfg.Retry)
		due, err := b.look(ctx)
		if err == nil {
			next = due
		} else if ctx.Err() == nil {
			b.cfg.Logger.WarnContext(ctx, "the book of leases cannot be read", "cause", err)
		}
		timer := b.cfg.Clock.Timer(max(next.Sub(b.cfg.Clock.Now()), time.Millisecond))
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-b.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// follow wakes Run whenever the feed has something new.
func (b *Broker) follow(ctx context.Context) {
	g := b.cfg.Governor
	var after uint64
	for ctx.Err() == nil {
		var failed error
		for r, err := range g.Revocations(ctx, b.cfg.Client, after) {
			if failed = err; err == nil {
				after = r.Seq
			}
		}
		b.nudge()
		if failed == nil {
			failed = g.AwaitRevocation(ctx, after)
		} else if errors.Is(failed, tokenboundary.ErrGone) {
			after = 0
		}
		if failed != nil {
			b.pause(ctx)
		}
	}
}

// pause waits before what failed is tried again.
func (b *Broker) pause(ctx context.Context) {
	timer := b.cfg.Clock.Timer(b.cfg.Retry)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// look goes through the book: it cuts what is over, and queues what has to be done. It returns when to look again.
func (b *Broker) look(ctx context.Context) (time.Time, error) {
	now := b.cfg.Clock.Now()
	v := &view{now: now, next: now.Add(lookAgain), seen: map[lineage.ID]bool{}, known: b.known()}
	for info, err := range b.cfg.Governor.Leases(ctx, b.cfg.Client, lineage.ID{}) {
		if err != nil {
			return time.Time{}, err
		}
		v.seen[info.ID] = true
		b.examine(ctx, v, info)
	}
	b.forget(v)
	return v.next, nil
}

// view is one look at the book.
type view struct {
	now    time.Time
	next   time.Time           // when something is due
	known  map[lineage.ID]bool // of which anything was remembered before
	seen   map[lineage.ID]bool
	counts Outstanding
}

// due makes the next look happen at t, or earlier.
func (v *view) due(t time.Time) {
	if !t.IsZero() && t.Before(v.next) {
		v.next = t
	}
}

// examine looks at one lease of the book.
func (b *Broker) examine(ctx context.Context, v *view, info tokenboundary.Lease) {
	b.mu.Lock()
	l, unwanted, fetching, bad := b.held[info.ID], b.unwanted[info.ID], b.fetching[info.ID], b.troubles[info.ID]
	b.mu.Unlock()
	v.counts.Leases++
	if l != nil && l.ended(v.now) {
		unwanted = true
		b.mark(b.unwanted, info.ID)
	}
	if !unwanted && !info.Over(v.now) {
		v.due(info.ExpiresAt)
		if info.State == tokenboundary.LeaseIntent {
			v.due(info.Until)
		}
		if l != nil {
			b.renewal(v, l, info)
		}
		return
	}
	b.drop(info.ID)
	v.counts.add(bad)
	switch {
	case fetching: // it is not known yet what there is to take back
	case bad.next.After(v.now):
		v.due(bad.next)
	case b.queues[info.Connection] == nil:
		b.cfg.Logger.ErrorContext(ctx, "a lease of a connection that has no provider any more cannot be taken back",
			"connection", info.Connection, "lease", info.ID.String())
	default:
		b.queues[info.Connection].put(job{info: info})
	}
}

// known returns the ids of which anything is remembered beside the book.
func (b *Broker) known() map[lineage.ID]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := map[lineage.ID]bool{}
	for _, ids := range []iter.Seq[lineage.ID]{maps.Keys(b.held), maps.Keys(b.unwanted), maps.Keys(b.troubles)} {
		for id := range ids {
			out[id] = true
		}
	}
	return out
}

// forget lets go of what was remembered of leases that are not in the book any more.
func (b *Broker) forget(v *view) {
	for id := range v.known {
		if v.seen[id] {
			continue
		}
		b.drop(id)
		b.mu.Lock()
		delete(b.unwanted, id)
		delete(b.troubles, id)
		b.mu.Unlock()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts = v.counts
}
