package endpoint_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
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

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://boundary.example/tenant"
	crm    = "https://crm.example/"
	mail   = "https://mail.example/"
	idp    = "https://idp.example"
)

// server is a boundary behind HTTP: real governor, store, keys and client authentication, on a clock that only the
// test moves.
type server struct {
	*testing.T
	clock   *clock.Mock
	store   *faulty
	url     string // of the issuer
	handler *endpoint.Handler
	log     *logBuffer
	policy  func(tokenboundary.Facts) tokenboundary.Verdict
	version *atomic.Pointer[error]
	key     *ecdsa.PrivateKey // of the identity provider and of the clients with a key
	serial  *atomic.Int64
	canary  *canary.Keeper // knows every secret of the test, and sees what others may read
}

func newServer(t *testing.T) *server {
	s := &server{T: t, clock: clock.NewMock(), store: &faulty{Store: memory.New()}, log: &logBuffer{}, policy: grantsMost,
		version: new(atomic.Pointer[error]), serial: new(atomic.Int64)}
	s.store.late = func() { s.clock.Add(time.Minute) }
	s.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	var err error
	s.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	m, err := mint.Open(t.Context(), mint.Config{Issuer: issuer, Store: s.store, Signer: ours, Clock: s.clock})
	require.NoError(t, err)
	g, err := tokenboundary.New(s.watched(tokenboundary.Config{
		Issuer: issuer, Store: s.store, Minter: m, Clock: s.clock, Clients: clients, Identities: s.identities(),
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return s.policy(f), nil
		}),
		Details: map[string]tokenboundary.DetailType{"payment": exactly{}},
	}))
	require.NoError(t, err)
	h, err := endpoint.New(g, endpoint.Config{
		JWKS: m.JWKS, Clock: s.clock, Logger: slog.New(slog.NewJSONHandler(s.log, nil)),
		Policies: func() (string, error) {
			if err := s.version.Load(); err != nil {
				return "v1", *err
			}
			return "v1", nil
		},
	})
	require.NoError(t, err)
	srv := httptest.NewServer(s.observed(h))
	t.Cleanup(srv.Close)
	s.handler, s.url = h, srv.URL+"/tenant"
	return s
}

// in returns s for a subtest.
func (s *server) in(t *testing.T) *server {
	sub := *s
	sub.T = t
	return &sub
}

var clients = func() tokenboundary.ClientMap {
	both := []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange}
	m := tokenboundary.ClientMap{}
	for _, id := range []string{"support-bot", "crm-tool", "stranger"} {
		m[id] = tokenboundary.Client{ID: id, Kind: tokenboundary.KindAgent, Grants: both, Connections: []string{"prod"}}
	}
	m["exchanger"] = tokenboundary.Client{ID: "exchanger", Kind: tokenboundary.KindAgent, Grants: both[1:], Connections: []string{"prod"}}
	m["crm"] = tokenboundary.Client{ID: "crm", Kind: tokenboundary.KindResource, Resource: crm}
	m["crm-signer"] = tokenboundary.Client{ID: "crm-signer", Kind: tokenboundary.KindResource, Resource: crm}
	m["mail"] = tokenboundary.Client{ID: "mail", Kind: tokenboundary.KindResource, Resource: mail}
	m["keeper"] = tokenboundary.Client{ID: "keeper", Kind: tokenboundary.KindAgent, Grants: append(both[:2:2], tokenboundary.Refresh),
		Connections: []string{"prod"}, Binding: tokenboundary.BindingOptional}
	m["lead"] = tokenboundary.Client{ID: "lead", Kind: tokenboundary.KindOperator, Groups: []string{"support-leads"}, Person: "user:lena"}
	m["alice-ops"] = tokenboundary.Client{ID: "alice-ops", Kind: tokenboundary.KindOperator, Groups: []string{"support-leads"}, Person: "user:alice"}
	m["nobody-ops"] = tokenboundary.Client{ID: "nobody-ops", Kind: tokenboundary.KindOperator, Groups: []string{"support-leads"}}
	m["ops-signer"] = tokenboundary.Client{ID: "ops-signer", Kind: tokenboundary.KindOperator}
	m["ops"] = tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	m["odd id:%&+é"] = tokenboundary.Client{ID: "odd id:%&+é", Kind: tokenboundary.KindOperator}
	return m
}()

// signers are the clients that have a key, and no secret.
var signers = []string{"crm-tool", "crm-signer", "ops-signer"}

// secret is the secret of a client that has one.
func secret(client string) string { return "secret of " + client + ": %&+é" }

