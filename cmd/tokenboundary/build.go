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
	"github.com/tokenboundary/tokenboundary/identity"
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
	policies, err := policy.Watch(ctx, cfg.Policies, policy.WatchOptions{Clock: clk, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cfg.Policies, err)
	}
	st, closer, err := openStore(cfg.Store)
	if err != nil {
		return nil, err
	}
	b := &boundary{policies: policies, closer: closer}
	if err := b.open(ctx, cfg, st, sources, accept, clk, log); err != nil {
		_ = b.Close() // the first problem is the one to tell
		return nil, err
	}
	return b, nil
}

// minOverlap is for how long a key that was replaced verifies at least.
const minOverlap = 2 * time.Hour

func (b *boundary) open(ctx context.Context, cfg *config.Config, st store.Store, sources []tokenboundary.IdentitySource,
	accept bool, clk clock.Clock, log *slog.Logger,
) error {
	minter, err := mint.Open(ctx, mint.Config{
		Issuer: cfg.Issuer, Store: st, Alg: cfg.Signing.Alg, Dir: cfg.Signing.Dir, Clock: clk,
		Overlap: max(minOverlap, cfg.Lifetimes.AccessToken+time.Minute),
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
	if cfg.Store.Bolt != "" { // a store in memory has lost everything, and every token with it
		b.position = &position{g: g, store: st, issuer: cfg.Issuer, file: filepath.Join(cfg.Signing.Dir, "position.json")}
		if err := b.position.recognise(ctx, accept, minter.JWKS); err != nil {
			return cfg.Store.Errorf("%w", err)
		}
	}
	b.Handler, err = endpoint.New(g, endpoint.Config{
		JWKS:     minter.JWKS,
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

// identities returns the sources that authenticate clients and everyone else.
func identities(cfg *config.Config, clk clock.Clock) ([]tokenboundary.IdentitySource, error) {
	clients, err := clientSource(cfg, clk)
	if err != nil {
		return nil, err
	}
	list := []*identity.Source{clients}
	for _, t := range cfg.Trust {
		s, err := trusted(t, cfg.Lifetimes.ClockLeeway, clk)
		if err == nil {
			list = append(list, s)
			_, err = identity.Sources(list...) // a contradiction is reported where it arises
		}
		if err != nil {
			return nil, t.Errorf("%w", err)
		}
	}
	return identity.Sources(list...)
}

// trusted returns the source of one entry of trust.
func trusted(t config.Trust, leeway time.Duration, clk clock.Clock) (*identity.Source, error) {
	switch t.Kind {
	case "oidc":
		return identity.OIDC(identity.OIDCConfig{
			Issuer: t.Issuer, Audience: t.Audience, SubjectPrefix: t.SubjectPrefix, Session: t.Session,
			JWKSFile: t.Keys.File, JWKSURI: t.Keys.URI, Leeway: leeway, Clock: clk,
		})
	case "spiffe":
		return identity.SPIFFE(identity.SPIFFEConfig{
			TrustDomain: t.Domain, BundleFile: t.Bundle, Audience: t.Audience, Session: t.Session, Leeway: leeway, Clock: clk,
		})
	case "kubernetes":
		return identity.Kubernetes(identity.KubernetesConfig{
			Issuer: t.Issuer, Audience: t.Audience, SubjectPrefix: t.SubjectPrefix, MaxLifetime: t.MaxLifetime,
			JWKSFile: t.Keys.File, JWKSURI: t.Keys.URI, Leeway: leeway, Clock: clk,
		})
	}
	return nil, fmt.Errorf("a source of kind %q is not supported", t.Kind)
}

// clientSource returns the source by which clients authenticate. Each client is also tried by itself, so that a key
// file that cannot be used is reported where it is named.
func clientSource(cfg *config.Config, clk clock.Clock) (*identity.Source, error) {
	c := identity.ClientsConfig{Issuer: cfg.Issuer, Leeway: cfg.Lifetimes.ClockLeeway, Clock: clk}
	for _, cl := range cfg.Clients {
		auth := identity.ClientAuth{ID: cl.ID, Secret: string(cl.Auth.Secret)}
		if k := cl.Auth.Assertion; k != nil {
			auth.JWKSFile, auth.JWKSURI = k.File, k.URI
		}
		one := c
		one.Clients = []identity.ClientAuth{auth}
		if _, err := identity.Clients(one); err != nil {
			return nil, cl.Errorf("%w", err)
		}
		c.Clients = append(c.Clients, auth)
	}
	return identity.Clients(c)
}
