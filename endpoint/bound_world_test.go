package endpoint_test

import (
	"context"
	"encoding/json"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// counting is a store that counts what it is asked.
type counting struct {
	store.Store
	reads, writes atomic.Int64
}

func (c *counting) Commit(ctx context.Context, txs []store.Tx) []error {
	c.writes.Add(1)
	return c.Store.Commit(ctx, txs)
}

func (c *counting) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	c.reads.Add(1)
	return c.Store.Get(ctx, issuer, ids)
}

func (c *counting) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	c.reads.Add(1)
	return c.Store.Heads(ctx, issuer, keys)
}

func (c *counting) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	c.reads.Add(1)
	return c.Store.Revoked(ctx, issuer, sels)
}

func (c *counting) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	c.reads.Add(1)
	return c.Store.Scan(ctx, issuer, sel, from)
}

func (c *counting) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	c.reads.Add(1)
	return c.Store.Feed(ctx, issuer, after)
}

// bounded is a boundary whose work is measured: real governor, keys and client authentication, a store that counts, and a
// log at its most talkative.
type bounded struct {
	testing.TB
	http.Handler
	endpoint *endpoint.Handler
	clock    *clock.Mock
	store    *counting
	keys     keyring
	fetches  atomic.Int64 // of the key set of the client "remote"
}

func newBounded(t testing.TB) *bounded {
	b := &bounded{TB: t, clock: clock.NewMock(), store: &counting{Store: memory.New()}, keys: keysOnce()}
	b.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	m, err := mint.Open(t.Context(), mint.Config{Issuer: issuer, Store: b.store, Signer: b.keys.honest, Clock: b.clock})
	require.NoError(t, err)
	log := slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelDebug}))
	grants := []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh}
	registered := tokenboundary.ClientMap{"ops": {ID: "ops", Kind: tokenboundary.KindOperator}}
	auth := identity.ClientsConfig{Issuer: issuer, Clock: b.clock, HTTPClient: &http.Client{Transport: b}}
	auth.Clients = append(auth.Clients, identity.ClientAuth{ID: "ops", Secret: longSecret})
	for id, set := range b.keys.sets {
		registered[id] = tokenboundary.Client{ID: id, Kind: tokenboundary.KindAgent, Grants: grants, Connections: []string{"prod"}}
		auth.Clients = append(auth.Clients, b.registration(id, set))
	}
	clientSource, err := identity.Clients(auth)
	require.NoError(t, err)
	proofs, err := identity.DPoP(identity.DPoPConfig{Clock: b.clock})
	require.NoError(t, err)
	all, err := identity.Sources(clientSource, proofs)
	require.NoError(t, err)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: b.store, Minter: m, Clock: b.clock, Clients: registered, Identities: all, Logger: log,
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return grantsMost(f), nil
		}),
	})
	require.NoError(t, err)
	b.endpoint, err = endpoint.New(g, endpoint.Config{JWKS: m.JWKS, Clock: b.clock, Logger: log})
	require.NoError(t, err)
	b.Handler = b.endpoint
	return b
}

// registration says how a client with keys authenticates: by a file, except for "remote".
func (b *bounded) registration(id string, set json.RawMessage) identity.ClientAuth {
	a := identity.ClientAuth{ID: id, Algs: []string{"ES256", "ES384", "ES512", "EdDSA", "RS256", "RS512", "PS512"}}
	if id == "remote" {
		a.JWKSURI = "https://remote.example/jwks.json"
		return a
	}
	a.JWKSFile = filepath.Join(b.TempDir(), id)
	require.NoError(b, os.WriteFile(a.JWKSFile, set, 0o600))
	return a
}

// cost is the work that a request has caused.
type cost struct {
	bytes, allocs uint64
	reads, writes int64
}

// serve answers r and returns the answer with what it has cost. Nothing else may run.
func (b *bounded) serve(r *http.Request) (*plainWriter, cost) {
	w := newPlainWriter()
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	reads, writes := b.store.reads.Load(), b.store.writes.Load()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ServeHTTP(w, r)
	runtime.ReadMemStats(&after)
	return w, cost{
		after.TotalAlloc - before.TotalAlloc, after.Mallocs - before.Mallocs,
		b.store.reads.Load() - reads, b.store.writes.Load() - writes,
	}
}

// plainWriter keeps an answer and costs nothing by itself.
type plainWriter struct {
	header http.Header
	status int
	body   []byte
}

func newPlainWriter() *plainWriter {
	return &plainWriter{header: http.Header{}, body: make([]byte, 0, 64<<10)}
}

func (w *plainWriter) Header() http.Header    { return w.header }
func (w *plainWriter) WriteHeader(status int) { w.status = status }

func (w *plainWriter) Write(p []byte) (int, error) {
	w.body = append(w.body, p...)
	return len(p), nil
}

// code returns the error that an answer names.
func (w *plainWriter) code() string {
	var body struct{ Error string }
	_ = json.Unmarshal(w.body, &body)
	return body.Error
}
