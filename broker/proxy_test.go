package broker_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// TestAProxyForwardsWhatItDecided: the method, the path and the query as they are, the credential in place of the token, and of
// the headers only those that are known to be harmless.
func TestAProxyForwardsWhatItDecided(t *testing.T) {
	f := proxied(t)
	out := f.raw(f.addr, request("GET /files/a%20b/(c)/%C3%A9?x=1&y=%2F..&z", "Accept: text/plain", "X-Api-Key: mine", "Cookie: s=1", "X-Forwarded-For: 1.2.3.4",
		"Forwarded: for=1.2.3.4", "X-User: admin", "Proxy-Authorization: Basic x", "TE: trailers", "Connection: keep-alive, x-hop", "X-Hop: 1", "Expect: 100-continue",
		"If-None-Match: \"a\"", "X-Forwarded-Host: evil.example", "Via: 1.1 x", "Authorization_: x"))
	require.Equal(t, 200, out.StatusCode)
	require.Equal(t, "fine", out.body)
	got := f.up.requests()[0]
	require.Equal(t, "GET", got.Method)
	require.Equal(t, "/files/a%20b/(c)/%C3%A9?x=1&y=%2F..&z", got.RequestURI)
	require.Equal(t, strings.TrimPrefix(f.up.URL, "http://"), got.Host)
	name, password, ok := got.BasicAuth()
	require.True(t, ok)
	require.True(t, f.legacy.login(broker.NewSecret(map[string]string{"username": name, "password": password})))
	want := http.Header{"Accept": {"text/plain"}, "If-None-Match": {`"a"`}, "Authorization": got.Header["Authorization"], "X-Api-Key": {"key " + password}}
	require.Equal(t, want, got.Header)

	out = f.raw(f.addr, request("POST /v1/invoices", "Content-Length: 5", "Content-Type: text/plain")+"hello")
	require.Equal(t, 200, out.StatusCode)
	require.Equal(t, "hello", f.up.bodies[1])
	got = f.up.requests()[0]
	require.Equal(t, "5", got.Header.Get("Content-Length"))
	require.Empty(t, got.TransferEncoding)
}

