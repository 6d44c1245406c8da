package gate_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/identity"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// foreign is an authorization server of somebody else: a whole one, with clients, keys and policy of its own, that knows
// nothing of the boundary.
type foreign struct {
	*tb.Governor
	url   string
	lie   func(http.Handler) http.Handler // nil: it is honest
	life  time.Duration
	mu    sync.Mutex
	asked []*http.Request
	forms []url.Values
}

// secretAt is the secret of a client at the foreign server.
func secretAt(id string) string { return "canary-at-the-foreign-server-of-" + id }

func (w *world) foreign() *foreign {
	f := &foreign{life: 5 * time.Minute}
	const iss = "https://foreign.example"
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(w, err)
	state := memory.New()
	keys, err := mint.Open(w.Context(), mint.Config{Issuer: iss, Store: state, Signer: key, Clock: w.clock})
	require.NoError(w, err)
	clients := tb.ClientMap{"ops": ops}
	auth := identity.ClientsConfig{Issuer: iss, Clock: w.clock}
	for _, id := range []string{"bot", "other"} {
		clients[id] = tb.Client{ID: id, Kind: tb.KindWorkload, Connections: []string{"x"}, Grants: []tb.Grant{tb.ClientCredentials, tb.Exchange, tb.Refresh}}
		auth.Clients = append(auth.Clients, identity.ClientAuth{ID: id, Secret: secretAt(id)})
	}
	byClient, err := identity.Clients(auth)
	require.NoError(w, err)
	f.Governor, err = tb.New(tb.Config{
		Issuer: iss, Store: state, Clients: clients, Clock: w.clock, Identities: []tb.IdentitySource{byClient}, Minter: keys,
		Policy: tb.PolicyFunc(func(_ context.Context, q tb.Facts) (tb.Verdict, error) {
			v := tb.Verdict{Effect: tb.Allow, Path: "/", Version: "v", Resources: q.Resources, Lifetime: f.life, Depth: 5}
			for _, r := range q.Resources {
				v.Access = append(v.Access, lineage.Access{Resource: r, Scopes: q.Scopes})
				for _, s := range q.Scopes {
					v.Reasons = append(v.Reasons, lineage.Reason{Resource: r, Scope: s, Granted: true, Refresh: true, Delegates: []string{"bot", "other"}})
				}
			}
			return v, nil
		}),
		Lifetimes: tb.Lifetimes{AccessToken: 24 * time.Hour},
	})
	require.NoError(w, err)
	h, err := endpoint.New(f.Governor, endpoint.Config{JWKS: keys.JWKS, Clock: w.clock})
	require.NoError(w, err)
	f.url = w.serve(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		f.note(r)
		next := http.Handler(h)
		if f.lie != nil && r.URL.Path == "/token" {
			next = f.lie(h)
		}
		next.ServeHTTP(rw, r)
	}))
	return f
}

// note keeps what the server was asked.
func (f *foreign) note(r *http.Request) {
	raw, _ := readAll(r)
	form, _ := url.ParseQuery(raw)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.forms = append(f.asked, r), append(f.forms, form)
}

// revoked returns the tokens that the server was asked to revoke.
func (f *foreign) revoked() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []string
	for i, r := range f.asked {
		if r.URL.Path == "/revoke" {
			out = append(out, f.forms[i].Get("token"))
		}
	}
	return out
}

func (f *foreign) last() (*http.Request, url.Values) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[len(f.asked)-1], f.forms[len(f.forms)-1]
}

func (f *foreign) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

const sealKey = gate.Secret("canary-of-the-seal-0123456789abcdef")

