package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
)

// reviewer is what a review after a change of policies is recorded under.
var reviewer = tokenboundary.Client{ID: "policy-reload", Kind: tokenboundary.KindOperator}

// reviewPause is how long a review that failed waits before it is tried again.
const reviewPause = 5 * time.Second

// review decides live tokens anew by the policies in force, whenever these have changed and once at the start, since the
// store may hold tokens of another set. One runs at a time; whatever changes meanwhile is one more afterwards.
type review struct {
	signal func(context.Context, tokenboundary.Client, tokenboundary.Signal) (tokenboundary.Outcome, error)
	clock  clock.Clock
	log    *slog.Logger
	wanted chan struct{} // has one place: it says that there was a change, not how many

	kept, revoked atomic.Uint64 // tokens, since the start
}

// newReview returns a review that is wanted. Its signal is to be set before it is followed.
func newReview(clk clock.Clock, log *slog.Logger) *review {
	r := &review{clock: clk, log: log, wanted: make(chan struct{}, 1)}
	r.changed("", nil)
	return r
}

// changed is told what policies say when they were loaded. It does not wait.
func (r *review) changed(_ string, refused error) {
	if refused != nil {
		return // the set in force has not changed
	}
	select {
	case r.wanted <- struct{}{}:
	default:
	}
}

// follow reviews until ctx ends or the returned function is called, which waits for the end.
func (r *review) follow(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.wanted:
				r.finish(ctx)
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// finish reviews until nothing is left to be decided anew. A change ends the pause after a failure.
func (r *review) finish(ctx context.Context) {
	for !r.once(ctx) && ctx.Err() == nil {
		pause := r.clock.Timer(reviewPause)
		select {
		case <-ctx.Done():
		case <-r.wanted:
		case <-pause.C:
		}
		pause.Stop()
	}
}

// once reviews, logs what came of it, and reports whether that was all.
func (r *review) once(ctx context.Context) (complete bool) {
	out, err := r.signal(ctx, reviewer, tokenboundary.Signal{Reloaded: true})
	r.kept.Add(uint64(out.Kept))
	r.revoked.Add(uint64(out.Revoked))
	counts := []any{"examined", out.Examined, "kept", out.Kept, "revoked", out.Revoked}
	switch {
	case err == nil && out.Complete:
		r.log.InfoContext(ctx, "live tokens were decided anew", counts...)
		return true
	case ctx.Err() != nil: // the end; the next start goes on
	case err != nil:
		r.log.ErrorContext(ctx, "live tokens cannot be decided anew; it is tried again", "cause", err)
	default:
		r.log.WarnContext(ctx, "some live tokens are still to be decided anew; it goes on", counts...)
	}
	return false
}
