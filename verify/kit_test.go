package verify_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/verify"
)

const (
	issuer = "https://boundary.example/tenant"
	crm    = "https://crm.example/v1"
	mail   = "https://mail.example/"
	secret = "secret of the crm: %&+é"
)

var ops = tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator, Person: "olivia"}

// world is a boundary behind HTTP, with a real governor, store and keys, on a clock that only the test moves. Between it
// and a resource server stands a line that can be disturbed.
type world struct {
	testing.TB
	clock   *clock.Mock
	mint    *mint.Mint
	g       *tokenboundary.Governor
	key     *ecdsa.PrivateKey // of the client with a key
	url     string
	handler http.Handler
	policy  func(*tokenboundary.Verdict)
	serial  atomic.Int64
	log     *journal

	mu      sync.Mutex
	disturb map[string]http.HandlerFunc // by path below the issuer
	asked   map[string]int
	after   uint64 // the position from which the feed was waited for last
	arrived *sync.Cond
}

func newWorld(t testing.TB) *world {
	w := &world{TB: t, clock: clock.NewMock(), disturb: map[string]http.HandlerFunc{}, asked: map[string]int{}, log: &journal{}}
	w.arrived = sync.NewCond(&w.mu)
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.policy = func(*tokenboundary.Verdict) {}
	var err error
	w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	w.build(w.clock)
	return w
}

// build makes the boundary on a clock.
func (w *world) build(clk clock.Clock) {
	state := memory.New()
	var err error
	w.mint, err = mint.Open(w.Context(), mint.Config{Issuer: issuer, Store: state, Dir: w.TempDir(), Clock: clk})
	require.NoError(w, err)
	w.g, err = tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: state, Minter: w.mint, Clock: clk, Clients: clients, Identities: w.identities(clk),
		Policy: tokenboundary.PolicyFunc(w.decide), Lifetimes: tokenboundary.Lifetimes{AccessToken: time.Hour},
	})
	require.NoError(w, err)
	h, err := endpoint.New(w.g, endpoint.Config{JWKS: w.mint.JWKS}) // it waits by the machine's clock
	require.NoError(w, err)
	w.handler = h
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) { w.line(h, out, r) }))
	w.Cleanup(server.Close)
	w.url = server.URL + "/tenant"
}

// line passes requests on to the boundary, unless the path is disturbed.
func (w *world) line(h http.Handler, out http.ResponseWriter, r *http.Request) {
	path := r.URL.Path[len("/tenant"):]
	w.mu.Lock()
	w.asked[path]++
	if q := r.URL.Query(); path == "/revocations" && q.Get("wait") != "0s" {
		w.after, _ = strconv.ParseUint(q.Get("after"), 10, 64)
		w.arrived.Broadcast()
	}
	disturb := w.disturb[path]
	w.mu.Unlock()
	if disturb != nil {
		h = disturb
	}
	h.ServeHTTP(out, r)
}

// proxy is the boundary without a disturbance.
func (w *world) proxy() http.HandlerFunc { return w.handler.ServeHTTP }

func (w *world) on(path string, h http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.disturb[path] = h
}

// polled waits until the feed is waited for behind the position.
func (w *world) polled(after uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.after < after {
		w.arrived.Wait()
	}
}

// times returns how often a path was asked.
func (w *world) times(path string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.asked[path]
}

var clients = func() tokenboundary.ClientMap {
	grants := []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange}
	m := tokenboundary.ClientMap{"ops": ops}
	for _, id := range []string{"bot", "tool", "other"} {
		m[id] = tokenboundary.Client{
			ID: id, Kind: tokenboundary.KindAgent, Grants: grants, Connections: []string{"prod", "staging"},
			Binding: tokenboundary.BindingOptional,
		}
	}
	for _, id := range []string{"crm", "crm-signer"} {
		m[id] = tokenboundary.Client{ID: id, Kind: tokenboundary.KindResource, Resource: crm}
	}
	return m
}()

func (w *world) identities(clk clock.Clock) []tokenboundary.IdentitySource {
	file := filepath.Join(w.TempDir(), "jwks.json")
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(w, err)
	require.NoError(w, os.WriteFile(file, raw, 0o600))
	byClient, err := identity.Clients(identity.ClientsConfig{Issuer: issuer, Clock: clk, Clients: []identity.ClientAuth{
		{ID: "crm", Secret: secret}, {ID: "crm-signer", JWKSFile: file}, {ID: "bot", Secret: "secret of the bot"},
	}})
	require.NoError(w, err)
	keys, err := identity.DPoP(identity.DPoPConfig{Clock: clk})
	require.NoError(w, err)
	all, err := identity.Sources(byClient, keys)
	require.NoError(w, err)
	return all
}