// gate puts a gate in front of the server.
func (w *world) gate(f *foreign, change ...func(*gate.Config)) string {
	cfg := gate.Config{
		Governor: w.Governor, Token: f.url + "/token", Revocation: f.url + "/revoke", Keys: []gate.Secret{sealKey}, Clock: w.clock,
		Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", secretAt("bot")), "other": exchange.Basic("other", secretAt("other"))},
		Logger:  slog.New(slog.NewJSONHandler(w.log, nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	g, err := gate.New(cfg)
	require.NoError(w, err)
	return w.serve(g)
}

// form sends a form to the gate, as a client.
func (w *world) form(to, client string, v url.Values, change ...func(*http.Request)) reply {
	w.Helper()
	r, err := http.NewRequestWithContext(w.Context(), http.MethodPost, to, strings.NewReader(v.Encode()))
	require.NoError(w, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if client != "" {
		r.SetBasicAuth(client, secretOf(client))
	}
	for _, c := range change {
		c(r)
	}
	out := w.do(r)
	require.Equal(w, "application/json", out.header.Get("Content-Type"))
	return out
}

func ask(pairs ...string) url.Values {
	v := url.Values{"grant_type": {"client_credentials"}, "resource": {crm}, "scope": {"read"}}
	for i := 0; i < len(pairs); i += 2 {
		if v.Set(pairs[i], pairs[i+1]); pairs[i+1] == "" {
			v.Del(pairs[i])
		}
	}
	return v
}

func (r reply) text(name string) string {
	s, _ := r.at(name).(string)
	return s
}

func TestTheGateForwardsWhatWasGranted(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	r := w.form(w.gate(f)+"/?scope=admin&resource="+mail, "bot", ask("scope", "read admin"), func(r *http.Request) {
		r.Header.Set("X-HTTP-Method-Override", "GET")
		r.Header.Set("X-Original-URL", "/revoke")
		r.Header.Set("Cookie", "canary=1")
		r.Header.Set("DPoP", "x")
		r.Header.Set("Forwarded", "for=1.2.3.4")
	})
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, "read", r.text("scope"))
	require.Equal(t, "Bearer", r.text("token_type"))
	require.EqualValues(t, "300", r.at("expires_in"))
	require.Subset(t, []string{"access_token", "token_type", "expires_in", "scope", "refresh_token"}, names(r.body))

	sent, form := f.last()
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "resource": {crm}}, form)
	require.Empty(t, sent.URL.RawQuery)
	id, secret, _ := sent.BasicAuth()
	require.Equal(t, "bot", id)
	require.Equal(t, secretAt("bot"), secret)
	for name := range sent.Header {
		require.Contains(t, []string{"Accept", "Accept-Encoding", "Authorization", "Content-Length", "Content-Type", "User-Agent"}, name)
	}
	records := w.records(lineage.KindToken)
	require.Len(t, records, 1)
	require.False(t, records[0].Body.Unconfirmed)
	require.Equal(t, []string{crm}, records[0].Body.Audience)
	require.NotContains(t, w.log.String(), r.text("access_token"))
	require.Empty(t, f.revoked())
}

func names(m map[string]any) []string {
	var out []string
	for n := range m {
		out = append(out, n)
	}
	slices.Sort(out)
	return out
}

func TestTheGateDeniesBeforeTheServerIsAsked(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	refused := func(client string, v url.Values, status int, code string, change ...func(*http.Request)) func() {
		return func() {
			r := w.form(to, client, v, change...)
			require.Equal(t, status, r.status, r.raw)
			require.Equal(t, code, r.text("error"), r.raw)
		}
	}
	w.denied(tb.CodeInvalidScope, "", refused("bot", ask("scope", "admin"), 400, "invalid_scope"))
	w.denied(tb.CodeInvalidTarget, "", refused("bot", ask("resource", "https://x.example/#f"), 400, "invalid_target"))
	w.denied("unsupported_grant_type", "malformed", refused("bot", ask("grant_type", "authorization_code"), 400, "unsupported_grant_type"))
	w.denied("unsupported_grant_type", "malformed", refused("bot",
		url.Values{"grant_type": {exchange.GrantDeferred}, "deferral_code": {"x"}}, 400, "unsupported_grant_type"))
	w.denied(tb.CodeInvalidRequest, "malformed", refused("bot", ask("grant_type", ""), 400, "invalid_request"))
	twice := ask()
	twice["scope"] = []string{"read", "read"}
	w.denied(tb.CodeInvalidRequest, "malformed", refused("bot", twice, 400, "invalid_request"))
	w.denied(tb.CodeInvalidDetails, "malformed", refused("bot", ask("authorization_details", `[{"type":"payment"}]`), 400, "invalid_authorization_details"))
	w.denied(tb.CodeInvalidGrant, "not a refresh token of this boundary",
		refused("bot", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, 400, "invalid_grant"))

	before := len(w.records(lineage.KindDenial))
	refused("", ask(), 401, "invalid_client")()
	refused("bot", ask(), 401, "invalid_client", func(r *http.Request) { r.SetBasicAuth("bot", "canary-wrong") })()
	refused("", ask("client_id", "bot", "client_secret", secretOf("bot")), 401, "invalid_client")()
	refused("bot", ask("client_id", "other"), 401, "invalid_client")()
	refused("bot", ask("client_assertion", "x"), 400, "invalid_request")()
	refused("", ask("client_assertion", "x"), 401, "invalid_client")()
	refused("bot", ask(), 400, "invalid_request", func(r *http.Request) { r.Header.Add("Authorization", "Basic x") })()
	refused("bot", ask("padding", strings.Repeat("x", 2<<20)), 413, "invalid_request")()
	refused("bot", ask(), 405, "invalid_request", func(r *http.Request) { r.Method = http.MethodPut })()
	require.Len(t, w.records(lineage.KindDenial), before, "noise is not recorded")
	require.Zero(t, f.count(), "the server has heard of nothing")
	require.Equal(t, 200, w.form(to, "bot", ask()).status, "positive control")

	n := w.form(to, "nowhere", ask())
	require.Equal(t, 503, n.status, "the gate has no credential of the client there")
	require.Equal(t, 1, f.count())
}

func TestATokenOfTheGateIsExchanged(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	first := w.form(to, "bot", ask("scope", "read write")).text("access_token")
	swap := func(token string) url.Values {
		return ask("grant_type", exchange.GrantTokenExchange, "subject_token", token, "subject_token_type", tb.TypeAccessToken)
	}
	r := w.form(to, "other", swap(first))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, tb.TypeAccessToken, r.text("issued_token_type"))
	parent, child := w.records(lineage.KindToken)[0], w.records(lineage.KindToken)[1]
	if parent.Body.GrantType == string(tb.Exchange) {
		parent, child = child, parent
	}
	require.Contains(t, child.Ancestors, parent.ID())
	require.Equal(t, "other", child.Body.Actors[0].ID)
	_, form := f.last()
	require.Equal(t, first, form.Get("subject_token"))

	stranger := f.direct(w, "bot")
	n := f.count()
	w.denied(tb.CodeInvalidRequest, "no decision has this handle", func() {
		require.Equal(t, "invalid_request", w.form(to, "bot", swap(stranger)).text("error"), "the server is its issuer, but it did not pass the gate")
	})
	w.revoke("token:" + parent.ID().String())
	w.denied(tb.CodeInvalidRequest, "the token is revoked", func() {
		require.Equal(t, "invalid_request", w.form(to, "other", swap(first)).text("error"))
	})
	require.Equal(t, n, f.count(), "the server, for which both are good, is not asked")
}

