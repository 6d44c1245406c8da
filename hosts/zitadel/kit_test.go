package zitadel_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
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
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
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

// idpKey signs what the identity provider does.
var idpKey = func() jose.JSONWebKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return jose.JSONWebKey{Key: k, KeyID: "idp", Algorithm: "RS256", Use: "sig"}
}()

func TestMain(m *testing.M) {
	slog.SetDefault(slog.New(slog.DiscardHandler)) // where the server logs
	os.Exit(m.Run())
}

// world is a governed server behind a real listener.
type world struct {
	*testing.T
	*tb.Governor
	ctx      context.Context
	store    store.Store
	host     *host
	policy   func(tb.Facts) tb.Verdict
	cfg      governed.Config
	provider *op.Provider
	server   *httptest.Server
}

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

func newWorld(t *testing.T, change ...func(*world)) *world {
	w := &world{T: t, ctx: t.Context(), store: memory.New(), host: newHost(), policy: grantAll, cfg: governed.Config{Operator: ops}}
	for _, c := range change {
		c(w)
	}
	agent := func(id string) tb.Client {
		return tb.Client{ID: id, Kind: tb.KindAgent, Connections: []string{"prod"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}}
	}
	g, err := tb.New(tb.Config{
		Issuer: issuer, Store: w.store, Identities: w.sources(),
		Policy: tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil }),
		Clients: tb.ClientMap{
			"orchestrator": agent("orchestrator"), "tool": agent("tool"), "sub": agent("sub"), "public": agent("public"), "ops": ops,
		},
	})
	require.NoError(t, err)
	w.Governor = g
	w.provider, err = op.NewProvider(&op.Config{
		CryptoKey: [32]byte{1}, CodeMethodS256: true, GrantTypeRefreshToken: true,
		DeviceAuthorization: op.DeviceAuthorizationConfig{Lifetime: time.Minute, PollInterval: time.Second, UserFormPath: "/device", UserCode: op.UserCodeBase20},
	}, w.host, op.StaticIssuer(issuer))
	require.NoError(t, err)
	server, err := governed.New(op.NewLegacyServer(w.provider, *op.DefaultEndpoints), g, w.cfg)
	require.NoError(t, err)
	w.server = httptest.NewServer(op.RegisterLegacyServer(server, op.AuthorizeCallbackHandler(w.provider)))
	t.Cleanup(w.server.Close)
	return w
}

// sources trust the identity provider and, as a host might, whatever the server itself has signed.
func (w *world) sources() []tb.IdentitySource {
	keys, err := w.host.KeySet(w.ctx)
	require.NoError(w, err)
	own := jose.JSONWebKey{Key: keys[0].Key(), KeyID: keys[0].ID(), Algorithm: "RS256", Use: "sig"}
	var list []*identity.Source
	for _, s := range []struct {
		issuer, audience, prefix string
		key                      jose.JSONWebKey
	}{{idp, "boundary", "", idpKey.Public()}, {issuer, crm, "own:", own}} {
		path := filepath.Join(w.TempDir(), "jwks")
		text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.key}})
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
	return signed(t, idpKey, map[string]any{
		"iss": idp, "aud": "boundary", "sub": name, "sid": "s-" + name, "iat": now.Unix(), "exp": now.Unix() + 600, "auth_time": now.Unix(),
	})
}

func signed(t *testing.T, key jose.JSONWebKey, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	require.NoError(t, err)
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	require.NoError(t, err)
	return text
}

// answer is what the server said.
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
	return w.send(r)
}

func (w *world) send(r *http.Request) answer {
	w.Helper()
	c := *w.server.Client()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := c.Do(r)
	require.NoError(w, err)
	text, err := io.ReadAll(resp.Body)
	require.NoError(w, err)
	require.NoError(w, resp.Body.Close())
	out := answer{status: resp.StatusCode, header: resp.Header}
	_ = json.Unmarshal(text, &out.body) // a redirect has none
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
	return w.post("/oauth/token", client, form("grant_type", "client_credentials", "resource", crm, "scope", scope))
}

func (w *world) exchange(client, token, kind, scope string, more ...string) answer {
	w.Helper()
	f := form(append([]string{"grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", token,
		"subject_token_type", kind, "resource", crm, "scope", scope}, more...)...)
	return w.post("/oauth/token", client, f)
}

func (w *world) refresh(client, token string, more ...string) answer {
	w.Helper()
	return w.post("/oauth/token", client, form(append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...))
}

func (w *world) introspect(token string) answer {
	w.Helper()
	return w.post("/oauth/introspect", "crm", form("token", token))
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
