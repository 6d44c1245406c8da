package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Config is what a Governor is made of. Issuer, Store, Policy and Clients are required.
type Config struct {
	// Issuer is the exact issuer of the boundary's tokens: an absolute URL without query or fragment. One issuer is
	// one tenant; several may share a store.
	Issuer string
	// Store keeps the state. New puts store.Coalesce in front of it.
	Store   store.Store
	Policy  Policy
	Clients Clients
	// Identities verify credentials, of clients as well as of subjects and actors; they are tried in order.
	Identities []IdentitySource
	// Minter signs tokens. Nil: the host does, and only Decide and Record can be used.
	Minter Minter
	// Chain may refuse a delegation that the boundary's own rules allow. Nil adds nothing.
	Chain ChainRule
	// Details are the known types of authorization_details. An entry of any other type is refused.
	Details   map[string]DetailType
	Lifetimes Lifetimes
	// Env is the first value of the facts that policies see as env, used where the store has none yet.
	Env map[string]any
	// DenialRate is how many denials per client and minute are recorded one by one; above it they are only counted.
	// Zero: 60.
	DenialRate int
	// Deferrals is how many deferred requests of one client may be pending. Zero: 10.
	Deferrals int
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
	// Logger receives what operators should see. Nil: nothing is logged.
	Logger *slog.Logger
}

// ChainRule refuses delegations, for example between tenants. Extend is called when actor joins chain (the current
// actor first); an error refuses the request.
type ChainRule interface {
	Extend(ctx context.Context, chain []lineage.Party, actor Principal) error
}

// DetailType knows one type of authorization_details (RFC 9396).
type DetailType interface {
	// Covers reports whether what parent grants includes all that child asks for. Both are canonical JSON objects of
	// this type. An error refuses child: what cannot be decided is not covered.
	Covers(parent, child json.RawMessage) (bool, error)
}

// Lifetimes bounds how long things live. A zero field takes the default in its comment.
type Lifetimes struct {
	AccessToken time.Duration // of an access token at most, and where policy says nothing: 5 min
	Task        time.Duration // of a task at most, and where the request says nothing: 1 h
	// RefreshToken bounds a refresh family from its first token on: 8 h. RefreshIdle ends one that is not used for so
	// long: the same. RefreshGrace is for how long a refresh token that was used may be repeated: not at all.
	RefreshToken time.Duration
	RefreshIdle  time.Duration
	RefreshGrace time.Duration
	Approval     time.Duration // how long a request waits for an approval at most: 10 min
	ClockLeeway  time.Duration // by how much clocks may differ: 5 s
}

// Governor is the boundary of one issuer. It is safe for concurrent use; make it with New.
type Governor struct {
	cfg     Config
	env     []byte // Config.Env
	known   atomic.Pointer[env]
	secret  atomic.Pointer[[]byte]
	denials denials
	flights *barrier  // the decisions under way
	written broadcast // to the feed

	seen            atomic.Int64 // the latest time, in milliseconds
	raised          atomic.Bool  // the longest life is in the store
	differs         atomic.Bool  // it was said that the store holds other facts
	unauthenticated atomic.Uint64
	unrecorded      atomic.Uint64
}

// New returns a Governor. The error names the field of cfg that it cannot work with.
func New(cfg Config) (*Governor, error) {
	switch u, err := url.Parse(cfg.Issuer); {
	case err != nil || u.Scheme == "" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || canon.Name(cfg.Issuer) != nil:
		return nil, errors.New("tokenboundary: Config.Issuer must be an absolute URL without query and fragment")
	case cfg.Store == nil:
		return nil, errors.New("tokenboundary: Config.Store is required")
	case cfg.Policy == nil:
		return nil, errors.New("tokenboundary: Config.Policy is required")
	case cfg.Clients == nil:
		return nil, errors.New("tokenboundary: Config.Clients is required")
	case slices.Contains(cfg.Identities, nil):
		return nil, errors.New("tokenboundary: Config.Identities has a nil source")
	case cfg.DenialRate < 0 || cfg.Deferrals < 0:
		return nil, errors.New("tokenboundary: Config.DenialRate or Config.Deferrals is negative")
	}
	if err := cfg.Lifetimes.complete(); err != nil {
		return nil, err
	}
	for name, t := range cfg.Details {
		if t == nil || name == "task" || canon.Name(name) != nil {
			return nil, fmt.Errorf("tokenboundary: Config.Details[%q] cannot be used", name)
		}
	}
	if cfg.Env == nil {
		cfg.Env = map[string]any{}
	}
	env, err := json.Marshal(cfg.Env)
	if err != nil {
		return nil, fmt.Errorf("tokenboundary: Config.Env is not plain data: %w", err)
	}
	cfg.Identities, cfg.Details = slices.Clone(cfg.Identities), maps.Clone(cfg.Details)
	cfg.Store = store.Coalesce(cfg.Store)
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.DenialRate == 0 {
		cfg.DenialRate = 60
	}
	if cfg.Deferrals == 0 {
		cfg.Deferrals = 10
	}
	return &Governor{cfg: cfg, env: env, flights: newBarrier()}, nil
}

func (l *Lifetimes) complete() error {
	for _, f := range []struct {
		name  string
		value *time.Duration
		unset time.Duration
	}{
		{"AccessToken", &l.AccessToken, 5 * time.Minute},
		{"Task", &l.Task, time.Hour},
		{"RefreshToken", &l.RefreshToken, 8 * time.Hour},
		{"RefreshIdle", &l.RefreshIdle, 0},
		{"RefreshGrace", &l.RefreshGrace, 0},
		{"Approval", &l.Approval, 10 * time.Minute},
		{"ClockLeeway", &l.ClockLeeway, 5 * time.Second},
	} {
		if *f.value < 0 {
			return fmt.Errorf("tokenboundary: Config.Lifetimes.%s is negative", f.name)
		}
		if *f.value == 0 {
			*f.value = f.unset
		}
	}
	if l.RefreshIdle == 0 {
		l.RefreshIdle = l.RefreshToken
	}
	return nil
}

// life returns how long anything that is issued lives at most.
func (l Lifetimes) life() time.Duration {
	return max(l.AccessToken, l.Task, l.RefreshToken, l.Approval)
}

// Issuer returns the exact issuer of the boundary's tokens.
func (g *Governor) Issuer() string { return g.cfg.Issuer }

// now returns the time in the precision that records keep.
func (g *Governor) now() time.Time { return lineage.Time(g.cfg.Clock.Now()) }

// latest returns the latest time that was seen: after the clock went back, what had ended stays ended.
func (g *Governor) latest() time.Time {
	for {
		now, seen := g.now(), g.seen.Load()
		if now.UnixMilli() <= seen {
			return time.UnixMilli(seen).UTC()
		}
		if g.seen.CompareAndSwap(seen, now.UnixMilli()) {
			return now
		}
	}
}