// direct gets a token past the gate.
func (f *foreign) direct(w *world, client string) string {
	c := exchange.Client{Endpoint: f.url + "/token", Auth: exchange.Basic(client, secretAt(client))}
	res, err := c.ClientCredentials(w.Context(), exchange.Params{Resource: []string{crm}, Scopes: []string{"read"}})
	require.NoError(w, err)
	return res.Value()
}

func TestARefreshThroughTheGate(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to, twin := w.gate(f), w.gate(f, func(c *gate.Config) { c.Keys = []gate.Secret{"canary-of-a-newer-seal-0123456789ab", sealKey} })
	again := func(token string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	}

	first := w.form(to, "bot", ask("scope", "read write")).text("refresh_token")
	require.True(t, strings.HasPrefix(first, "tbg_"))
	w.clock.Add(time.Hour)
	r := w.form(twin, "bot", again(first))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, "read write", r.text("scope"))
	require.Equal(t, tb.Refresh, w.facts[len(w.facts)-1].Grant)
	_, form := f.last()
	require.NotContains(t, first, form.Get("refresh_token"))
	require.NotEqual(t, first, r.text("refresh_token"), "the server rotates")
	families := w.records(lineage.KindGrant)
	require.Len(t, families, 1)

	w.denied(tb.CodeInvalidGrant, "malformed", func() { // by the server, which has seen it before
		reuse := w.form(to, "bot", again(first))
		require.Equal(t, "invalid_grant", reuse.text("error"))
		require.Equal(t, "refused by the token endpoint", reuse.text("error_description"))
	})
}

