package fosite_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/ory/fosite/handler/oauth2"
	"github.com/ory/fosite/handler/openid"
	fjwt "github.com/ory/fosite/token/jwt"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	governed "github.com/tokenboundary/tokenboundary/hosts/fosite"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestNewNamesTheFieldThatIsWrong(t *testing.T) {
	w := newWorld(t)
	for field, damage := range map[string]func(*governed.Config){
		"Config.Governor":  func(c *governed.Config) { c.Governor = nil },
		"Config.Operator":  func(c *governed.Config) { c.Operator = tb.Client{ID: "ops", Kind: tb.KindAgent} },
		"Config.Session":   func(c *governed.Config) { c.Session = nil },
		"Config.Undecided": func(c *governed.Config) { c.Undecided = []string{"refresh_token"} },
	} {
		cfg := w.cfg
		damage(&cfg)
		_, err := governed.New(cfg)
		require.ErrorContains(t, err, field)
	}
	_, err := governed.New(w.cfg)
	require.NoError(t, err)
}

// fosite keeps one handler of a Go type and drops a second one without a word.
func TestAProviderIsGovernedOnce(t *testing.T) {
	w := newWorld(t)
	with := func(factories ...compose.Factory) func() {
		return func() { w.compose(&fosite.Config{GlobalSecret: w.config.GlobalSecret}, factories...) }
	}
	one, err := governed.New(w.cfg)
	require.NoError(t, err)
	two, err := governed.New(w.cfg)
	require.NoError(t, err)
	require.PanicsWithValue(t, "tokenboundary: the provider has a Factory already; fosite keeps one handler of a type",
		with(one.Factory, two.Factory))
	require.PanicsWithValue(t, "tokenboundary: Factory takes the place of compose.OAuth2TokenRevocationFactory",
		with(compose.OAuth2TokenRevocationFactory, one.Factory))
	require.PanicsWithValue(t, "tokenboundary: strategy <nil> is not oauth2.CoreStrategy", func() { one.Factory(&fosite.Config{}, w.host, nil) })
	require.PanicsWithValue(t, "tokenboundary: storage <nil> is not oauth2.CoreStorage and oauth2.TokenRevocationStorage",
		func() { one.Factory(&fosite.Config{}, nil, nil) })
	require.NotPanics(t, with(one.Factory))
	require.NotPanics(t, with(one.Factory), "of another provider")
}

func TestNoTokenLeavesWhereFactoryIsNotTheLast(t *testing.T) {
	w := newWorld(t)
	token := w.family("read").text("refresh_token")
	misplaced := newWorld(t, func(o *world) {
		o.first, o.last = nil, w.first
		o.host, o.storage, o.store = w.host, w.host, w.store
	})
	before := w.sessions()
	misplaced.refused(misplaced.credentials("tool", "read"), http.StatusInternalServerError, "server_error")
	misplaced.refused(misplaced.refresh("orchestrator", token), http.StatusBadRequest, "invalid_grant")
	require.Contains(t, w.denied("orchestrator"), "not a refresh token of this boundary")
	require.Equal(t, before, w.sessions())
	raw := w.granted(w.credentials("tool", "read")).text("access_token")
	misplaced.active(raw)
	w.revoke("client:tool")
	misplaced.dead(raw) // introspection does not depend on the order

	misplaced = newWorld(t, func(o *world) {
		o.cfg.Undecided = []string{"password"}
		o.first, o.last = nil, w.first
		o.host, o.storage, o.store = w.host, w.host, w.store
	})
	misplaced.refused(misplaced.refresh("orchestrator", token), http.StatusInternalServerError, "server_error")
}

func (w *world) password(more ...string) answer {
	w.Helper()
	return w.post("/token", "orchestrator", form(append([]string{
		"grant_type", "password", "username", "alice", "password", "password-of-alice", "scope", "read", "audience", crm,
	}, more...)...))
}

// grantAsked is what a host does with a grant that it answers for.
func grantAsked(ar *fosite.AccessRequest) {
	if ar.GrantTypes.ExactOne("password") {
		ar.GrantScope("read")
		ar.GrantAudience(crm)
	}
}

func withPassword(w *world) {
	w.first = append(w.first, compose.OAuth2ResourceOwnerPasswordCredentialsFactory) //nolint:staticcheck // the shortest grant of its own that fosite has
	w.between = grantAsked
}

