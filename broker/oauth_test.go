package broker_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	upstreamID     = "broker at upstream"
	upstreamSecret = "canary-client-secret"
	firstRefresh   = "canary-refresh-0"
)

// foreignServer is an authorisation server that rotates refresh tokens: one that is used twice is the end of all.
type foreignServer struct {
	*httptest.Server
	mu      sync.Mutex
	refresh string
	n       int
	dead    bool
	active  map[string]string // scope by access token
	lie     func(w http.ResponseWriter, answer map[string]any)
}

func newForeign(t *testing.T) *foreignServer {
	u := &foreignServer{refresh: firstRefresh, active: map[string]string{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", u.token)
	mux.HandleFunc("POST /revoke", func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		delete(u.active, r.PostFormValue("token"))
	})
	u.Server = httptest.NewServer(mux)
	t.Cleanup(u.Close)
	return u
}

func (u *foreignServer) token(w http.ResponseWriter, r *http.Request) {
	u.mu.Lock()
	defer u.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	id, secret, _ := r.BasicAuth()
	fail := func(code string) {
		w.WriteHeader(http.StatusBadRequest)
		_ = json.NewEncoder(w).Encode(map[string]any{"error": code, "error_description": u.refresh + upstreamSecret})
	}
	switch {
	case id != "broker+at+upstream" || secret != upstreamSecret:
		fail("invalid_client")
	case u.dead || r.PostFormValue("refresh_token") != u.refresh:
		u.dead = true
		fail("invalid_grant")
	default:
		u.n++
		u.refresh = fmt.Sprint("canary-refresh-", u.n)
		access, scope := fmt.Sprint("access-", u.n), r.PostFormValue("scope")
		u.active[access] = scope
		answer := map[string]any{"access_token": access, "token_type": "bearer", "expires_in": 300, "refresh_token": u.refresh, "scope": scope}
		if u.lie != nil {
			u.lie(w, answer)
		}
		_ = json.NewEncoder(w).Encode(answer)
	}
}

func (u *foreignServer) live() []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var out []string
	for token, scope := range u.active {
		out = append(out, token+" "+scope)
	}
	slices.Sort(out)
	return out
}

// oauth is a provider of the world's connection that has the first refresh token.
func (w *world) oauth(u *foreignServer, change ...func(*broker.OAuthConfig)) *broker.OAuth {
	w.Helper()
	cfg := broker.OAuthConfig{
		Governor: w.gov, Client: w.client, Connection: "erp", Sealer: xor{}, Clock: w.clock,
		TokenURL: u.URL + "/token", RevocationURL: u.URL + "/revoke", ClientID: upstreamID, ClientSecret: upstreamSecret,
	}
	for _, c := range change {
		c(&cfg)
	}
	o, err := broker.NewOAuth(cfg)
	require.NoError(w, err)
	return o
}

// vaulting is a world whose broker gets access tokens of u.
func vaulting(t *testing.T, u *foreignServer, change ...func(*broker.OAuthConfig)) (*world, *broker.OAuth) {
	w := newWorld(t)
	o := w.oauth(u, change...)
	require.NoError(t, o.Deposit(w.ctx, firstRefresh))
	w.cfg.Providers = map[string]broker.Provider{"erp": o}
	w.Broker = w.node()
	return w, o
}

// secretOf returns the access token of a lease.
func (w *world) secretOf(l *broker.Lease) (out string) {
	w.Helper()
	require.NoError(w, l.Use(w.ctx, func(_ context.Context, s broker.Secret) error {
		out = s.Value("token")
		return nil
	}))
	return out
}

// TestAnAccessTokenLivesAsLongAsItsTask: for the scopes of the lease, renewed while it is used, and revoked at the end.
func TestAnAccessTokenLivesAsLongAsItsTask(t *testing.T) {
	u := newForeign(t)
	w, _ := vaulting(t, u, func(c *broker.OAuthConfig) { c.Scopes = map[string][]string{"read": {"files.read", "files.list"}} })
	u.lie = func(_ http.ResponseWriter, a map[string]any) { a["expires_in"] = 60 } // before the lease
	tok := w.task("bot")
	l := w.lease(tok)
	require.Equal(t, "access-1", w.secretOf(l))
	require.Equal(t, []string{"access-1 files.read files.list"}, u.live())
	w.clock.Add(50 * time.Second)
	w.sweep()
	require.Equal(t, "access-2", w.secretOf(l))
	w.cut("token:" + tok.ID.String())
	w.sweep()
	require.Empty(t, w.open())
	require.Empty(t, u.live(), "with what was in use before")
	require.ErrorIs(t, l.Use(w.ctx, func(context.Context, broker.Secret) error { return nil }), broker.ErrOver)

	_, err := w.Lease(w.ctx, asking(w.task("bot"), "write"))
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "a scope stands for none of the server")
	require.NotContains(t, w.log.String(), "canary")
}

