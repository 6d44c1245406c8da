package fosite_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/storage"
	fjwt "github.com/ory/fosite/token/jwt"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	governed "github.com/tokenboundary/tokenboundary/hosts/fosite"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const (
	issuer = "https://auth.example.com"
	idp    = "https://idp.example.com"
	crm    = "https://crm.example.com/"
	mail   = "https://mail.example.com/"
)

// key signs what the server issues, and idpKey what the identity provider does.
var key, idpKey = newKey(), newKey()

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

// world is a governed fosite server behind a real listener. Below /alone the same server answers as fosite alone does, over
// the same storage and keys.
type world struct {
	*testing.T
	*tb.Governor
	ctx      context.Context
	clock    *clock.Mock // the boundary's
	store    store.Store
	host     *storage.MemoryStore
	storage  fosite.Storage // host, or something around it
	config   *fosite.Config
	session  func() fosite.Session
	opaque   bool // HMAC tokens
	policy   func(tb.Facts) tb.Verdict
	cfg      governed.Config
	first    []compose.Factory // before ours
	last     []compose.Factory // after ours
	between  func(*fosite.AccessRequest)
	provider fosite.OAuth2Provider
	server   *httptest.Server
}

func opaque(w *world) {
	w.opaque, w.session = true, func() fosite.Session { return &fosite.DefaultSession{} }
}

// both runs a test with either kind of access token.
func both(t *testing.T, f func(*testing.T, *world)) {
	t.Run("jwt", func(t *testing.T) { f(t, newWorld(t)) })
	t.Run("hmac", func(t *testing.T) { f(t, newWorld(t, opaque)) })
}

func newWorld(t *testing.T, change ...func(*world)) *world {
	w := &world{T: t, ctx: t.Context(), clock: clock.NewMock(), store: memory.New(), policy: grantAll}
	w.clock.Set(clock.New().Now())
	w.session = func() fosite.Session { return &oauth2.JWTSession{} }
	w.config = &fosite.Config{
		GlobalSecret: []byte("a-global-secret-of-at-least-32-bytes"), AccessTokenIssuer: issuer, HashCost: 4,
		RefreshTokenScopes: []string{}, JWTScopeClaimKey: fjwt.JWTScopeFieldString,
	}
	w.host = w.clients()
	w.storage = w.host
	w.first = []compose.Factory{
		compose.OAuth2ClientCredentialsGrantFactory, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenIntrospectionFactory,
	}
	w.cfg.Operator = ops
	for _, c := range change {
		c(w)
	}
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"prod"},
			Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}}
	}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Identities: w.sources(), Clock: w.clock,
		Details: map[string]tb.DetailType{"payment": payment{}},
		Policy:  tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil }),
		Clients: tb.ClientMap{
			"orchestrator": agent("orchestrator"), "tool": agent("tool"), "sub": agent("sub"), "public": agent("public"), "ops": ops,
		},
	})
	require.NoError(t, err)
	w.Governor, w.cfg.Governor, w.cfg.Session = g, g, w.session
	b, err := governed.New(w.cfg)
	require.NoError(t, err)
	w.provider = w.compose(w.config, slices.Concat(w.first, []compose.Factory{b.Factory}, w.last)...)
	alone := *w.config
	alone.TokenEndpointHandlers, alone.TokenIntrospectionHandlers, alone.RevocationHandlers = nil, nil, nil
	mux := http.NewServeMux()
	w.serve(mux, "", w.provider)
	w.serve(mux, "/alone", w.compose(&alone, compose.OAuth2RefreshTokenGrantFactory, compose.OAuth2TokenIntrospectionFactory))
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	return w
}

func (w *world) compose(config *fosite.Config, factories ...compose.Factory) fosite.OAuth2Provider {
	hmac := compose.NewOAuth2HMACStrategy(config)
	get := func(context.Context) (any, error) { return key, nil }
	strategy := &compose.CommonStrategy{CoreStrategy: hmac, Signer: &fjwt.DefaultSigner{GetPrivateKey: get}}
	if !w.opaque {
		strategy.CoreStrategy = compose.NewOAuth2JWTStrategy(get, hmac, config)
	}
	return compose.Compose(config, w.storage, strategy, factories...)
}