func (s *server) identities() []tokenboundary.IdentitySource {
	file := filepath.Join(s.TempDir(), "jwks.json")
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(s, err)
	require.NoError(s, os.WriteFile(file, raw, 0o600))
	cfg := identity.ClientsConfig{Issuer: issuer, Clock: s.clock, Leeway: 5 * time.Second}
	for id := range clients {
		auth := identity.ClientAuth{ID: id, Secret: secret(id)}
		if slices.Contains(signers, id) {
			auth = identity.ClientAuth{ID: id, JWKSFile: file}
		}
		cfg.Clients = append(cfg.Clients, auth)
	}
	byClient, err := identity.Clients(cfg)
	require.NoError(s, err)
	people, err := identity.OIDC(identity.OIDCConfig{
		Issuer: idp, Audience: issuer, Session: "human", JWKSFile: file, Clock: s.clock, SubjectPrefix: "user:",
	})
	require.NoError(s, err)
	keys, err := identity.DPoP(identity.DPoPConfig{Clock: s.clock})
	require.NoError(s, err)
	all, err := identity.Sources(byClient, people, keys)
	require.NoError(s, err)
	return all
}

// refreshes is grantsMost with a refresh token.
func refreshes(f tokenboundary.Facts) tokenboundary.Verdict {
	v := grantsMost(f)
	for i := range v.Reasons {
		v.Reasons[i].Refresh = true
	}
	return v
}

// asksFirst is grantsMost, except that support-leads must agree to refunds:write.
func asksFirst(f tokenboundary.Facts) tokenboundary.Verdict {
	v := grantsMost(f)
	if slices.Contains(f.Scopes, "refunds:write") {
		v.Obligations = []lineage.Obligation{{
			Kind: "approval", Scopes: []string{"refunds:write"}, Args: map[string]string{"by": "support-leads"},
		}}
	}
	return v
}

// grantsMost grants what is asked for, except at unbound.example and scopes that begin with admin, up to the ceiling, and
// lets crm-tool derive.
func grantsMost(f tokenboundary.Facts) tokenboundary.Verdict {
	v := tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/agents/" + f.Client.ID + "-hidden", Version: "v1", Resources: f.Resources,
		Lifetime: 5 * time.Minute, Depth: 3, Derivations: 1000,
	}
	if len(v.Resources) == 0 {
		v.Resources = []string{crm}
	}
	scopes := f.Scopes
	if len(scopes) == 0 {
		scopes = []string{"cases:read"}
	}
	for _, r := range v.Resources {
		if strings.Contains(r, "unbound") {
			return tokenboundary.Verdict{}
		}
		a := lineage.Access{Resource: r}
		for _, sc := range scopes {
			if strings.HasPrefix(sc, "admin") || f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(r), sc) {
				continue
			}
			a.Scopes = append(a.Scopes, sc)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: sc, Granted: true, Rule: v.Path + "#all", Delegates: []string{"crm-tool"}})
		}
		if len(a.Scopes) == 0 {
			return tokenboundary.Verdict{Code: tokenboundary.CodeInvalidScope, Path: v.Path, Version: "v1"}
		}
		v.Access = append(v.Access, a)
	}
	var details []json.RawMessage
	_ = json.Unmarshal(f.Details, &details)
	v.Details = details
	return v
}

type exactly struct{}

func (exactly) Covers(parent, child json.RawMessage) (bool, error) {
	return string(parent) == string(child), nil
}

// faulty is a store that can be broken.
type faulty struct {
	store.Store
	broken atomic.Bool
	blind  atomic.Bool  // no selector can be scanned
	slow   atomic.Int64 // where positive: at which record of a scan its time is up
	late   func()       // lets time pass
	gets   atomic.Int64 // where positive: how many more reads of records succeed
	feeds  atomic.Int64 // how often the feed was read
}

var errDisk = errors.New("disk of secret-host is gone")

func (f *faulty) Commit(ctx context.Context, txs []store.Tx) []error {
	if f.broken.Load() {
		return slices.Repeat([]error{errDisk}, len(txs))
	}
	return f.Store.Commit(ctx, txs)
}

func (f *faulty) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if f.broken.Load() {
		return nil, errDisk
	}
	return f.Store.Heads(ctx, issuer, keys)
}

func (f *faulty) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	if f.broken.Load() || f.gets.Load() > 0 && f.gets.Add(-1) == 0 {
		return nil, errDisk
	}
	return f.Store.Get(ctx, issuer, ids)
}

func (f *faulty) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	if f.blind.Load() {
		return func(yield func(lineage.Record, error) bool) { yield(lineage.Record{}, errDisk) }
	}
	at, n := f.slow.Load(), int64(0)
	return func(yield func(lineage.Record, error) bool) {
		for r, err := range f.Store.Scan(ctx, issuer, sel, from) {
			if n++; n == at {
				f.late()
				<-ctx.Done()
				r, err = lineage.Record{}, ctx.Err()
			}
			if !yield(r, err) {
				return
			}
		}
	}
}

func (f *faulty) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	f.feeds.Add(1)
	return f.Store.Feed(ctx, issuer, after)
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

// sign returns a JWT of the claims, signed with the key of the identity provider and of the clients with a key.
func (s *server) sign(claims map[string]any) string {
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: s.key}, opts)
	require.NoError(s, err)
	raw, err := json.Marshal(claims)
	require.NoError(s, err)
	jws, err := signer.Sign(raw)
	require.NoError(s, err)
	compact, err := jws.CompactSerialize()
	require.NoError(s, err)
	return compact
}

