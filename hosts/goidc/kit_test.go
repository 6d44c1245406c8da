package goidc_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/goidc"
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

	typeAccess  = tb.TypeAccessToken
	typeID      = tb.TypeIDToken
	typeRefresh = tb.TypeRefreshToken
)

// key signs what the provider issues, and idpKey what the identity provider does.
var key, idpKey = newKey("auth"), newKey("idp")

func newKey(kid string) goidc.JSONWebKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return goidc.JSONWebKey{Key: k, KeyID: kid, Algorithm: "RS256", Use: "sig"}
}

// world is a governed provider behind a real listener.
type world struct {
	*testing.T
	*tb.Governor
	ctx    context.Context
	store  store.Store
	grants *grants
	policy func(tb.Facts) tb.Verdict
	cfg    governed.Config
	more   []provider.Option // before ours
	last   []provider.Option // after ours
	bare   bool              // without Middleware

	binding tb.Binding
	proof   func(path string) string // sent with every request; nil: none
	manager goidc.GrantManager       // nil: grants
	op      *provider.Provider
	server  *httptest.Server
}

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

func newWorld(t *testing.T, change ...func(*world)) *world {
	w := &world{T: t, ctx: t.Context(), store: memory.New(), grants: &grants{rows: map[string]string{}}, policy: grantAll}
	w.cfg = governed.Config{
		RefreshTokens: w.grants, Operator: ops,
		Introspection: func(_ context.Context, c *goidc.Client, _ goidc.TokenInfo) bool { return c.ID == "crm" },
		Revocation:    func(context.Context, *goidc.Client) bool { return true },
	}
	for _, c := range change {
		c(w)
	}
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"prod"}, Binding: w.binding,
			Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}}
	}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Identities: w.sources(),
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil }),
		Clients: tb.ClientMap{
			"orchestrator": agent("orchestrator"), "tool": agent("tool"), "sub": agent("sub"), "public": agent("public"), "ops": ops,
			"crm": {ID: "crm", Kind: tb.KindResource, Resource: crm},
		},
	})
	require.NoError(t, err)
	w.Governor = g
	w.op, err = w.provider(governed.Options(g, w.cfg)...)
	require.NoError(t, err)
	handler := w.op.Handler(governed.Middleware)
	if w.bare {
		handler = w.op.Handler()
	}
	w.server = httptest.NewServer(handler)
	t.Cleanup(w.server.Close)
	return w
}

// at is a NumericDate.
func at(secs int) time.Time { return time.Unix(int64(secs), 0) }

// provider makes a provider with the clients, the keys and the grants of the world.
func (w *world) provider(opts ...provider.Option) (*provider.Provider, error) {
	scopes := "read write delete offline"
	clients := make([]*goidc.Client, 0, 4)
	for _, id := range []string{"orchestrator", "tool", "sub", "crm"} {
		clients = append(clients, &goidc.Client{ID: id, Secret: secretOf(id), ClientMeta: goidc.ClientMeta{
			GrantTypes:       []goidc.GrantType{goidc.GrantClientCredentials, goidc.GrantTokenExchange, goidc.GrantRefreshToken, goidc.GrantJWTBearer},
			TokenAuthnMethod: goidc.AuthnMethodSecretBasic, ScopeIDs: scopes,
		}})
	}
	clients = append(clients, &goidc.Client{ID: "public", ClientMeta: goidc.ClientMeta{
		GrantTypes: clients[0].GrantTypes, TokenAuthnMethod: goidc.AuthnMethodNone, ScopeIDs: scopes,
	}})
	all := []provider.Option{
		provider.WithSecretBasicAuthn(), provider.WithNoneAuthn(), provider.WithStaticClients(clients[0], clients[1:]...), provider.WithRefreshTokenRotation(),
		provider.WithResourceIndicators(crm, mail), provider.WithTokenRevocationRevokeGrantOnAccessToken(),
		provider.WithJTIConsumer(func(context.Context, string) error { return nil }), // the tests repeat none
	}
	var list []goidc.Scope
	for _, s := range strings.Fields(scopes) {
		list = append(list, goidc.NewScope(s))
	}
	all = append(all, provider.WithScopes(list...))
	all = slices.Concat(all, w.more, opts, w.last)
	var manager goidc.GrantManager = w.grants
	if w.manager != nil {
		manager = w.manager
	}
	return provider.New(issuer, manager, func(context.Context) (goidc.JSONWebKeySet, error) {
		return goidc.JSONWebKeySet{Keys: []goidc.JSONWebKey{key}}, nil
	}, all...)
}

