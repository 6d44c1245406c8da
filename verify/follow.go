package verify

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// How the feed is followed.
const (
	firstPause = 250 * time.Millisecond
	longPause  = 15 * time.Second
	longWait   = 20 * time.Second
)

// State is what a Verifier knows.
type State struct {
	// Known reports whether everything is known that was revoked more than Config.MaxStale ago.
	Known bool
	// Fresh is the time up to which all is known; zero where the feed was never read to its end.
	Fresh time.Time
	// Position is that of the last entry of the feed; Entries is how many are remembered.
	Position uint64
	Entries  int
	// Unreported is how many uses could not be reported and were given up.
	Unreported uint64
}

// State returns what is known now.
func (v *Verifier) State() State {
	s := State{Known: v.current() == nil, Unreported: v.usage.lost()}
	s.Position, s.Entries = v.index.Load().at()
	if at := v.fresh.Load(); at != 0 {
		s.Fresh = time.Unix(0, at)
	}
	return s
}

// current returns nil while enough is known of what was revoked.
func (v *Verifier) current() error {
	why := "the revocation feed has not been read"
	switch at := v.fresh.Load(); {
	case v.known.Load() && younger(v.cfg.Clock.Now(), time.Unix(0, at), v.cfg.MaxStale):
		return nil
	case at != 0:
		why = "the revocation feed is lost"
	}
	return &tokenboundary.UnavailableError{RetryAfter: time.Second, Err: errors.New("verify: " + why)}
}

// Await returns when the state is known and holds the entries of the feed up to the position, such as that of a revocation
// (lineage.Revocation.Seq); zero is that of none. It returns the context's error when that ends first.
func (v *Verifier) Await(ctx context.Context, position uint64) error {
	return v.until(ctx, func() bool {
		at, _ := v.index.Load().at()
		return at >= position && v.current() == nil
	})
}

// until returns when the condition holds, which is looked at whenever what is known has changed.
func (v *Verifier) until(ctx context.Context, holds func() bool) error {
	for {
		changed := v.moved.wait()
		if holds() {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Run follows the revocation feed and reports usage until ctx ends; then it reports once more what is left, and returns
// the context's error. What goes wrong meanwhile it tries again, with pauses that grow to 15 seconds, and logs. A Verifier
// runs once.
func (v *Verifier) Run(ctx context.Context) error {
	if !v.running.CompareAndSwap(false, true) {
		return errors.New("verify: the Verifier was run before")
	}
	var reporting sync.WaitGroup
	reporting.Go(func() { v.report(ctx) })
	v.follow(ctx)
	reporting.Wait()
	return ctx.Err()
}

// wait is for how long one look at the feed waits for news: so that two of them, one after the other, fit into MaxStale.
func (v *Verifier) wait() time.Duration { return min(v.cfg.MaxStale/3, longWait) }

func (v *Verifier) follow(ctx context.Context) {
	ix, failures := v.index.Load(), 0
	for ctx.Err() == nil {
		began, wait := v.cfg.Clock.Now(), time.Duration(0)
		if v.current() == nil { // else what there is has to be known at once
			wait = v.wait()
		}
		news, err := v.look(ctx, ix, wait)
		switch {
		case ctx.Err() != nil:
			return
		case err == nil:
			v.caughtUp(ctx, ix, began, failures > 0)
			failures = max(failures-1, 0) // one that fails every other time is not asked without a pause
			if !news && v.cfg.Clock.Since(began) < wait/2 {
				v.pause(ctx, firstPause) // it did not wait
			}
			continue
		}
		if failures++; failures == 1 {
			v.cfg.Logger.WarnContext(ctx, "the revocation feed cannot be read", "cause", err)
		}
		if errors.Is(err, tokenboundary.ErrGone) || errors.Is(err, errFeed) {
			// Where it was read to is not in it any more: it is read anew from its beginning.
			v.known.Store(false)
			ix = newIndex(v.cfg.Lifetime, v.cfg.Entries)
			v.moved.wake()
		}
		v.pause(ctx, backoff(err, failures))
	}
}

// look reads what is new, and returns when it has read it all or waited long enough.
func (v *Verifier) look(ctx context.Context, ix *index, wait time.Duration) (news bool, err error) {
	after, _ := ix.at()
	for r, err := range v.cfg.Boundary.Revocations(ctx, after, wait) {
		if err == nil {
			err = ix.add(r)
		}
		if err != nil {
			return news, err
		}
		news = true
		if v.index.Load() == ix {
			v.moved.wake()
		}
	}
	return news, nil
}

// caughtUp notes that ix holds all that the feed held at a moment.
func (v *Verifier) caughtUp(ctx context.Context, ix *index, at time.Time, again bool) {
	ix.sweep(v.latest())
	v.index.Store(ix)
	v.fresh.Store(at.UnixNano())
	if !v.known.Swap(true) || again {
		position, _ := ix.at()
		v.cfg.Logger.InfoContext(ctx, "the revocation feed was read to its end", "position", position)
	}
	v.moved.wake()
}

// backoff returns how long to pause after so many failures: twice as long each time, and not all at once.
func backoff(err error, failures int) time.Duration {
	d := min(firstPause<<min(failures, 10), longPause)
	d = d/2 + rand.N(d/2+1)
	var u *tokenboundary.UnavailableError
	if errors.As(err, &u) {
		d = max(d, min(u.RetryAfter, longPause))
	}
	return d
}

func (v *Verifier) pause(ctx context.Context, d time.Duration) {
	t := v.cfg.Clock.Timer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// signal wakes all who wait, once per call of wake.
type signal struct {
	mu sync.Mutex
	ch chan struct{}
}

func (s *signal) wait() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch == nil {
		s.ch = make(chan struct{})
	}
	return s.ch
}

func (s *signal) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ch != nil {
		close(s.ch)
		s.ch = nil
	}
}
