package gate_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example"
	crm    = "https://crm.example/"
	mail   = "https://mail.example/"

	callerSecret = gate.Secret("canary-of-the-server-1")
	nextSecret   = gate.Secret("canary-of-the-server-2")
)

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

// world is a boundary that mints nothing itself: real governor, store and client authentication, on a clock that only the
// test moves.
type world struct {
	*testing.T
	*tb.Governor
	clock  *clock.Mock
	store  *faulty
	log    *logBuffer
	rules  *rules
	facts  []tb.Facts
	key    *ecdsa.PrivateKey // of the client signer
	serial int
}

// rules are what the policy grants: up to the ceiling, all scopes of a request that stand here.
type rules struct {
	scopes   []string
	lifetime time.Duration
	refresh  bool
	err      error
	until    bool // waits until nobody waits for it
	approval bool // support-leads must agree
}

func newWorld(t *testing.T) *world {
	w := &world{T: t, clock: clock.NewMock(), store: &faulty{Store: memory.New()}, log: &logBuffer{},
		rules: &rules{scopes: []string{"read", "write"}, lifetime: 5 * time.Minute, refresh: true}}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	all := []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}
	clients := tb.ClientMap{"ops": ops}
	auth := identity.ClientsConfig{Issuer: issuer, Clock: w.clock}
	for _, id := range []string{"bot", "other", "nowhere"} {
		clients[id] = tb.Client{ID: id, Kind: tb.KindAgent, Grants: all, Connections: []string{"prod"}}
		auth.Clients = append(auth.Clients, identity.ClientAuth{ID: id, Secret: secretOf(id)})
	}
	clients["signer"] = tb.Client{ID: "signer", Kind: tb.KindAgent, Grants: all, Connections: []string{"prod"}}
	auth.Clients = append(auth.Clients, identity.ClientAuth{ID: "signer", JWKSFile: w.keys()})
	byClient, err := identity.Clients(auth)
	require.NoError(t, err)
	w.Governor, err = tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Clients: clients, Clock: w.clock, Identities: []tb.IdentitySource{byClient},
		Policy: tb.PolicyFunc(w.evaluate), Logger: slog.New(slog.NewJSONHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	require.NoError(t, err)
	return w
}

// keys makes the key of the client signer, and returns the file with its key set.
func (w *world) keys() string {
	var err error
	w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w, err)
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(w, err)
	file := filepath.Join(w.TempDir(), "jwks.json")
	require.NoError(w, os.WriteFile(file, raw, 0o600))
	return file
}

// assertion is a new assertion of the client signer (RFC 7523).
func (w *world) assertion() string {
	w.serial++
	now := w.clock.Now().Unix()
	claims, err := json.Marshal(map[string]any{
		"iss": "signer", "sub": "signer", "aud": issuer, "iat": now, "exp": now + 60, "jti": fmt.Sprint("j", w.serial),
	})
	require.NoError(w, err)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: w.key}, (&jose.SignerOptions{}).WithHeader("kid", "k"))
	require.NoError(w, err)
	jws, err := signer.Sign(claims)
	require.NoError(w, err)
	out, err := jws.CompactSerialize()
	require.NoError(w, err)
	return out
}

// secretOf is the secret of a client at the boundary.
func secretOf(id string) string { return "canary-at-the-boundary-of-" + id }

func (w *world) evaluate(ctx context.Context, f tb.Facts) (tb.Verdict, error) {
	w.facts = append(w.facts, f)
	if w.rules.until {
		<-ctx.Done()
	}
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/hidden/" + f.Client.ID, Version: "v1", Resources: f.Resources, Lifetime: w.rules.lifetime, Depth: 3,
		Derivations: 100,
	}
	if w.rules.approval {
		v.Obligations = []lineage.Obligation{{Kind: "approval", Scopes: f.Scopes, Args: map[string]string{"by": "support-leads"}}}
	}
	if len(v.Resources) == 0 {
		v.Resources = []string{crm}
	}
	for _, r := range v.Resources {
		a := lineage.Access{Resource: r}
		for _, s := range f.Scopes {
			if !slices.Contains(w.rules.scopes, s) || f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(r), s) {
				continue
			}
			a.Scopes = append(a.Scopes, s)
			v.Reasons = append(v.Reasons, lineage.Reason{
				Resource: r, Scope: s, Granted: true, Rule: v.Path + "#all", Refresh: w.rules.refresh, Delegates: []string{"bot", "other"},
			})
		}
		if len(a.Scopes) == 0 {
			return tb.Verdict{Code: tb.CodeInvalidScope, Path: v.Path, Version: "v1"}, w.rules.err
		}
		v.Access = append(v.Access, a)
	}
	return v, w.rules.err
}

// hook serves a codec.
func (w *world) hook(c gate.Codec, change ...func(*gate.HookConfig)) string {
	cfg := gate.HookConfig{Governor: w.Governor, Codec: c, Secrets: []gate.Secret{callerSecret}, Logger: slog.New(slog.NewJSONHandler(w.log, nil))}
	for _, f := range change {
		f(&cfg)
	}
	h, err := gate.NewHook(cfg)
	require.NoError(w, err)
	return w.serve(h)
}