// sources trust the identity provider and, as a host might, whatever the provider itself has signed.
func (w *world) sources() []tb.IdentitySource {
	var list []*identity.Source
	for _, s := range []struct {
		issuer, audience, prefix string
		key                      goidc.JSONWebKey
	}{{idp, "boundary", "", idpKey}, {issuer, crm, "own:", key}} {
		path := filepath.Join(w.TempDir(), "jwks")
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key.Public()}})
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
	return signed(t, idpKey, "JWT", map[string]any{
		"iss": idp, "aud": "boundary", "sub": name, "sid": "s-" + name, "iat": now.Unix(), "exp": now.Unix() + 600, "auth_time": now.Unix(),
	})
}

func signed(t *testing.T, k goidc.JSONWebKey, typ string, claims any) string {
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: k}, (&jose.SignerOptions{}).WithType(jose.ContentType(typ)))
	require.NoError(t, err)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return text
}

// answer is what the provider said.
type answer struct {
	status int
	header http.Header
	body   map[string]any
}

func (a answer) text(name string) string { s, _ := a.body[name].(string); return s }

// claims are those of the access token.
func (a answer) claims(t *testing.T) map[string]any {
	t.Helper()
	parts := strings.Split(a.text("access_token"), ".")
	require.Len(t, parts, 3, "%v", a.body)
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	require.NoError(t, err)
	var out map[string]any
	require.NoError(t, json.Unmarshal(raw, &out))
	return out
}

// post sends a form as a client; an empty client is nobody.
func (w *world) post(path, client string, form url.Values) answer {
	w.Helper()
	r, err := http.NewRequestWithContext(w.ctx, http.MethodPost, w.server.URL+path, strings.NewReader(form.Encode()))
	require.NoError(w, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		r.SetBasicAuth(client, secretOf(client))
	}
	if w.proof != nil {
		r.Header.Set("DPoP", w.proof(path))
	}
	resp, err := w.server.Client().Do(r)
	require.NoError(w, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	require.NoError(w, resp.Body.Close())
	out := answer{status: resp.StatusCode, header: resp.Header}
	if len(text) > 0 {
		require.NoError(w, json.Unmarshal(text, &out.body), "%s", text)
	}
	return out
}

// granted expects a token, and refused an error without one.
func (w *world) granted(a answer) answer {
	w.Helper()
	require.Equal(w, http.StatusOK, a.status, "%v", a.body)
	require.NotEmpty(w, a.text("access_token"))
	return a
}

func (w *world) refused(a answer, status int, code string) answer {
	w.Helper()
	require.Equal(w, status, a.status, "%v", a.body)
	require.Equal(w, code, a.text("error"))
	require.Empty(w, a.text("access_token"))
	require.Empty(w, a.text("refresh_token"))
	return a
}

func form(pairs ...string) url.Values {
	out := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		out.Add(pairs[i], pairs[i+1])
	}
	return out
}

func (w *world) credentials(client, scope string) answer {
	w.Helper()
	return w.post("/token", client, form("grant_type", "client_credentials", "resource", crm, "scope", scope))
}

func (w *world) exchange(client, token, kind, scope string, more ...string) answer {
	w.Helper()
	f := form(append([]string{"grant_type", string(goidc.GrantTokenExchange), "subject_token", token, "subject_token_type", kind,
		"resource", crm, "scope", scope}, more...)...)
	return w.post("/token", client, f)
}

func (w *world) refresh(client, token string, more ...string) answer {
	w.Helper()
	return w.post("/token", client, form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...))
}

func (w *world) introspect(token string) answer {
	w.Helper()
	return w.post("/introspect", "crm", form("token", token))
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

// grantAll grants what is asked for up to the ceiling, for a minute, and lets every agent derive and every scope be
// refreshed.
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

// grants is a store of grants as a database would be one: what it keeps is text.
type grants struct {
	mu   sync.Mutex
	rows map[string]string
}

func (g *grants) SaveGrant(_ context.Context, grant *goidc.Grant) error {
	text, err := json.Marshal(grant)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rows[grant.ID] = string(text)
	return err
}

func (g *grants) find(is func(*goidc.Grant) bool) (*goidc.Grant, error) {
	g.mu.Lock()
	rows := slices.Collect(maps.Values(g.rows))
	g.mu.Unlock()
	for _, text := range rows {
		var grant goidc.Grant
		if err := json.Unmarshal([]byte(text), &grant); err != nil {
			return nil, err
		}
		if is(&grant) {
			return &grant, nil
		}
	}
	return nil, goidc.ErrNotFound
}

func (g *grants) Grant(_ context.Context, id string) (*goidc.Grant, error) {
	return g.find(func(x *goidc.Grant) bool { return x.ID == id })
}

func (g *grants) GrantByRefreshToken(_ context.Context, token string) (*goidc.Grant, error) {
	return g.find(func(x *goidc.Grant) bool { return x.RefreshToken == token })
}