func TestARefreshThroughTheGateIsDecidedAnew(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	again := func(token string) url.Values {
		return url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	}
	token := w.form(to, "bot", ask("scope", "read write")).text("refresh_token")
	w.rules.scopes = []string{"read"}
	r := w.form(to, "bot", again(token))
	require.Equal(t, "read", r.text("scope"), "less than before")
	_, form := f.last()
	require.Equal(t, "read", form.Get("scope"))
	token = r.text("refresh_token")

	n := f.count()
	w.denied(tb.CodeInvalidGrant, "issued to another client", func() { w.form(to, "other", again(token)) })
	w.rules.refresh = false
	w.denied(tb.CodeInvalidScope, "no rule lets it be refreshed", func() { w.form(to, "bot", again(token)) })
	w.rules.refresh = true
	flip := []byte(token)
	flip[len(flip)/2] ^= 1
	for _, forged := range []string{string(flip), token + "A", token[4:], "tbg_", "tbg_" + base64.RawURLEncoding.EncodeToString(make([]byte, 80)), f.direct(w, "bot")} {
		n = f.count()
		w.denied(tb.CodeInvalidGrant, "not a refresh token of this boundary", func() { w.form(to, "bot", again(forged)) })
	}
	w.revoke("token:" + w.records(lineage.KindGrant)[0].ID().String())
	w.denied(tb.CodeInvalidGrant, "revoked", func() { w.form(to, "bot", again(token)) })
	require.Equal(t, n, f.count(), "the server, for which it is good, is not asked")
}

func TestNoRefreshTokenWherePolicyPermitsNone(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	require.NotEmpty(t, w.form(w.gate(f), "bot", ask()).text("refresh_token"), "positive control")
	require.Nil(t, w.form(w.gate(f, func(c *gate.Config) { c.Keys = nil }), "bot", ask()).at("refresh_token"))
	w.rules.refresh = false
	require.Nil(t, w.form(w.gate(f), "bot", ask()).at("refresh_token"), "the server has issued one")
}

func TestATaskThroughTheGate(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	task := ask("authorization_details", `[{"type":"task","purpose":"triage"}]`)
	r := w.form(to, "bot", task)
	require.Equal(t, 200, r.status, r.raw)
	_, form := f.last()
	require.Empty(t, form.Get("authorization_details"), "it is the boundary's")
	swap := ask("grant_type", exchange.GrantTokenExchange, "subject_token", r.text("access_token"), "subject_token_type", tb.TypeAccessToken)
	require.Equal(t, r.text("task_id"), w.form(to, "bot", swap).text("task_id"))
	id, err := lineage.ParseID(r.text("task_id"))
	require.NoError(t, err)
	_, err = w.SetTask(t.Context(), ops, id, tb.TaskCompleted)
	require.NoError(t, err)
	w.denied(tb.CodeInvalidRequest, "the token is", func() { require.Equal(t, 400, w.form(to, "bot", swap).status) })

	n := f.count()
	deriving := ask("scope", "", "resource", "", "authorization_details",
		`[{"type":"task","purpose":"triage","authority":[{"resource":"`+crm+`","scopes":["read"]}]}]`)
	w.denied(tb.CodeInvalidScope, "malformed", func() { // the server would take no scope for its default
		require.Equal(t, "invalid_scope", w.form(to, "bot", deriving).text("error"))
	})
	require.Equal(t, n, f.count())
}

