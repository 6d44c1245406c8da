package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
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
	review   *review
	closer   io.Closer
	position *position // nil where the store is in memory
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
	policies, err := policy.Watch(ctx, cfg.Policies, policy.WatchOptions{Clock: clk, Logger: log, OnChange: review.changed})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Policies, err)
	}
	st, closer, err := openStore(cfg.Store)
	if err != nil {
		return nil, err
	}
	b := &boundary{policies: policies, review: review, closer: closer}
	if err := b.open(ctx, cfg, st, sources, accept, clk, log); err != nil {
		_ = b.Close() // the first problem is the one to tell
		return nil, err
	}
	return b, nil
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
	minter, err := mint.Open(ctx, mint.Config{
		Issuer: cfg.Issuer, Store: st, Alg: cfg.Signing.Alg, Dir: cfg.Signing.Dir, Clock: clk,
		Overlap: overlap(cfg.Lifetimes),
	})
	if err != nil {
		return cfg.Signing.Errorf("%w", err)
	}
	clients := tokenboundary.ClientMap{}
	for _, c := range cfg.Clients {
		clients[c.ID] = c.Client
	}
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: cfg.Issuer, Store: st, Policy: b.policies, Clients: clients, Identities: sources, Minter: minter,
		Lifetimes: cfg.Lifetimes, Env: cfg.Env, Clock: clk, Logger: log,
	})
	if err != nil {
		return err
	}
	b.review.signal = g.Signal
	if cfg.Store.Bolt != "" { // a store in memory has lost everything, and every token with it
		b.position = &position{g: g, store: st, issuer: cfg.Issuer, file: filepath.Join(cfg.Signing.Dir, "position.json")}
		if err := b.position.recognise(ctx, accept, minter.JWKS); err != nil {
			return cfg.Store.Errorf("%w", err)
		}
	}
	b.Handler, err = endpoint.New(g, endpoint.Config{
		JWKS: minter.JWKS, Metadata: metadata(cfg),
		Policies: func() (string, error) { return b.policies.Version(), b.policies.Err() },
		Logger:   log, Clock: clk,
	})
	return err
}

type nothing struct{}

func (nothing) Close() error { return nil }

func openStore(s config.Store) (store.Store, io.Closer, error) {
	if s.Bolt == "" {
		return memory.New(), nothing{}, nil
	}
	st, err := bolt.Open(s.Bolt)
	if err != nil {
		return nil, nil, s.Errorf("%w", err)
	}
	return st, st, nil
}
