package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// boundary is what a configuration makes: something that answers requests, its policies, and what is to be closed.
type boundary struct {
	http.Handler
	policies *policy.Watched
	trial    *policy.Watched // nil where no set is on trial
	review   *review
	metrics  *metrics
	closer   io.Closer
	position *position   // nil where the store is in memory
	months   *partitions // nil where none are kept
	keeps    *retention  // nil where everything is kept
	brokers  []*brokered
}

// Close closes the store. No request may be under way.
func (b *boundary) Close() error { return b.closer.Close() }

// build makes the boundary that cfg describes. Its policies are watched until ctx ends. A store that has lost what was
// seen in it is refused, unless it is accepted.
func build(ctx context.Context, cfg *config.Config, accept bool, log *slog.Logger) (*boundary, error) {
	clk := clock.New()
	sources, err := identities(cfg, clk)
	if err != nil {
		return nil, err
	}
	review := newReview(clk, log)
	b := &boundary{review: review, metrics: &metrics{review: review, loads: map[string]*loads{"live": {}, "trial": {}}}}
	if err := b.watch(ctx, cfg, clk, log); err != nil {
		return nil, err
	}
	st, closer, err := b.openStore(ctx, cfg.Store, clk, log)
	if err != nil {
		return nil, cfg.Store.Errorf("%w", err)
	}
	b.closer = closer
	if err := b.open(ctx, cfg, st, sources, accept, clk, log); err != nil {
		_ = b.Close() // the first problem is the one to tell
		return nil, err
	}
	return b, nil
}

// watch loads the policies, and those on trial. After a change of those in force, live tokens are decided anew.
func (b *boundary) watch(ctx context.Context, cfg *config.Config, clk clock.Clock, log *slog.Logger) (err error) {
	b.policies, err = policy.Watch(ctx, cfg.Policies, policy.WatchOptions{
		Clock: clk, Logger: log, OnChange: func(version string, err error) {
			b.metrics.loads["live"].count(err)
			b.review.changed(version, err)
		},
	})
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Policies, err)
	}
	if cfg.Shadow == "" {
		return nil
	}
	b.trial, err = policy.Watch(ctx, cfg.Shadow, policy.WatchOptions{
		Clock: clk, Logger: log.With("set", "trial"), OnChange: func(_ string, err error) { b.metrics.loads["trial"].count(err) },
	})
	if err != nil {
		return fmt.Errorf("%s: %w", cfg.Shadow, err)
	}
	return nil
}

// decides returns the policy that decides: the one in force, with the one on trial beside it where there is one.
func (b *boundary) decides() tokenboundary.Policy {
	m := b.metrics
	m.policies, m.trial = b.policies, b.trial
	if b.trial == nil {
		return b.policies
	}
	m.shadow = policy.Shadow(b.policies, b.trial, policy.ShadowOptions{})
	return m.shadow
}

// minOverlap is for how long a key that was replaced verifies at least.
const minOverlap = 2 * time.Hour

// overlap is for how long it verifies: until the last token that it signed has expired, and until the last task has ended
// that one of them stands for, since who presents that token to be revoked ends the task. A refresh token is not signed.
func overlap(l tokenboundary.Lifetimes) time.Duration {
	return max(minOverlap, l.AccessToken+time.Minute, l.Task+time.Minute)
}

func (b *boundary) open(ctx context.Context, cfg *config.Config, st store.Store, sources []tokenboundary.IdentitySource,
	accept bool, clk clock.Clock, log *slog.Logger,
) error {
	clients := tokenboundary.ClientMap{}
	for _, c := range cfg.Clients {
		clients[c.ID] = c.Client
	}
	all := tokenboundary.Config{
		Issuer: cfg.Issuer, Store: store.Coalesce(st), Policy: b.decides(), Clients: clients, Identities: sources,
		Lifetimes: cfg.Lifetimes, Env: cfg.Env, Details: details(cfg), Clock: clk, Logger: log,
	}
	if cfg.Store.Durable() { // a store in memory has lost everything, and every token with it
		if err := b.recognise(ctx, cfg, all, accept); err != nil {
			return cfg.Store.Errorf("%w", err)
		}
	}
	minter, err := mint.Open(ctx, mint.Config{
		Issuer: cfg.Issuer, Store: st, Alg: cfg.Signing.Alg, Dir: cfg.Signing.Dir, Clock: clk,
		Overlap: overlap(cfg.Lifetimes),
	})
	if err != nil {
		return cfg.Signing.Errorf("%w", err)
	}
	all.Minter = minter
	g, err := tokenboundary.New(all)
	if err != nil {
		return err
	}
	if err := b.position.accept(ctx, g, minter.JWKS); err != nil {
		return cfg.Store.Errorf("%w", err)
	}
	if b.brokers, err = brokers(ctx, cfg, g, clk, log); err != nil {
		return err
	}
	b.review.signal, b.metrics.health, b.metrics.brokers = g.Signal, g.Health, b.brokers
	if b.keeps = retentionOf(cfg, clk, log); b.keeps != nil {
		b.keeps.prune = g.Prune
	}
	b.Handler, err = endpoint.New(g, endpoint.Config{
		JWKS: minter.JWKS, Metadata: metadata(cfg),
		Policies: func() (string, error) { return b.policies.Version(), b.policies.Err() },
		Logger:   log, Clock: clk,
	})
	return err
}

// recognise lets the position look at the store before any key of this node is published in it: by a Governor without keys.
func (b *boundary) recognise(ctx context.Context, cfg *config.Config, all tokenboundary.Config, accept bool) error {
	g, err := tokenboundary.New(all)
	if err != nil {
		return err
	}
	b.position = &position{g: g, store: all.Store, issuer: cfg.Issuer, dir: cfg.Signing.Dir, clock: all.Clock}
	return b.position.recognise(ctx, accept)
}

type nothing struct{}

func (nothing) Close() error { return nil }

func (b *boundary) openStore(ctx context.Context, s config.Store, clk clock.Clock, log *slog.Logger) (store.Store, io.Closer, error) {
	switch {
	case s.Bolt != "":
		st, err := bolt.Open(s.Bolt)
		return st, st, err
	case s.Postgres != nil:
		if s.Postgres.Migrate {
			b.months = partitionsOf(s.Postgres, clk, log)
		}
		st, err := openPostgres(ctx, s.Postgres, b.months)
		return st, st, err
	}
	return memory.New(), nothing{}, nil
}