// TestManyProcessesUseOneRefreshTokenInTurn: none is used twice, and the last one is kept.
func TestManyProcessesUseOneRefreshTokenInTurn(t *testing.T) {
	u := newForeign(t)
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	nodes := make([]*broker.OAuth, 4)
	for i := range nodes {
		nodes[i] = w.oauth(u, func(c *broker.OAuthConfig) { c.Clock = nil })
		require.NoError(t, nodes[i].Deposit(ctx, firstRefresh), "again is nothing")
	}
	var all sync.WaitGroup
	errs := make([]error, 12)
	for i := range errs {
		all.Go(func() { _, errs[i] = nodes[i%len(nodes)].Fetch(ctx, tb.Lease{Scopes: []string{"read"}}) })
	}
	all.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	require.Len(t, u.live(), len(errs))
	require.NoError(t, nodes[0].Deposit(ctx, firstRefresh), "its successors are not thrown away")
	_, err := nodes[1].Fetch(ctx, tb.Lease{Scopes: []string{"read"}})
	require.NoError(t, err)
	require.NoError(t, nodes[0].Deposit(ctx, "another"))
	_, err = nodes[1].Fetch(ctx, tb.Lease{Scopes: []string{"read"}})
	require.ErrorIs(t, err, tb.ErrDenied)
	require.ErrorContains(t, err, "another one has to be deposited")
	require.NoError(t, nodes[0].Deposit(ctx, ""))
	_, err = nodes[1].Fetch(ctx, tb.Lease{Scopes: []string{"read"}})
	require.ErrorContains(t, err, "no refresh token was deposited")
}

// TestTheRefreshTokenIsSealed: about its connection, and whoever cannot open it gets nothing.
func TestTheRefreshTokenIsSealed(t *testing.T) {
	u := newForeign(t)
	w, o := vaulting(t, u)
	k, err := w.gov.Kept(w.ctx, w.client, "erp")
	require.NoError(t, err)
	require.NotContains(t, string(k.Value), "canary")
	strange := w.oauth(u, func(c *broker.OAuthConfig) {
		key := sealKey(t)
		c.Sealer, err = broker.NewSealer(key)
		require.NoError(t, err)
	})
	_, err = strange.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.ErrorContains(t, err, "cannot be opened")
	_, err = o.Fetch(w.ctx, tb.Lease{Scopes: []string{"read"}})
	require.NoError(t, err, "control: it was left alone")
}

// TestAServerThatCannotRevoke: what was delivered is outstanding until it ends; what was not is gone with the lease.
func TestAServerThatCannotRevoke(t *testing.T) {
	u := newForeign(t)
	w, _ := vaulting(t, u, func(c *broker.OAuthConfig) { c.RevocationURL = "" })
	tok := w.task("bot")
	w.lease(tok)
	shown, err := w.Lease(w.ctx, tb.LeaseRequest{Token: asking(tok).Token, Scopes: []string{"export"}, Deliver: true})
	require.NoError(t, err)
	s, err := shown.Deliver(w.ctx)
	require.NoError(t, err)
	require.Equal(t, "access-2", s.Value("token"))
	w.cut("token:" + tok.ID.String())
	w.sweep()
	require.Equal(t, []lineage.ID{shown.Info().ID}, idsOf(w.open()))
	require.Equal(t, 1, w.Outstanding().Failing)
	w.clock.Add(301 * time.Second)
	w.sweep()
	require.Empty(t, w.open())
}

// TestWhatWasDeliveredIsNotReplaced: the access token that somebody else has is the one that is revoked, however long it was used.
func TestWhatWasDeliveredIsNotReplaced(t *testing.T) {
	u := newForeign(t)
	u.lie = func(_ http.ResponseWriter, a map[string]any) { a["expires_in"] = 60 } // before the lease
	w, _ := vaulting(t, u)
	tok := w.task("bot")
	l, err := w.Lease(w.ctx, tb.LeaseRequest{Token: asking(tok).Token, Scopes: []string{"export"}, Deliver: true})
	require.NoError(t, err)
	for range 3 {
		s, err := l.Deliver(w.ctx)
		require.NoError(t, err)
		require.Equal(t, "access-1", s.Value("token"))
		w.clock.Add(19 * time.Second)
		w.sweep()
	}
	require.Equal(t, []string{"access-1 export"}, u.live(), "control")
	w.cut("token:" + tok.ID.String())
	w.sweep()
	require.Empty(t, u.live())
	require.Empty(t, w.open())

	l, err = w.Lease(w.ctx, tb.LeaseRequest{Token: asking(w.task("bot")).Token, Scopes: []string{"export"}, Deliver: true})
	require.NoError(t, err)
	w.clock.Add(60 * time.Second)
	_, err = l.Deliver(w.ctx)
	require.ErrorIs(t, err, broker.ErrOver)
	require.NotContains(t, w.log.String(), "could not be renewed")
}