// serve is what a host writes anyway.
func (w *world) serve(mux *http.ServeMux, at string, p fosite.OAuth2Provider) {
	mux.HandleFunc(at+"/token", func(rw http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		ar, err := p.NewAccessRequest(ctx, r, w.session())
		if err != nil {
			p.WriteAccessError(ctx, rw, ar, err)
			return
		}
		if ar.GetGrantTypes().ExactOne("client_credentials") {
			for _, s := range ar.GetRequestedScopes() {
				ar.GrantScope(s)
			}
		}
		if w.between != nil {
			w.between(ar.(*fosite.AccessRequest))
		}
		out, err := p.NewAccessResponse(ctx, ar)
		if err != nil {
			p.WriteAccessError(ctx, rw, ar, err)
			return
		}
		p.WriteAccessResponse(ctx, rw, ar, out)
	})
	mux.HandleFunc(at+"/introspect", func(rw http.ResponseWriter, r *http.Request) {
		out, err := p.NewIntrospectionRequest(r.Context(), r, w.session())
		if err != nil {
			p.WriteIntrospectionError(r.Context(), rw, err)
			return
		}
		p.WriteIntrospectionResponse(r.Context(), rw, out)
	})
	mux.HandleFunc(at+"/revoke", func(rw http.ResponseWriter, r *http.Request) {
		p.WriteRevocationResponse(r.Context(), rw, p.NewRevocationRequest(r.Context(), r))
	})
}

// clients returns the server's storage with its registrations.
func (w *world) clients() *storage.MemoryStore {
	s := storage.NewMemoryStore()
	for _, id := range []string{"orchestrator", "tool", "sub", "crm", "unknown", "public"} {
		hash, err := (&fosite.BCrypt{Config: w.config}).Hash(w.ctx, []byte(secretOf(id)))
		require.NoError(w, err)
		s.Clients[id] = &fosite.DefaultClient{
			ID: id, Secret: hash, Scopes: []string{"read", "write", "delete", "offline"}, Audience: []string{crm, mail, issuer},
			GrantTypes: []string{"client_credentials", "refresh_token", exchange.GrantTokenExchange, "password"}, Public: id == "public",
		}
	}
	s.Users["alice"] = storage.MemoryUserRelation{Username: "alice", Password: "password-of-alice"}
	return s
}

// sources trust the identity provider and, as a host might, whatever the server itself has signed.
func (w *world) sources() []tb.IdentitySource {
	var list []*identity.Source
	for _, s := range []struct {
		issuer, audience, prefix string
		key                      *rsa.PrivateKey
	}{{idp, "boundary", "", idpKey}, {issuer, crm, "own:", key}} {
		path := filepath.Join(w.TempDir(), "jwks")
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: s.key.Public(), Algorithm: "RS256", Use: "sig"}}})
		require.NoError(w, err)
		require.NoError(w, os.WriteFile(path, text, 0o600))
		one, err := identity.OIDC(identity.OIDCConfig{
			Issuer: s.issuer, Audience: s.audience, Session: "human", JWKSFile: path, SubjectPrefix: s.prefix,
		})
		require.NoError(w, err)
		list = append(list, one)
	}
	out, err := identity.Sources(list...)
	require.NoError(w, err)
	return out
}

func secretOf(id string) string { return "secret-of-" + id }

// human is an ID token of the identity provider.
func human(t *testing.T, name string) string {
	now := clock.New().Now()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: idpKey}, nil)
	require.NoError(t, err)
	text, err := jwt.Signed(signer).Claims(map[string]any{
		"iss": idp, "aud": "boundary", "sub": name, "sid": "s-" + name, "iat": now.Unix(), "exp": now.Unix() + 600, "auth_time": now.Unix(),
	}).Serialize()
	require.NoError(t, err)
	return text
}

// grantAll grants what is asked for up to the ceiling, but never delete, for a minute, and lets every agent derive and every
// scope be refreshed.
func grantAll(f tb.Facts) tb.Verdict {
	v := tb.Verdict{
		Effect: tb.Allow, Path: "/agents/" + f.Client.ID, Version: "v1", Resources: f.Resources, Lifetime: time.Minute, Depth: 3, Derivations: 100,
	}
	for _, r := range f.Resources {
		a := lineage.Access{Resource: r}
		for _, s := range f.Scopes {
			if s == "delete" || f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(r), s) {
				continue
			}
			a.Scopes = append(a.Scopes, s)
			v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Rule: v.Path + "#all",
				Delegates: []string{"orchestrator", "tool", "sub"}, Refresh: true})
		}
		v.Access = append(v.Access, a)
	}
	return v
}