// TestAProxyRefuses everything else, and says which of it is at fault; nothing reaches the system.
func TestAProxyRefuses(t *testing.T) {
	f := proxied(t)
	f.get()
	const path, query, target, override = "one plain spelling", "query is malformed", "has to be a path", "another method, path or protocol"
	for line, want := range map[string]struct {
		status int
		why    string
	}{
		// the target
		"GET http://proxy.example/v1/invoices/7": {400, target}, "GET http://evil.example/v1/invoices/7": {400, target},
		"CONNECT evil.example:443": {400, target}, "CONNECT /v1/invoices/7": {403, "not among"}, "GET /" + strings.Repeat("a", 8200): {400, target},
		// two spellings of a path
		"GET /v1/invoices/%2e%2e": {400, path}, "GET /files/../v1/invoices/7": {400, path}, "GET /files/./a": {400, path}, "GET /files/..": {400, path},
		"GET /files//a": {400, path}, "GET //files/a": {400, path}, "GET /files/a%2Fb": {400, path}, "GET /files/a%5Cb": {400, path}, `GET /files/a\b`: {400, path},
		"GET /files/%61": {400, path}, "GET /files/%c3%a9": {400, path}, "GET /files/%252e%252e/a": {400, path}, "GET /files/a;b=c": {400, path},
		"GET /files/a%3Bb": {400, path}, "GET /files/a%00": {400, path}, "GET /files/a%0D%0A": {400, path}, "GET /files/%C0%AE%C0%AE/a": {400, path},
		"GET /files/...": {400, path}, "GET /files/..%20": {400, path}, "GET /files/a%3Fb": {400, path}, "GET /files/a%23b": {400, path},
		"GET /files/\xc3\xa9": {400, path}, "GET /files/%EF%BC%8E%EF%BC%8E": {400, path}, "GET /files/a|b": {400, path}, "GET /files/%7F": {400, path},
		// the query
		"GET /files/a?b;c": {400, query}, "GET /files/a?%": {400, query}, "GET /files/a?%zz": {400, query}, "GET /files/a?x=%4": {400, query},
		"GET /files/a?_method=DELETE": {400, query}, "GET /files/a?x=1&_METHOD=PUT": {400, query}, "GET /files/a?%5Fmethod=PUT": {400, query},
		"GET /files/a?access_token=x": {400, query}, "GET /files/a?x=#y": {400, query}, "GET /files/a?x=\xff": {400, query},
		// the routes
		"GET /v1/invoices": {403, "not among"}, "GET /v1/invoices/": {403, "not among"}, "GET /v1/invoices/7/": {403, "not among"}, "GET /v1/invoices/7/x": {403, "not among"},
		"GET /V1/invoices/7": {403, "not among"}, "get /v1/invoices/7": {403, "not among"}, "DELETE /v1/invoices/7": {403, "not among"}, "HEAD /files/a": {403, ""},
		"GET /": {403, "not among"}, "GET /files": {403, "not among"}, "TRACE /v1/invoices/7": {403, "not among"}, "OPTIONS /v1/invoices/7": {403, "not among"},
		"GET /v1/invoices/7x?": {200, ""},
	} {
		if want.status == 200 {
			require.Equal(t, 200, f.raw(f.addr, request(line)).StatusCode, "control")
			require.Equal(t, "/v1/invoices/7x?", f.up.requests()[0].RequestURI)
			continue
		}
		t.Run(line[:min(len(line), 40)], func(*testing.T) { f.refuses(f.addr, request(line), want.status, want.why) })
	}
	for _, header := range []string{
		"X-HTTP-Method-Override: DELETE", "x-http-method: DELETE", "X-Method-Override: DELETE", "X-Original-URL: /admin", "X-Rewrite-URL: /admin", "Upgrade: websocket",
	} {
		f.refuses(f.addr, request("GET /v1/invoices/7", header), 400, override)
	}
	f.refuses(f.addr, request("GET /v1/invoices/7", "Connection: Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"), 400, override)
	f.get("Connection: authorization, x-api-key, accept", "Accept: a/b")
	f.get()
}

// TestAProxyKnowsItsCallers: one Authorization header with one active token for this resource that has the scopes.
func TestAProxyKnowsItsCallers(t *testing.T) {
	f := proxied(t)
	f.get()
	with := func(auth ...string) string {
		return "GET /v1/invoices/7 HTTP/1.1\r\nHost: x\r\n" + lines(auth) + "\r\n"
	}
	for name, c := range map[string]struct {
		text   string
		status int
		why    string
		said   string // in the challenge
	}{
		"none":          {with(), 401, "No access token", "Bearer"},
		"basic":         {with("Authorization: Basic dXNlcjpwYXNz"), 401, "No access token", "Bearer"},
		"two":           {with("Authorization: Bearer TOKEN", "Authorization: Bearer TOKEN"), 400, "malformed, or there are two", ""},
		"a list":        {with("Authorization: Bearer TOKEN, Bearer TOKEN"), 400, "malformed", ""},
		"empty":         {with("Authorization: Bearer "), 400, "malformed", ""},
		"rubbish":       {with("Authorization: Bearer x.y.z"), 401, "not acceptable", `Bearer error="invalid_token"`},
		"long":          {with("Authorization: Bearer " + strings.Repeat("x", 10<<10)), 400, "malformed", ""},
		"another's":     {with("Authorization: DPoP TOKEN", "DPoP: x"), 401, "wrong scheme", `Bearer error="invalid_token"`},
		"no proof":      {with("Authorization: DPoP TOKEN"), 401, "One proof", `error="invalid_dpop_proof"`},
		"in the cookie": {with("Cookie: access_token=TOKEN"), 401, "No access token", "Bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			out := f.refuses(f.addr, c.text, c.status, c.why)
			require.Contains(t, out.Header.Get("WWW-Authenticate"), c.said)
			require.Equal(t, "no-store", out.Header.Get("Cache-Control"))
		})
	}
	narrow, err := f.gov.Issue(f.ctx, tb.Request{
		Grant: tb.Exchange, Client: verified("bot"), Subject: tb.Credential{Type: tb.TypeAccessToken, Value: f.tok.Value()},
		Connection: "erp", Resource: []string{resource}, Scopes: []string{"write"},
	})
	require.NoError(t, err)
	wide := f.tok
	f.tok = narrow
	out := f.refuses(f.addr, request("GET /v1/invoices/7"), 403, "lacks a scope")
	require.Contains(t, out.Header.Get("WWW-Authenticate"), `error="insufficient_scope"`)
	require.Contains(t, out.Header.Get("WWW-Authenticate"), `scope="read"`)
	require.Equal(t, 200, f.raw(f.addr, request("POST /v1/invoices")).StatusCode, "control")
	f.up.requests()
	f.tok = wide
	f.cut("token:" + narrow.ID.String())
	f.get()
	f.refuses(f.addr, request("GET /v2"), 403, "not among")
	f.cut("token:" + wide.ID.String())
	f.refuses(f.addr, request("GET /v1/invoices/7"), 401, "not acceptable")
	f.refuses(f.addr, request("GET /v2"), 401, "not acceptable")
	f.refuses(f.addr, request("POST /v1/invoices"), 401, "not acceptable")
}