// decide grants what is asked for, up to the ceiling, and lets tool derive.
func (w *world) decide(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
	v := tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/agents/" + f.Client.ID + "/" + f.Connection, Version: "v1", Resources: f.Resources,
		Lifetime: 10 * time.Minute, Depth: 3, Derivations: 1000,
	}
	for _, r := range v.Resources {
		a := lineage.Access{Resource: r}
		for _, s := range f.Scopes {
			if f.Ceiling == nil || slices.Contains(f.Ceiling.Scopes(r), s) {
				a.Scopes = append(a.Scopes, s)
				v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Rule: v.Path + "#all", Delegates: []string{"tool"}})
			}
		}
		v.Access = append(v.Access, a)
	}
	w.policy(&v)
	return v, nil
}

// as is a client that the host has authenticated.
func as(id string) tokenboundary.Credential {
	return tokenboundary.Credential{Verified: &tokenboundary.Principal{Party: lineage.Party{ID: id}, Identity: true}}
}

// ask is a token request for the crm.
func ask(change ...func(*tokenboundary.Request)) tokenboundary.Request {
	req := tokenboundary.Request{
		Grant: tokenboundary.ClientCredentials, Client: as("bot"), Connection: "prod", Resource: []string{crm}, Scopes: []string{"cases:read"},
	}
	for _, c := range change {
		c(&req)
	}
	return req
}

// issued returns a token of a request.
func (w *world) issued(change ...func(*tokenboundary.Request)) tokenboundary.Token {
	w.Helper()
	tok, err := w.g.Issue(w.Context(), ask(change...))
	require.NoError(w, err)
	return tok
}

// person asks in the name of somebody who has logged in.
func (w *world) person(name string) func(*tokenboundary.Request) {
	now := w.clock.Now()
	return func(r *tokenboundary.Request) {
		r.Grant = tokenboundary.Exchange
		r.Subject = tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Verified: &tokenboundary.Principal{
			Party: lineage.Party{ID: name, Issuer: "https://idp.example", Kind: "human"}, Issued: now, Expires: now.Add(time.Hour), Identity: true,
			Session: lineage.Session{Kind: "human", ID: "session-" + name, AuthTime: now, ACR: "aal2"},
		}}
	}
}

// from asks for a derivation of a token, by a client.
func from(tok tokenboundary.Token, client string) func(*tokenboundary.Request) {
	return func(r *tokenboundary.Request) {
		r.Grant, r.Client = tokenboundary.Exchange, as(client)
		r.Subject = tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: tok.Value()}
	}
}

func inTask(r *tokenboundary.Request) { r.Task = &tokenboundary.TaskSpec{Purpose: "triage"} }

func by(client string) func(*tokenboundary.Request) {
	return func(r *tokenboundary.Request) { r.Client = as(client) }
}

func over(connection string) func(*tokenboundary.Request) {
	return func(r *tokenboundary.Request) { r.Connection = connection }
}

// revoke changes what a selector stands for, and returns the place of the entry in the feed.
func (w *world) revoke(kind, value string, action lineage.Action) uint64 {
	w.Helper()
	r, err := w.g.Revoke(w.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: kind, Value: value}, Action: action})
	require.NoError(w, err)
	require.NotZero(w, r.Seq)
	return r.Seq
}

// remote is the boundary as the resource server reaches it.
func (w *world) remote() *verify.Remote {
	r, err := verify.NewRemote(verify.RemoteConfig{URL: w.url, Credential: verify.Secret("crm", secret), Clock: w.clock})
	require.NoError(w, err)
	return r
}