// payment is a type of authorization_details.
type payment struct{}

// Covers implements tb.DetailType.
func (payment) Covers(parent, child json.RawMessage) (bool, error) {
	return string(parent) == string(child), nil
}

// answer is what the server said.
type answer struct {
	status int
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// post sends a form as a client; an empty client is nobody.
func (w *world) post(path, client string, form url.Values) answer {
	w.Helper()
	w.clock.Add(time.Millisecond) // so that one denial is later than the other
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.server.URL+path, strings.NewReader(form.Encode()))
	require.NoError(w, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		r.SetBasicAuth(client, secretOf(client))
	}
	resp, err := w.server.Client().Do(r)
	require.NoError(w, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	require.NoError(w, resp.Body.Close())
	out := answer{status: resp.StatusCode}
	if len(text) > 0 {
		require.NoError(w, json.Unmarshal(text, &out.body), "%s", text)
	}
	return out
}

func form(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out.Add(pairs[i], pairs[i+1])
	}
	return out
}

func (w *world) credentials(client, scope string, more ...string) answer {
	w.Helper()
	return w.post("/token", client, form(append([]string{"grant_type", "client_credentials", "resource", crm, "scope", scope}, more...)...))
}

func (w *world) exchange(client, token, kind, scope string, more ...string) answer {
	w.Helper()
	return w.post("/token", client, form(append([]string{"grant_type", exchange.GrantTokenExchange, "subject_token", token,
		"subject_token_type", kind, "resource", crm, "scope", scope}, more...)...))
}

func (w *world) refresh(client, token string, more ...string) answer {
	w.Helper()
	return w.post("/token", client, form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...))
}

func (w *world) introspect(token string) map[string]any {
	w.Helper()
	return w.post("/introspect", "crm", form("token", token)).body
}

// active and dead say what the boundary's server answers, and that fosite alone finds the token alive.
func (w *world) active(token string) {
	w.Helper()
	require.Equal(w, true, w.introspect(token)["active"])
}

func (w *world) dead(token string) {
	w.Helper()
	require.Equal(w, map[string]any{"active": false}, w.introspect(token))
}

func (w *world) aliveAlone(token string) {
	w.Helper()
	require.Equal(w, true, w.post("/alone/introspect", "crm", form("token", token)).body["active"])
}

// granted expects a token, and refused an error without one.
func (w *world) granted(a answer) answer {
	w.Helper()
	require.Equal(w, http.StatusOK, a.status, "%v", a.body)
	require.NotEmpty(w, a.text("access_token"))
	return a
}

func (w *world) refused(a answer, status int, code string) {
	w.Helper()
	require.Equal(w, status, a.status, "%v", a.body)
	require.Equal(w, code, a.text("error"), "%v", a.body)
	require.Empty(w, a.text("access_token"))
	require.Empty(w, a.text("refresh_token"))
}

// claims are what the server says of a token: in the token where it is a JWT, else at introspection.
func (w *world) claims(a answer) map[string]any {
	w.Helper()
	if w.opaque {
		return w.introspect(a.text("access_token"))
	}
	parts := strings.Split(a.text("access_token"), ".")
	require.Len(w, parts, 3)
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(w, err)
	var out map[string]any
	require.NoError(w, json.Unmarshal(raw, &out))
	return out
}

func (w *world) idOf(a answer) lineage.ID {
	w.Helper()
	text, _ := w.claims(a)["jti"].(string)
	id, err := lineage.ParseID(text)
	require.NoError(w, err)
	return id
}

func (w *world) revoke(selector string) {
	w.Helper()
	s, err := lineage.ParseSelector(selector)
	require.NoError(w, err)
	_, err = w.Revoke(w.ctx, ops, lineage.Revocation{Selector: s, Reason: "test"})
	require.NoError(w, err)
}

// denied returns the reasons of the last denial of a client.
func (w *world) denied(client string) string {
	w.Helper()
	var why string
	for r, err := range w.store.Scan(w.ctx, issuer, lineage.Selector{Kind: lineage.SelectClient, Value: client}, store.Position{}) {
		require.NoError(w, err)
		if r.Kind == lineage.KindDenial {
			text, err := json.Marshal(r.Body.Reasons)
			require.NoError(w, err)
			why = string(text)
		}
	}
	return why
}

// sessions is how many access tokens the server's storage holds.
func (w *world) sessions() int { return len(w.host.AccessTokens) }