// TestAProxyIsForOneConnection: a token of another one is refused before a credential of it is fetched, and a lease of it is
// not used.
func TestAProxyIsForOneConnection(t *testing.T) {
	side := newLegacy()
	f := proxied(t, func(w *world, cfg *broker.ProxyConfig) {
		w.client.Connections = []string{"erp", "side"}
		w.cfg.Providers = map[string]broker.Provider{"erp": w.legacy, "side": side}
		w.restart()
		cfg.Connection = "erp"
	})
	f.get()
	tok, err := f.gov.Issue(f.ctx, tb.Request{Grant: tb.ClientCredentials, Client: verified("bot"), Connection: "side", Scopes: []string{"read"}})
	require.NoError(t, err)
	f.tok = tok
	f.refuses(f.addr, request("GET /v1/invoices/7"), 403, "No credential is granted")
	require.Zero(t, side.count())
	f.lease(tok)
	require.Equal(t, 1, side.count(), "control")
	f.refuses(f.addr, request("GET /v1/invoices/7"), 403, "No credential is granted")
}

// TestANarrowerLeaseIsNotEnough: where less is leased than the route takes, nothing is sent.
func TestANarrowerLeaseIsNotEnough(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.Routes = append(cfg.Routes, broker.Route{Methods: []string{"GET"}, Path: "/both", Scopes: []string{"read", "unleased"}})
	})
	tok, err := f.gov.Issue(f.ctx, tb.Request{Grant: tb.ClientCredentials, Client: verified("bot"), Connection: "erp", Scopes: []string{"read", "unleased"}})
	require.NoError(t, err)
	f.tok = tok
	for range 2 {
		f.refuses(f.addr, request("GET /both"), 403, "No credential is granted")
	}
	require.Equal(t, 1, f.legacy.count())
	f.get()
}

// TestAnOldLeaseIsReplaced where the token lives on: its credential has ended, or was given back.
func TestAnOldLeaseIsReplaced(t *testing.T) {
	f := proxied(t)
	f.legacy.life, f.legacy.now = time.Minute, f.clock.Now
	f.get()
	require.Equal(t, 1, f.legacy.count())
	f.get()
	require.Equal(t, 1, f.legacy.count(), "control")
	f.clock.Add(time.Minute)
	f.get()
	require.Equal(t, 2, f.legacy.count())
}

// TestManyRequestsShareALease: those of one token that come at once wait for one credential.
func TestManyRequestsShareALease(t *testing.T) {
	f := proxied(t)
	statuses := make(chan int)
	for range 20 {
		go func() {
			req, _ := http.NewRequestWithContext(f.ctx, http.MethodGet, "http://"+f.addr+"/v1/invoices/7", nil)
			req.Header.Set("Authorization", "Bearer "+f.tok.Value())
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				statuses <- 0
				return
			}
			_ = resp.Body.Close()
			statuses <- resp.StatusCode
		}()
	}
	for range 20 {
		require.Equal(t, 200, <-statuses)
	}
	require.Equal(t, 1, f.legacy.count())
}