func TestAnAssertionIsGoodOnce(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f, func(c *gate.Config) { c.Clients["signer"] = exchange.Basic("bot", secretAt("bot")) })
	signed := func(assertion string, pairs ...string) url.Values {
		return ask(append([]string{"client_assertion", assertion, "client_assertion_type", exchange.AssertionType}, pairs...)...)
	}
	one := w.assertion()
	r := w.form(to, "", signed(one))
	require.Equal(t, 200, r.status, r.raw)
	_, form := f.last()
	require.Empty(t, form.Get("client_assertion"), "it is for the boundary")
	again := w.form(to, "", signed(one))
	require.Equal(t, 503, again.status, again.raw)
	require.Nil(t, again.at("access_token"))
	require.Len(t, w.records(lineage.KindToken), 1)
	require.Len(t, f.revoked(), 2)

	// One that came with a request that the server has refused is spent too.
	f.lie = answers(400, "application/json", `{"error":"invalid_scope"}`)
	refused := w.assertion()
	require.Equal(t, "invalid_scope", w.form(to, "", signed(refused)).text("error"))
	f.lie = nil
	require.NotEqual(t, 200, w.form(to, "", signed(refused)).status)
	require.Equal(t, 200, w.form(to, "", signed(w.assertion(), "client_id", "signer")).status, "positive control")
	require.Equal(t, 401, w.form(to, "", signed(w.assertion(), "client_id", "bot")).status)
	require.Equal(t, 401, w.form(to, "", signed(w.assertion(), "client_assertion_type", "x")).status)
	twice := signed(w.assertion())
	twice["client_assertion"] = append(twice["client_assertion"], w.assertion())
	require.Equal(t, 400, w.form(to, "", twice).status)
}

func TestSecondsAreWhole(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	w.clock.Add(900 * time.Millisecond)
	r := w.form(w.gate(f), "bot", ask())
	require.Equal(t, 200, r.status, "five minutes are five minutes")
	require.EqualValues(t, "299", r.at("expires_in"), "and never said to be longer than the record")
}

func TestNobodyWaitsAtTheGate(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f)
	w.rules.approval = true
	w.denied(tb.CodeInvalidScope, "approval", func() {
		r := w.form(to, "bot", ask("completion_mode", "deferred"))
		require.Equal(t, "invalid_scope", r.text("error"))
		require.Nil(t, r.at("deferral_code"))
	})
	w.rules.approval = false
	require.Equal(t, 200, w.form(to, "bot", ask("completion_mode", "deferred")).status, "positive control")
}

func TestTheServersSpelling(t *testing.T) {
	w := newWorld(t)
	f := w.foreign()
	to := w.gate(f, func(c *gate.Config) { c.ResourceParameter, c.ConnectionParameter = "audience", "connector_id" })
	require.Equal(t, 200, w.form(to, "bot", ask()).status)
	_, form := f.last()
	require.Equal(t, url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}, "audience": {crm}, "connector_id": {"prod"}}, form)
}

func TestAGateRefusesToStart(t *testing.T) {
	w := newWorld(t)
	good := func() gate.Config {
		return gate.Config{Governor: w.Governor, Token: "https://as.example/token", Clients: map[string]exchange.Authenticator{"bot": exchange.Basic("bot", "x")}}
	}
	_, err := gate.New(good())
	require.NoError(t, err, "positive control")
	for why, change := range map[string]func(*gate.Config){
		"Config.Governor":      func(c *gate.Config) { c.Governor = nil },
		"Config.Token":         func(c *gate.Config) { c.Token = "" },
		"Config.Token must":    func(c *gate.Config) { c.Token = "http://as.example/token" },
		"Config.Token must be": func(c *gate.Config) { c.Token = "https://user:canary-@as.example/token" },
		"Config.Revocation":    func(c *gate.Config) { c.Revocation = "ftp://as.example" },
		"Config.Timeout":       func(c *gate.Config) { c.Timeout = -1 },
		"Config.Clients":       func(c *gate.Config) { c.Clients = nil },
		"cannot authenticate":  func(c *gate.Config) { c.Clients["x"] = nil },
		"Config.Keys":          func(c *gate.Config) { c.Keys = []gate.Secret{sealKey, "canary-short"} },
	} {
		cfg := good()
		change(&cfg)
		_, err := gate.New(cfg)
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), "canary-")
	}
}

func TestWhatAnAuthenticatorSaysStaysHere(t *testing.T) {
	w := newWorld(t)
	to := w.gate(w.foreign(), func(c *gate.Config) {
		c.Clients["bot"] = func(context.Context, url.Values, http.Header) error { return errors.New("canary-in-an-error") }
	})
	require.Equal(t, 503, w.form(to, "bot", ask()).status)
	require.Contains(t, w.log.String(), "the gate cannot authenticate", "positive control")
}