// human is an ID token of a person.
func (s *server) human(name string) string {
	now := s.clock.Now().Unix()
	return s.sign(map[string]any{
		"iss": idp, "sub": name, "aud": issuer, "iat": now - 30, "exp": now + 600, "sid": "s-" + name, "auth_time": now - 60,
	})
}

// assertion is a new client assertion of crm-tool.
func (s *server) assertion() string { return s.assertionOf("crm-tool") }

func (s *server) assertionOf(client string) string {
	now := s.clock.Now().Unix()
	return s.sign(map[string]any{
		"iss": client, "sub": client, "aud": issuer, "iat": now, "exp": now + 60, "jti": fmt.Sprint("j", s.serial.Add(1)),
	})
}

// answer is what the server said.
type answer struct {
	status int
	header http.Header
	raw    string
	body   map[string]any // nil where the answer is not a JSON object
}

func (a answer) text(member string) string {
	text, _ := a.body[member].(string)
	return text
}

// do sends a request as a client with a secret; an empty client sends no credential.
func (s *server) do(client, method, path, kind, body string, change ...func(*http.Request)) answer {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(s, err)
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	if client != "" {
		r.SetBasicAuth(url.QueryEscape(client), url.QueryEscape(secret(client)))
	}
	for _, c := range change {
		c(r)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	require.NoError(s, err)
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(s, err)
	a := answer{status: resp.StatusCode, header: resp.Header, raw: string(raw)}
	_ = json.Unmarshal(raw, &a.body)
	require.Equal(s, "nosniff", cmp(a, "X-Content-Type-Options", "nosniff"))
	return a
}

// cmp returns a header, or unless where the answer has no body that could be sniffed.
func cmp(a answer, name, unless string) string {
	if a.raw == "" {
		return unless
	}
	return a.header.Get(name)
}

const formType = "application/x-www-form-urlencoded"

// post sends a form of pairs of name and value.
func (s *server) post(client, path string, pairs ...string) answer {
	s.Helper()
	return s.do(client, "POST", path, formType, pairsOf(pairs...).Encode())
}

func pairsOf(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func (s *server) get(client, path string) answer {
	s.Helper()
	return s.do(client, "GET", path, "", "")
}

// ok requires a success and returns it.
func (s *server) ok(a answer) answer {
	s.Helper()
	require.Contains(s, []int{200, 201}, a.status, a.raw)
	return a
}

// refused requires an error answer and everything that holds of one.
func (s *server) refused(a answer, status int, code, why string) answer {
	s.Helper()
	require.Equal(s, status, a.status, a.raw)
	require.Equal(s, code, a.text("error"), a.raw)
	require.Contains(s, a.text("error_description"), why)
	require.Equal(s, "application/json", a.header.Get("Content-Type"))
	require.Equal(s, "no-store", a.header.Get("Cache-Control"))
	require.NotContains(s, a.raw, "hidden", "no policy path")
	require.NotContains(s, a.raw, "secret of")
	require.NotContains(s, a.raw, "secret-host")
	if status == 401 {
		require.Contains(s, a.header.Get("WWW-Authenticate"), "Basic realm=")
	}
	return a
}

// token returns a client_credentials token.
func (s *server) token(client string, pairs ...string) string {
	s.Helper()
	a := s.ok(s.post(client, "/token", append([]string{"grant_type", "client_credentials"}, pairs...)...))
	require.NotEmpty(s, a.text("access_token"))
	return a.text("access_token")
}

// exchanged asks for an exchange of a subject token.
func (s *server) exchanged(client, subject, kind string, pairs ...string) answer {
	s.Helper()
	return s.post(client, "/token", append([]string{
		"grant_type", exchange.GrantTokenExchange, "subject_token", subject, "subject_token_type", kind}, pairs...)...)
}

// tool is exchanged by crm-tool, which authenticates with an assertion.
func (s *server) tool(subject string, pairs ...string) answer {
	s.Helper()
	return s.exchanged("", subject, tokenboundary.TypeAccessToken, append([]string{
		"client_assertion", s.assertion(), "client_assertion_type", exchange.AssertionType}, pairs...)...)
}

// claims returns what introspection by an operator says of a token that must be active.
func (s *server) claims(token string) map[string]any {
	s.Helper()
	a := s.ok(s.post("ops", "/introspect", "token", token))
	require.Equal(s, true, a.body["active"], a.raw)
	return a.body
}

func (s *server) inactive(token string) {
	s.Helper()
	a := s.ok(s.post("ops", "/introspect", "token", token))
	require.Equal(s, `{"active":false}`, a.raw)
}

// ask sends a request to a handler that needs no server.
func ask(t *testing.T, h http.Handler, method, path string) answer {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, nil))
	a := answer{status: w.Code, header: w.Result().Header, raw: w.Body.String()}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &a.body), a.raw)
	return a
}