func TestAnotherGrantIsRefusedUnlessTheServerAnswersForIt(t *testing.T) {
	w := newWorld(t, withPassword)
	w.refused(w.password(), http.StatusBadRequest, "unauthorized_client")
	require.Contains(t, w.denied("orchestrator"), "the client may not use this grant")
	w.refused(w.post("/token", "orchestrator", form("grant_type", "client_credentials refresh_token")), http.StatusBadRequest, "unauthorized_client")

	w = newWorld(t, withPassword, func(w *world) { w.cfg.Undecided = []string{"password"} })
	a := w.granted(w.password("tokenboundary_decision", "{}"))
	raw := a.text("access_token")
	w.active(raw)
	w.refused(w.exchange("tool", raw, tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not acceptable", "there is no Config.Subject")
	next := w.granted(w.refresh("orchestrator", a.text("refresh_token"), "tokenboundary_decision", "{}"))
	w.active(next.text("access_token"))
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", next.text("access_token"))).status)
	w.dead(next.text("access_token"))
	w.granted(w.credentials("tool", "read", "tokenboundary_decision", "{}"))

	governing := newWorld(t, func(o *world) { o.host, o.storage = w.host, w.host })
	old := w.granted(w.password())
	governing.dead(old.text("access_token"))
	governing.refused(governing.refresh("orchestrator", old.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	require.Contains(t, governing.denied("orchestrator"), "not a refresh token of this boundary")
}

func TestTheHostSaysWhatATokenOfItsOwnCarries(t *testing.T) {
	var no error
	identity := false
	w := newWorld(t, withPassword, func(w *world) {
		w.cfg.Undecided = []string{"password"}
		w.cfg.Subject = func(_ context.Context, r fosite.Requester) (tb.Principal, error) {
			p := tb.Principal{
				Party:     lineage.Party{ID: "user:" + r.GetSession().GetSubject(), Issuer: issuer, Kind: "human"},
				Authority: &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: r.GetGrantedScopes()}}, Depth: 3},
				Issued:    r.GetRequestedAt(),
			}
			if identity {
				p.Authority, p.Identity = nil, true
			}
			return p, no
		}
	})
	w.config.AccessTokenLifespan = 30 * time.Second
	parent := w.granted(w.password())
	raw, ends := parent.text("access_token"), w.claims(parent)["exp"]
	w.config.AccessTokenLifespan = time.Hour
	for _, kind := range []string{tb.TypeAccessToken, tb.TypeJWT, tb.TypeIDToken} {
		c := w.claims(w.granted(w.exchange("tool", raw, kind, "read write")))
		require.Equal(t, "read", c["scope"], "no more than the token carries")
		require.LessOrEqual(t, c["exp"], ends)
		require.Contains(t, c["sub"], "user:")
		require.Equal(t, map[string]any{"sub": "tool", "iss": issuer}, c["act"])
	}
	identity = true
	for _, kind := range []string{tb.TypeAccessToken, tb.TypeIDToken} {
		c := w.claims(w.granted(w.exchange("tool", raw, kind, "write")))
		require.LessOrEqual(t, c["exp"], ends, "it is an access token, whatever it is said to be")
	}
	no = errors.New("not this one")
	w.refused(w.exchange("tool", raw, tb.TypeAccessToken, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not acceptable")
	no = tb.ErrUnavailable
	w.refused(w.exchange("tool", raw, tb.TypeAccessToken, "read"), http.StatusServiceUnavailable, "temporarily_unavailable")
}

func TestASessionThatCannotKeepADecisionGetsNoToken(t *testing.T) {
	for name, session := range map[string]func() fosite.Session{
		"no extra claims": func() fosite.Session {
			return &openid.DefaultSession{Headers: &fjwt.Headers{}, Claims: &fjwt.IDTokenClaims{}}
		},
		"a copy":    func() fosite.Session { return &copying{} },
		"no claims": func() fosite.Session { return &claimless{} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, opaque, func(w *world) { w.session = session })
			w.refused(w.credentials("tool", "read"), http.StatusInternalServerError, "server_error")
			require.Zero(t, w.sessions())
			w.refused(w.credentials("tool", "delete"), http.StatusBadRequest, "invalid_scope")
		})
	}
}

// copying is a session whose extra claims are a copy.
type copying struct{ fosite.DefaultSession }

func (c *copying) GetExtraClaims() map[string]any { return map[string]any{} }
func (c *copying) Clone() fosite.Session          { return &copying{} }

// claimless is a session for JWTs with claims that are not fosite's.
type claimless struct{ oauth2.JWTSession }

func (c *claimless) GetJWTClaims() fjwt.JWTClaimsContainer { return nil }
func (c *claimless) Clone() fosite.Session                 { return &claimless{} }