func (w *world) serve(h http.Handler) string {
	s := httptest.NewServer(h)
	w.Cleanup(s.Close)
	return s.URL
}

// reply is what a server said.
type reply struct {
	status int
	header http.Header
	raw    string
	body   map[string]any
}

// at returns what stands at a path of members in the answer; nil where there is nothing.
func (r reply) at(path ...string) any { return at(r.body, path...) }

func at(v any, path ...string) any {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	return v
}

func (w *world) do(r *http.Request) reply {
	w.Helper()
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(w, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	out := reply{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	if len(raw) > 0 {
		require.NoError(w, dec.Decode(&out.body), out.raw)
	}
	for _, sink := range []string{out.raw, w.log.String()} {
		require.NotContains(w, sink, "canary-")
	}
	require.NotContains(w, out.raw, "hidden", "no policy path")
	require.Equal(w, "no-store", out.header.Get("Cache-Control"))
	require.Equal(w, "nosniff", out.header.Get("X-Content-Type-Options"))
	return out
}

// call sends a body to a hook as its server.
func (w *world) call(url string, body any, change ...func(*http.Request)) reply {
	w.Helper()
	raw, ok := body.(string)
	if !ok {
		plain, err := json.Marshal(body)
		require.NoError(w, err)
		raw = string(plain)
	}
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, url, strings.NewReader(raw))
	require.NoError(w, err)
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	r.Header.Set("Authorization", string(callerSecret))
	for _, f := range change {
		f(r)
	}
	return w.do(r)
}

// fixture reads a call of a server, as it was sent, and changes members of it: pairs of a path with dots, and a value.
func (w *world) fixture(name string, changes ...any) map[string]any {
	w.Helper()
	raw, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(w, err)
	var out map[string]any
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	require.NoError(w, dec.Decode(&out))
	for i := 0; i < len(changes); i += 2 {
		path := strings.Split(changes[i].(string), ".")
		last := len(path) - 1
		m, _ := at(out, path[:last]...).(map[string]any)
		require.NotNil(w, m, changes[i])
		if m[path[last]] = changes[i+1]; changes[i+1] == nil {
			delete(m, path[last])
		}
	}
	return out
}

// records returns the records of a kind that carry the client.
func (w *world) records(kind lineage.Kind) []lineage.Record {
	w.Helper()
	var out []lineage.Record
	for _, id := range []string{"bot", "other", "nowhere", "signer"} {
		for r, err := range w.store.Scan(w.Context(), issuer, lineage.Selector{Kind: lineage.SelectClient, Value: id}, store.Position{}) {
			require.NoError(w, err)
			if r.Kind == kind && !slices.ContainsFunc(out, func(x lineage.Record) bool { return x.ID() == r.ID() }) {
				out = append(out, r)
			}
		}
	}
	return out
}

// denied requires that one more denial than before is recorded, of the code, and for the reason.
func (w *world) denied(code tb.Code, why string, do func()) {
	w.Helper()
	before := len(w.records(lineage.KindDenial))
	tokens := len(w.records(lineage.KindToken))
	w.clock.Add(2 * time.Minute) // identical ones within a minute are one record
	do()
	all := w.records(lineage.KindDenial)
	require.Len(w, all, before+1)
	require.Len(w, w.records(lineage.KindToken), tokens, "no token is recorded")
	last := slices.MaxFunc(all, func(a, b lineage.Record) int { return a.IssuedAt.Compare(b.IssuedAt) })
	require.Equal(w, string(code), last.Body.Code)
	require.True(w, slices.ContainsFunc(last.Body.Reasons, func(r lineage.Reason) bool { return strings.Contains(r.Why, why) }),
		"%v does not say %q", last.Body.Reasons, why)
}

// recorded returns the record of a decision.
func (w *world) recorded(id any) lineage.Record {
	w.Helper()
	parsed, err := lineage.ParseID(id.(string))
	require.NoError(w, err)
	nodes, err := w.Lineage(w.Context(), ops, parsed)
	require.NoError(w, err)
	return nodes[len(nodes)-1].Record
}

func (w *world) revoke(selector string) {
	w.Helper()
	s, err := lineage.ParseSelector(selector)
	require.NoError(w, err)
	_, err = w.Revoke(w.Context(), ops, lineage.Revocation{Selector: s})
	require.NoError(w, err)
}

// faulty is a store that can be broken.
type faulty struct {
	store.Store
	reads, writes atomic.Bool
	stuck         chan struct{} // where set: reads wait for it, whoever has given up
}

var errDisk = errors.New("the disk is gone")

func (f *faulty) Commit(ctx context.Context, txs []store.Tx) []error {
	if f.writes.Load() {
		return slices.Repeat([]error{errDisk}, len(txs))
	}
	return f.Store.Commit(ctx, txs)
}

func (f *faulty) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if f.stuck != nil {
		<-f.stuck
	}
	if f.reads.Load() {
		return nil, errDisk
	}
	return f.Store.Heads(ctx, issuer, keys)
}

type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