func idsOf(all []tb.Lease) (out []lineage.ID) {
	for _, l := range all {
		out = append(out, l.ID)
	}
	return out
}

// TestALyingServerIsNotBelieved: the lease fails for its reason, says nothing of what came, and the refresh token that came is kept.
func TestALyingServerIsNotBelieved(t *testing.T) {
	for want, lie := range map[string]func(http.ResponseWriter, map[string]any){
		"has other scopes than were asked for":    func(_ http.ResponseWriter, a map[string]any) { a["scope"] = "read admin" },
		"has other scopes":                        func(_ http.ResponseWriter, a map[string]any) { a["scope"] = "" },
		"does not say when the access token ends": func(_ http.ResponseWriter, a map[string]any) { delete(a, "expires_in") },
		"within a month":                          func(_ http.ResponseWriter, a map[string]any) { a["expires_in"] = 1e300 },
		"is not a bearer token":                   func(_ http.ResponseWriter, a map[string]any) { a["token_type"] = "N_A" },
		"without a usable access token":           func(_ http.ResponseWriter, a map[string]any) { a["access_token"] = "canary\r\nX: y" },
		"too long to be revoked":                  func(_ http.ResponseWriter, a map[string]any) { a["access_token"] = strings.Repeat("canary", 400) },
	} {
		t.Run(want, func(t *testing.T) {
			u := newForeign(t)
			w, _ := vaulting(t, u)
			u.lie = lie
			_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
			require.ErrorIs(t, err, tb.ErrDenied)
			require.ErrorContains(t, err, want)
			require.NotContains(t, fmt.Sprint(err, w.log.String()), "canary")
			u.lie = nil
			_, err = w.Lease(w.ctx, asking(w.task("bot"), "read"))
			require.NoError(t, err, "control")
		})
	}
}

// TestAServerThatDoesNotAnswer: nothing is lost that it did not take.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	mode := ""
	var far *foreignServer
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode {
		case "html":
			_, _ = w.Write([]byte("<p>canary"))
		case "error":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusBadGateway)
			_, _ = w.Write([]byte(`{"error":"canary"}`))
		case "endless":
			w.Header().Set("Content-Type", "application/json")
			for {
				if _, err := w.Write([]byte(strings.Repeat("canary", 1000))); err != nil {
					return
				}
			}
		case "redirect":
			http.Redirect(w, r, "/canary", http.StatusTemporaryRedirect)
		case "half":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte(`{"canary`))
		default:
			far.token(w, r)
		}
	}))
	defer s.Close()
	far = newForeign(t)
	w, _ := vaulting(t, far, func(c *broker.OAuthConfig) { c.TokenURL = s.URL })
	for _, mode = range []string{"html", "error", "endless", "redirect", "half"} {
		_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
		require.ErrorIs(t, err, tb.ErrUnavailable, mode)
		require.NotContains(t, fmt.Sprint(err, w.log.String()), "canary")
	}
	mode = ""
	_, err := w.Lease(w.ctx, asking(w.task("bot"), "read"))
	require.NoError(t, err, "control")
}

func TestWhatAnOAuthProviderIsMadeOf(t *testing.T) {
	w, u := newWorld(t), newForeign(t)
	for want, change := range map[string]func(*broker.OAuthConfig){
		"Governor is required":                   func(c *broker.OAuthConfig) { c.Governor = nil },
		"Sealer is required":                     func(c *broker.OAuthConfig) { c.Sealer = nil },
		"Connection must be one of the client's": func(c *broker.OAuthConfig) { c.Connection = "other" },
		"ClientID is required":                   func(c *broker.OAuthConfig) { c.ClientID = "" },
		"TokenURL":                               func(c *broker.OAuthConfig) { c.TokenURL = "http://as.example/token" },
		"RevocationURL":                          func(c *broker.OAuthConfig) { c.RevocationURL = "ftp://as.example" },
	} {
		cfg := broker.OAuthConfig{Governor: w.gov, Client: w.client, Connection: "erp", Sealer: xor{}, TokenURL: u.URL, ClientID: "id"}
		_, err := broker.NewOAuth(cfg)
		require.NoError(t, err, "control")
		change(&cfg)
		_, err = broker.NewOAuth(cfg)
		require.ErrorContains(t, err, "broker: OAuthConfig."+want)
	}
}
