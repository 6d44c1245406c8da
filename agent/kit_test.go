package agent_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"io"
	"log/slog"
	"net"
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
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	crm  = "https://crm.example/"
	mail = "https://mail.example/"
	idp  = "https://idp.example"
)

// world is a boundary behind HTTP: real governor, store, keys and authentication, on a clock that only the test moves.
type world struct {
	clock  *clock.Mock
	store  store.Store
	g      *tokenboundary.Governor
	server *httptest.Server
	issuer string
	key    *ecdsa.PrivateKey // of the identity provider and of the agent
	ours   *ecdsa.PrivateKey
	policy atomic.Pointer[func(tokenboundary.Facts) tokenboundary.Verdict]
	logs   logs

	mu     sync.Mutex
	asked  []string                               // what reached the endpoints: the grant type, or the last segment of the path
	before func(http.ResponseWriter, string) bool // runs first; true: it has answered
	after  func(string)
}

func newWorld(t testing.TB) *world {
	w := &world{clock: clock.NewMock(), store: memory.New()}
	w.clock.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	w.decide(grants)
	var err error
	w.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	w.ours, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	w.issuer = "http://" + listener.Addr().String()
	w.serve(t, listener)
	return w
}

// serve starts the boundary, for the first time or again.
func (w *world) serve(t testing.TB, listener net.Listener) {
	m, err := mint.Open(t.Context(), mint.Config{Issuer: w.issuer, Store: w.store, Signer: w.ours, Clock: w.clock})
	require.NoError(t, err)
	both := []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh}
	w.g, err = tokenboundary.New(tokenboundary.Config{
		Issuer: w.issuer, Store: w.store, Minter: m, Clock: w.clock, Identities: w.identities(t),
		Clients: tokenboundary.ClientMap{
			"bot": {ID: "bot", Kind: tokenboundary.KindAgent, Grants: both, Connections: []string{"prod"}, Binding: tokenboundary.BindingOptional},
			"ops": {ID: "ops", Kind: tokenboundary.KindOperator},
		},
		Lifetimes: tokenboundary.Lifetimes{RefreshGrace: 30 * time.Second},
		Policy: tokenboundary.PolicyFunc(func(_ context.Context, f tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return (*w.policy.Load())(f), nil
		}),
	})
	require.NoError(t, err)
	h, err := endpoint.New(w.g, endpoint.Config{JWKS: m.JWKS, Clock: w.clock})
	require.NoError(t, err)
	w.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: w.watched(h), ReadHeaderTimeout: time.Minute}}
	w.server.Start()
	t.Cleanup(w.server.Close)
}

// watched counts what is asked, and lets the test answer or fail in place of the boundary.
func (w *world) watched(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		what := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]
		if what == "token" {
			raw, err := io.ReadAll(r.Body)
			must(err)
			form, _ := url.ParseQuery(string(raw))
			what = form.Get("grant_type")[strings.LastIndex(form.Get("grant_type"), ":")+1:]
			r.Body = io.NopCloser(bytes.NewReader(raw))
		}
		w.mu.Lock()
		w.asked = append(w.asked, what)
		before, after := w.before, w.after
		w.mu.Unlock()
		if before != nil && before(rw, what) {
			return
		}
		h.ServeHTTP(rw, r)
		if after != nil {
			after(what)
		}
	})
}

// count returns how often something was asked.
func (w *world) count(what string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, a := range w.asked {
		if a == what {
			n++
		}
	}
	return n
}

// meanwhile sets what happens to requests.
func (w *world) meanwhile(before func(http.ResponseWriter, string) bool, after func(string)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

func (w *world) decide(p func(tokenboundary.Facts) tokenboundary.Verdict) { w.policy.Store(&p) }

func secret(client string) string { return "the long secret of " + client }

func (w *world) identities(t testing.TB) []tokenboundary.IdentitySource {
	file := filepath.Join(t.TempDir(), "jwks.json")
	raw, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: w.key.Public(), KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	clients, err := identity.Clients(identity.ClientsConfig{Issuer: w.issuer, Clock: w.clock, Clients: []identity.ClientAuth{
		{ID: "bot", Secret: secret("bot")}, {ID: "ops", Secret: secret("ops")},
	}})
	require.NoError(t, err)
	people, err := identity.OIDC(identity.OIDCConfig{Issuer: idp, Audience: w.issuer, Session: "human", JWKSFile: file, Clock: w.clock})
	require.NoError(t, err)
	keys, err := identity.DPoP(identity.DPoPConfig{Clock: w.clock})
	require.NoError(t, err)
	all, err := identity.Sources(clients, people, keys)
	require.NoError(t, err)
	return all
}

// grants grants what is asked for within the ceiling, for five minutes, except scopes that begin with admin.
func grants(f tokenboundary.Facts) tokenboundary.Verdict {
	v := tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/bot", Version: "v1", Resources: f.Resources,
		Lifetime: 5 * time.Minute, Depth: 3, Derivations: 1000,
	}
	for _, r := range f.Resources {
		a := lineage.Access{Resource: r}
		for _, sc := range f.Scopes {
			if strings.HasPrefix(sc, "admin") || f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(r), sc) {
				continue
			}
			a.Scopes = append(a.Scopes, sc)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: sc, Granted: true, Rule: "/bot#all"})
		}
		if len(a.Scopes) == 0 {
			return tokenboundary.Verdict{Code: tokenboundary.CodeInvalidScope, Path: "/bot", Version: "v1"}
		}
		v.Access = append(v.Access, a)
	}
	return v
}

