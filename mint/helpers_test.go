package mint

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/jose"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer   = "https://boundary.example"
	resource = "https://crm.example.com/"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// flaky is a store that counts its reads, and fails or holds them on demand.
type flaky struct {
	store.Store
	down  atomic.Bool
	reads atomic.Int64
	fail  func(store.Tx) error // what Commit returns after it has applied or not; nil: as it is
	hook  func()               // runs before each commit
}

var errDown = errors.New("store is down")

func (f *flaky) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	f.reads.Add(1)
	if f.down.Load() {
		return nil, errDown
	}
	return f.Store.Heads(ctx, issuer, keys)
}

func (f *flaky) Commit(ctx context.Context, txs []store.Tx) []error {
	if f.down.Load() {
		return []error{errDown}
	}
	if f.hook != nil {
		hook := f.hook
		f.hook = nil
		hook()
	}
	if f.fail != nil {
		if err := f.fail(txs[0]); err != nil {
			return []error{err}
		}
	}
	return f.Store.Commit(ctx, txs)
}

// world is one store, one clock, and any number of nodes.
type world struct {
	t     *testing.T
	clock *clock.Mock
	store *flaky
	dir   string
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, clock: clock.NewMock(), store: &flaky{Store: memory.New()}}
	w.clock.Set(start)
	w.dir = filepath.Join(t.TempDir(), "keys")
	return w
}

func (w *world) config() Config {
	return Config{Issuer: issuer, Store: w.store, Dir: w.dir, Clock: w.clock}
}

func (w *world) open(edit ...func(*Config)) *Mint {
	w.t.Helper()
	cfg := w.config()
	for _, e := range edit {
		e(&cfg)
	}
	m, err := Open(w.t.Context(), cfg)
	require.NoError(w.t, err)
	return m
}

// elsewhere gives a node a directory of its own.
func elsewhere(t *testing.T) func(*Config) {
	return func(c *Config) { c.Dir = filepath.Join(t.TempDir(), "keys") }
}

func (w *world) key(m *Mint) string {
	w.t.Helper()
	kid, err := m.Key(w.t.Context())
	require.NoError(w.t, err)
	return kid
}

// token mints a token with the key of the moment.
func (w *world) token(m *Mint) string {
	w.t.Helper()
	raw, err := m.Mint(w.t.Context(), claims(w.key(m)))
	require.NoError(w.t, err)
	return raw
}

func (w *world) verifies(m *Mint, raw string) {
	w.t.Helper()
	_, err := m.Verify(w.t.Context(), raw)
	require.NoError(w.t, err)
}

// published returns the kids of the JWKS, in order.
func (w *world) published(m *Mint) []string {
	w.t.Helper()
	raw, err := m.JWKS(w.t.Context())
	require.NoError(w.t, err)
	_, err = jose.ParseKeySet(raw)
	require.NoError(w.t, err)
	var set struct{ Keys []struct{ Kid string } }
	require.NoError(w.t, json.Unmarshal(raw, &set))
	kids := []string{}
	for _, k := range set.Keys {
		kids = append(kids, k.Kid)
	}
	return kids
}

func (w *world) revoke(kid string) {
	w.t.Helper()
	require.NoError(w.t, w.store.Commit(w.t.Context(), []store.Tx{{
		Issuer: issuer, Time: w.clock.Now(),
		Revocations: []lineage.Revocation{{Selector: keySelector(kid), At: w.clock.Now(), Reason: "stolen"}},
	}})[0])
}

func id(seed string) string { return lineage.IDOf([]byte(seed)).String() }

func claims(kid string) tokenboundary.Claims {
	return tokenboundary.Claims{
		Issuer: issuer, Subject: "alice", Audience: tokenboundary.Audience{resource},
		ExpiresAt: start.Add(5 * time.Minute).Unix(), IssuedAt: start.Unix(), ID: id("token"),
		ClientID: "support-bot", Scope: "cases:read contacts:read",
		Act:     &tokenboundary.Act{Subject: "support-bot", Issuer: issuer, Act: &tokenboundary.Act{Subject: "desk"}},
		Details: []json.RawMessage{json.RawMessage(`{"note":"a<b & \"ü\"","type":"payment"}`)},
		Grant:   id("grant"), Lineage: []string{id("grant"), id("task")},
		Task:      &tokenboundary.TaskClaim{ID: id("task"), Purpose: "triage"},
		SessionID: "s-1", AuthTime: start.Unix() - 60, ACR: "aal2", AMR: []string{"pwd", "otp"}, Key: kid,
	}
}

// forge signs any header and payload with a key of m.
func forge(t *testing.T, m *Mint, header, payload string) string {
	t.Helper()
	for _, k := range m.held {
		raw, err := k.compact(base64.RawURLEncoding.EncodeToString([]byte(header)), []byte(payload))
		require.NoError(t, err)
		return raw
	}
	t.Fatal("no key")
	return ""
}

// parts returns header and payload of a token as text.
func parts(t *testing.T, raw string) (header, payload string) {
	t.Helper()
	segments := strings.Split(raw, ".")
	require.Len(t, segments, 3)
	h, err := base64.RawURLEncoding.DecodeString(segments[0])
	require.NoError(t, err)
	p, err := base64.RawURLEncoding.DecodeString(segments[1])
	require.NoError(t, err)
	return string(h), string(p)
}

// unmarked is a store that has forgotten all revocations.
type unmarked struct{ store.Store }

func (unmarked) Revoked(context.Context, string, []lineage.Selector) ([]lineage.Mark, error) {
	return nil, nil
}

// encodeClaims returns the payload of a token.
func encodeClaims(c tokenboundary.Claims) ([]byte, error) { return appendClaims(nil, c) }