func (w *world) config(change ...func(*verify.Config)) verify.Config {
	cfg := verify.Config{
		Issuer: issuer, Resource: crm, JWKSURI: w.url + "/jwks.json", Boundary: w.remote(), MaxStale: 10 * time.Minute, Clock: w.clock,
		Scopes: []string{"cases:read", "cases:write"}, Logger: slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	return cfg
}

// guard is a Verifier that runs until the test ends, and knows what the feed holds now.
type guard struct {
	*verify.Verifier
	w       *world
	stop    context.CancelFunc
	stopped chan error
}

func (w *world) guard(change ...func(*verify.Config)) *guard {
	g := w.idle(change...)
	g.run()
	require.NoError(w, g.Await(w.Context(), 0))
	return g
}

// idle is a Verifier that does not run yet.
func (w *world) idle(change ...func(*verify.Config)) *guard {
	v, err := verify.New(w.config(change...))
	require.NoError(w, err)
	return &guard{Verifier: v, w: w, stopped: make(chan error, 1)}
}

func (g *guard) run() {
	ctx, stop := context.WithCancel(context.Background())
	g.stop = sync.OnceFunc(func() {
		stop()
		require.ErrorIs(g.w, <-g.stopped, context.Canceled)
	})
	go func() { g.stopped <- g.Run(ctx) }()
	g.w.Cleanup(func() { g.stop() })
}

// sees waits until the entry at the position is known.
func (g *guard) sees(seq uint64) {
	g.w.Helper()
	require.NoError(g.w, g.Until(g.w.Context(), func() bool { return g.State().Position >= seq }))
}

// good and refused ask the verifier about a token.
func (g *guard) good(tok tokenboundary.Token, msg ...any) tokenboundary.Claims {
	g.w.Helper()
	c, err := g.Verify(g.w.Context(), tok.Value())
	require.NoError(g.w, err, msg...)
	require.Equal(g.w, tok.ID.String(), c.ID)
	return c
}

func (g *guard) refused(tok tokenboundary.Token, target error, why string) {
	g.w.Helper()
	c, err := g.Verify(g.w.Context(), tok.Value())
	require.ErrorIs(g.w, err, target)
	require.ErrorContains(g.w, err, why)
	require.NotContains(g.w, err.Error(), tok.Value())
	require.Zero(g.w, c)
}

// answer is what a protected handler said.
type answer struct {
	status    int
	challenge []string
	header    http.Header
	body      map[string]string
	claims    *tokenboundary.Claims // what the handler found, if it was reached
}

// api serves a protected handler over HTTP and returns what asks it.
func (g *guard) api(route verify.Route) func(change ...func(*http.Request)) answer {
	var reached atomic.Pointer[tokenboundary.Claims]
	server := httptest.NewServer(g.Require(route)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c, ok := verify.ClaimsFrom(r.Context()); ok {
			reached.Store(&c)
		}
	})))
	g.w.Cleanup(server.Close)
	return func(change ...func(*http.Request)) answer {
		g.w.Helper()
		r, err := http.NewRequestWithContext(g.w.Context(), http.MethodGet, server.URL+"/v1/cases", nil)
		require.NoError(g.w, err)
		for _, c := range change {
			c(r)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		require.NoError(g.w, err)
		defer resp.Body.Close()
		raw, err := io.ReadAll(resp.Body)
		require.NoError(g.w, err)
		a := answer{status: resp.StatusCode, challenge: resp.Header.Values("WWW-Authenticate"), header: resp.Header, claims: reached.Swap(nil)}
		_ = json.Unmarshal(raw, &a.body)
		require.Equal(g.w, a.status == http.StatusOK, a.claims != nil)
		return a
	}
}

func bearer(tok tokenboundary.Token) func(*http.Request) {
	return header("Authorization", "Bearer "+tok.Value())
}

func header(name string, values ...string) func(*http.Request) {
	return func(r *http.Request) { r.Header[http.CanonicalHeaderKey(name)] = values }
}

const metadataURL = "https://crm.example/.well-known/oauth-protected-resource/v1"

// sign signs claims with the key of the clients that have one.
func (w *world) sign(claims map[string]any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: w.key},
		(&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1"))
	require.NoError(w, err)
	return compact(w, signer, claims)
}

func compact(t testing.TB, signer jose.Signer, claims map[string]any) string {
	raw, err := json.Marshal(claims)
	require.NoError(t, err)
	jws, err := signer.Sign(raw)
	require.NoError(t, err)
	out, err := jws.CompactSerialize()
	require.NoError(t, err)
	return out
}

// assertion is a new client assertion.
func (w *world) assertion(context.Context) (tokenboundary.Credential, error) {
	now := w.clock.Now().Unix()
	return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: w.sign(map[string]any{
		"iss": "crm-signer", "sub": "crm-signer", "aud": issuer, "iat": now, "exp": now + 60, "jti": fmt.Sprint("j", w.serial.Add(1)),
	})}, nil
}

// journal is a log that can be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}