// refreshes is grants with a refresh token.
func refreshes(f tokenboundary.Facts) tokenboundary.Verdict {
	v := grants(f)
	for i := range v.Reasons {
		v.Reasons[i].Refresh = true
	}
	return v
}

func (w *world) sign(claims map[string]any) string {
	opts := (&jose.SignerOptions{}).WithType("JWT").WithHeader("kid", "k1")
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: w.key}, opts)
	must(err)
	raw, err := json.Marshal(claims)
	must(err)
	jws, err := signer.Sign(raw)
	must(err)
	compact, err := jws.CompactSerialize()
	must(err)
	return compact
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// login is an ID token of a person.
func (w *world) login(name string) string {
	now := w.clock.Now().Unix()
	return w.sign(map[string]any{
		"iss": idp, "sub": name, "aud": w.issuer, "iat": now - 30, "exp": now + 3600, "sid": "s-" + name, "auth_time": now - 60,
	})
}

func (w *world) remote() agent.Boundary {
	return agent.Remote{Issuer: w.issuer, Auth: exchange.Basic("bot", secret("bot"))}
}

func (w *world) local() agent.Boundary {
	return agent.Local{Governor: w.g, Client: func(context.Context) (tokenboundary.Credential, error) {
		return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "bot", Value: secret("bot")}, nil
	}}
}

// config is a task for alice at both resources.
func (w *world) config(b agent.Boundary) agent.Config {
	return agent.Config{
		Boundary: b, Clock: w.clock, Logger: slog.New(slog.NewTextHandler(&w.logs, nil)),
		Task: tokenboundary.TaskSpec{Purpose: "triage", ExpiresIn: time.Hour, Authority: []lineage.Access{
			{Resource: crm, Scopes: []string{"cases:read", "cases:write"}}, {Resource: mail, Scopes: []string{"messages:send"}},
		}},
		Subject: func(context.Context) (tokenboundary.Credential, error) {
			return tokenboundary.Credential{Type: tokenboundary.TypeIDToken, Value: w.login("alice")}, nil
		},
	}
}

// start starts a session that ends with the test.
func (w *world) start(t *testing.T, cfg agent.Config) *agent.Session {
	t.Helper()
	s, err := agent.Start(t.Context(), cfg)
	require.NoError(t, err)
	return s
}

// ops is the operator, authenticated.
func (w *world) ops(t *testing.T) tokenboundary.Client {
	t.Helper()
	by, err := w.g.Authenticate(t.Context(), tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: "ops", Value: secret("ops")})
	require.NoError(t, err)
	return by
}

// claims returns what the boundary says of a token; Active is false where it is dead.
func (w *world) state(t *testing.T, token string) tokenboundary.State {
	t.Helper()
	st, err := w.g.Introspect(t.Context(), w.ops(t), token)
	require.NoError(t, err)
	return st
}

func (w *world) revoke(t *testing.T, kind, value string) {
	t.Helper()
	_, err := w.g.Revoke(t.Context(), w.ops(t), lineage.Revocation{Selector: lineage.Selector{Kind: kind, Value: value}, Reason: "test"})
	require.NoError(t, err)
}

func (w *world) taskState(t *testing.T, s *agent.Session) tokenboundary.TaskState {
	t.Helper()
	task, err := w.g.Task(t.Context(), w.ops(t), s.TaskID())
	require.NoError(t, err)
	return task.State
}

var readCases = agent.Call{Tool: "lookup", Resource: crm, Scopes: []string{"cases:read"}}

// both runs a test at a boundary in this process, and at one behind HTTP.
func both(t *testing.T, run func(*testing.T, *world, agent.Boundary)) {
	t.Run("local", func(t *testing.T) { w := newWorld(t); run(t, w, w.local()) })
	t.Run("remote", func(t *testing.T) { w := newWorld(t); run(t, w, w.remote()) })
}

type logs struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
