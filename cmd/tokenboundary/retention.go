package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

const (
	// pruneEvery is how often it is seen to that what is over is forgotten.
	pruneEvery = time.Hour
	// pruneTime is how long one run takes at most, and prunePause how long the next one waits where that was not enough.
	pruneTime  = 30 * time.Second
	prunePause = time.Second
)

// pruner is what forgetting is recorded under.
var pruner = tokenboundary.Client{ID: "retention", Kind: tokenboundary.KindOperator}

// retention forgets what is over, at the start and every hour. Every node does: what one has forgotten is gone for all.
type retention struct {
	tokenboundary.Retention
	prune func(context.Context, tokenboundary.Client, tokenboundary.Retention) (tokenboundary.Pruned, error)
	drop  func(ctx context.Context, before time.Time) (months int, err error) // nil where there are no partitions to drop
	clock clock.Clock
	log   *slog.Logger
}

// retentionOf returns what forgets in the store that is configured; nil where everything is kept.
func retentionOf(cfg *config.Config, clk clock.Clock, log *slog.Logger) *retention {
	if cfg.Retention.Keep == 0 {
		return nil
	}
	r := &retention{Retention: cfg.Retention, clock: clk, log: log}
	if p := cfg.Store.Postgres; p != nil && p.Migrate {
		r.drop = func(ctx context.Context, before time.Time) (int, error) {
			return postgres.DropPartitions(ctx, string(p.DSN), p.Options, before)
		}
	}
	return r
}

// follow forgets until ctx ends or the returned function is called, which waits for the end.
func (r *retention) follow(ctx context.Context) (stop func()) {
	if r == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			pause := r.clock.Timer(r.once(ctx))
			select {
			case <-ctx.Done():
			case <-pause.C:
			}
			pause.Stop()
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// once forgets for a while, and returns after which pause to go on. What was forgotten the Governor logs.
func (r *retention) once(ctx context.Context) (pause time.Duration) {
	limited, cancel := r.clock.WithTimeout(ctx, pruneTime)
	defer cancel()
	switch out, err := r.prune(limited, pruner, r.Retention); {
	case ctx.Err() != nil:
		return pruneEvery
	case err != nil:
		r.log.ErrorContext(ctx, "what is over cannot be forgotten; it is tried again", "cause", err)
		return pruneEvery
	case !out.Complete:
		return prunePause
	}
	if r.drop == nil {
		return pruneEvery
	}
	months, err := r.drop(ctx, r.clock.Now().Add(-r.Keep))
	switch {
	case err != nil && ctx.Err() == nil:
		r.log.WarnContext(ctx, "months of which nothing is left still take up space", "cause", err)
	case months > 0:
		r.log.InfoContext(ctx, "months of which nothing is left were dropped", "months", months)
	}
	return pruneEvery
}
