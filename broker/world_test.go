package broker_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer   = "https://boundary.example"
	resource = "https://legacy.example.com/"
)

var rules = fstest.MapFS{"agents/bot.yaml": {Data: []byte(`
bind: {client: [bot, other, bound], connection: [erp, side], resource: https://legacy.example.com/}
default_scopes: [read]
allow:
  - {rule: work, when: "true", scopes: [read, write], refresh: true}
  - {rule: exports, when: "true", scopes: [export], deliver: true}
  - {rule: tokens-alone, when: grant != "lease", scopes: [unleased]}
deny:
  - {rule: frozen, when: env.frozen == client.id}
limits: {derivations: 100000}
`)}}

// world is a boundary and a broker of it, on a clock that only the test moves, in front of a system that knows nothing of
// either.
type world struct {
	testing.TB
	ctx    context.Context
	clock  *clock.Mock
	store  store.Store
	minter tb.Minter
	client tb.Client
	gov    *tb.Governor
	legacy *legacy
	log    *safeBuffer
	cfg    broker.Config

	detailed bool // authorization_details are granted
	*broker.Broker
}

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

func newWorld(t testing.TB, change ...func(*world)) *world {
	w := &world{TB: t, ctx: t.Context(), clock: clock.NewMock(), store: memory.New(), log: &safeBuffer{}, legacy: newLegacy()}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	var err error
	w.minter, err = mint.Open(w.ctx, mint.Config{Issuer: issuer, Store: memory.New(), Dir: t.TempDir(), Clock: w.clock})
	require.NoError(t, err)
	w.client = tb.Client{ID: "broker", Kind: tb.KindResource, Resource: resource, Connections: []string{"erp"}}
	for _, c := range change {
		c(w)
	}
	w.restart()
	return w
}

// restart makes a new Governor and a new Broker over what is stored, as after a crash.
func (w *world) restart() {
	grants := []tb.Grant{tb.ClientCredentials, tb.Exchange}
	set, err := policy.Load(rules)
	require.NoError(w, err)
	var rules tb.Policy = set
	if w.detailed {
		rules = grantingDetails(set)
	}
	w.gov, err = tb.New(tb.Config{
		Details: map[string]tb.DetailType{broker.HTTPRequestType: anyDetail{}, "payment": anyDetail{}},
		Issuer:  issuer, Store: w.store, Policy: rules, Minter: w.minter, Clock: w.clock, Env: map[string]any{"frozen": ""},
		Clients: tb.ClientMap{
			"bot":   {ID: "bot", Kind: tb.KindAgent, Grants: grants, Connections: []string{"erp", "side"}},
			"other": {ID: "other", Kind: tb.KindAgent, Grants: grants, Connections: []string{"erp"}},
			"bound": {ID: "bound", Kind: tb.KindAgent, Grants: grants, Connections: []string{"erp"}, Binding: tb.BindingOptional},
		},
		Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
	})
	require.NoError(w, err)
	w.Broker = w.node()
}

// node is another process of the same registration.
func (w *world) node() *broker.Broker {
	cfg := w.cfg
	cfg.Governor, cfg.Client, cfg.Clock = w.gov, w.client, w.clock
	cfg.Logger = slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	if cfg.Providers == nil {
		cfg.Providers = map[string]broker.Provider{"erp": w.legacy}
	}
	if cfg.Sealer == nil {
		cfg.Sealer = xor{}
	}
	b, err := broker.New(cfg)
	require.NoError(w, err)
	return b
}

// task is a new task of the client: its token, for all that the broker's resource has.
func (w *world) task(client string, life ...time.Duration) tb.Token {
	w.Helper()
	most := uint64(100000)
	req := tb.Request{
		Grant: tb.ClientCredentials, Client: verified(client), Connection: "erp", Resource: []string{resource},
		Scopes: []string{"export", "read", "write"}, Task: &tb.TaskSpec{Purpose: "work", MaxDerivations: &most},
	}
	if len(life) > 0 {
		req.Lifetime = life[0]
	}
	tok, err := w.gov.Issue(w.ctx, req)
	require.NoError(w, err)
	return tok
}

func verified(client string) tb.Credential {
	return tb.Credential{Type: "host", ID: client, Verified: &tb.Principal{Party: lineage.Party{ID: client, Issuer: issuer}, Identity: true}}
}

func asking(tok tb.Token, scopes ...string) tb.LeaseRequest {
	return tb.LeaseRequest{Token: tb.Credential{Type: tb.TypeAccessToken, Value: tok.Value()}, Scopes: scopes}
}

// lease makes a lease for reading.
func (w *world) lease(tok tb.Token) *broker.Lease {
	w.Helper()
	l, err := w.Lease(w.ctx, asking(tok, "read"))
	require.NoError(w, err)
	return l
}

// logsIn reports whether the lease can be used, and its credential is good for something.
func (w *world) logsIn(l *broker.Lease) error {
	return l.Use(w.ctx, func(_ context.Context, s broker.Secret) error {
		require.True(w, w.legacy.login(s), "a credential that may be used is good")
		return nil
	})
}

// open returns the leases that are in the book.
func (w *world) open() []tb.Lease {
	w.Helper()
	var out []tb.Lease
	for l, err := range w.gov.Leases(w.ctx, w.client, lineage.ID{}) {
		require.NoError(w, err)
		out = append(out, l)
	}
	return out
}

func (w *world) sweep() {
	w.Helper()
	require.NoError(w, w.Sweep(w.ctx))
}

func (w *world) cut(sel string) {
	w.Helper()
	s, err := lineage.ParseSelector(sel)
	require.NoError(w, err)
	_, err = w.gov.Revoke(w.ctx, ops, lineage.Revocation{Selector: s})
	require.NoError(w, err)
}

// xor seals for tests: what it seals is bound to what it is about.
type xor struct{}

func (xor) Seal(_ context.Context, about string, plain []byte) ([]byte, error) {
	return append([]byte(about+"\x00"), flip(plain)...), nil
}

func (xor) Open(_ context.Context, about string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(about+"\x00"))
	if !ok {
		return nil, errAbout
	}
	return flip(rest), nil
}

func flip(in []byte) []byte {
	out := bytes.Clone(in)
	for i := range out {
		out[i] ^= 0x5a
	}
	return out
}

// safeBuffer is a log that may be written while it is read.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
