package broker_test

import (
	"net"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/broker"
)

// asks serves an endpoint for a gateway of the style, and returns its address.
func (f *front) asks(cfg broker.ForwardConfig) string {
	f.Helper()
	h, err := f.proxy.ForwardAuth(cfg)
	require.NoError(f, err)
	return f.serve(h, func(l net.Listener) net.Listener { return l })
}

const nobody = "GET /verify HTTP/1.1\r\nHost: x\r\n"

// TestAGatewayIsTold what the proxy would decide, in each style, and by no other style's headers.
func TestAGatewayIsTold(t *testing.T) {
	f := proxied(t)
	nginx, traefik := f.asks(broker.ForwardConfig{Style: broker.ForwardNginx}), f.asks(broker.ForwardConfig{Style: broker.ForwardTraefik})
	envoy := f.asks(broker.ForwardConfig{Style: broker.ForwardEnvoy, Prefix: "/check"})
	for addr, ask := range map[string]func(method, uri string, headers ...string) string{
		nginx: func(method, uri string, headers ...string) string {
			return request("GET /verify", append(headers, "X-Original-Method: "+method, "X-Original-URI: "+uri, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /files/a")...)
		},
		traefik: func(method, uri string, headers ...string) string {
			return request("GET /verify", append(headers, "X-Forwarded-Method: "+method, "X-Forwarded-Uri: "+uri, "X-Original-Method: GET", "X-Original-URI: /files/a")...)
		},
		envoy: func(method, uri string, headers ...string) string {
			return request(method+" /check"+uri, append(headers, "X-Forwarded-Method: GET", "X-Original-Method: GET", "X-Original-URI: /files/a")...)
		},
	} {
		for _, good := range []string{"/v1/invoices/7", "/files/a?b=c"} {
			out := f.raw(addr, ask("GET", good))
			require.Equal(t, 200, out.StatusCode, out.body)
			require.Empty(t, out.Header["Authorization"])
			require.Empty(t, out.body)
		}
		require.Equal(t, 200, f.raw(addr, ask("POST", "/v1/invoices")).StatusCode, "control")
		for uri, why := range map[string]string{
			"/v1/invoices": "not among", "/files/../a": "one plain spelling", "/files/a%2fb": "one plain spelling", "/files/a?_method=PUT": "query is malformed",
			"/": "not among", "/files//a": "one plain spelling",
		} {
			f.refuses(addr, ask("GET", uri), 403, why)
		}
		f.refuses(addr, ask("DELETE", "/v1/invoices/7"), 403, "not among")
		f.refuses(addr, ask("get", "/v1/invoices/7"), 403, "which request it is")
		f.refuses(addr, ask("GET", "/v1/invoices/7", "X-HTTP-Method-Override: PUT"), 403, "another method")
		f.refuses(addr, ask("GET", "/v1/invoices/7", "Authorization: Bearer TOKEN"), 403, "there are two")
	}
	for addr, text := range map[string]string{
		nginx: nobody + "X-Original-Method: GET\r\nX-Original-URI: /files/a\r\n\r\n", traefik: nobody + "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /files/a\r\n\r\n",
		envoy: "GET /check/files/a HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		out := f.refuses(addr, text, 401, "No access token")
		require.Equal(t, []string{"Bearer"}, out.Header["Www-Authenticate"])
	}
	f.refuses(nginx, request("GET /v1/invoices/7"), 403, "has to be a path")
	f.refuses(nginx, request("GET /v", "X-Original-Method: GET", "X-Original-Method: PUT", "X-Original-URI: /files/a"), 403, "")
	f.refuses(traefik, request("GET /v", "X-Forwarded-Uri: /files/a", "X-Forwarded-Uri: /", "X-Forwarded-Method: GET"), 403, "")
	f.refuses(envoy, request("GET /v1/invoices/7"), 403, "which request it is")
	f.refuses(envoy, request("GET /checkx/v1"), 403, "has to be a path")
	require.Equal(t, 2, f.legacy.count(), "leased like at the proxy: for reading, and for writing")
	require.EqualValues(t, 9, f.proxy.State().Waiting, "what was let through is a use")
	f.cut("token:" + f.tok.ID.String())
	f.refuses(envoy, request("GET /check/v1/invoices/7"), 401, "not acceptable")
}

// TestAGatewayIsGivenCredentials only where it says who it is, and the policy lets them leave.
func TestAGatewayIsGivenCredentials(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.Routes = append(cfg.Routes, broker.Route{Methods: []string{"GET"}, Path: "/export", Scopes: []string{"export"}})
	})
	addr := f.asks(broker.ForwardConfig{Style: broker.ForwardEnvoy, Deliver: true, Gateway: broker.GatewaySecret("x-gateway", "a long secret")})
	const me = "X-Gateway: a long secret"
	for range 2 {
		out := f.raw(addr, request("GET /export", me))
		require.Equal(t, 200, out.StatusCode, out.body)
		require.Equal(t, "key "+f.secret(), out.Header.Get("X-Api-Key"))
		require.Equal(t, "no-store", out.Header.Get("Cache-Control"))
	}
	require.Equal(t, 1, f.legacy.count(), "one lease for both")
	f.refuses(addr, request("GET /export"), 403, "Only the gateway")
	f.refuses(addr, request("GET /export", "X-Gateway: a long secre"), 403, "Only the gateway")
	f.refuses(addr, request("GET /export", me, me), 403, "Only the gateway")
	f.refuses(addr, request("GET /v1/invoices/7", me), 403, "No credential is granted")
	require.Equal(t, 1, f.legacy.count())
	f.cut("token:" + f.tok.ID.String())
	f.refuses(addr, request("GET /export", me), 401, "not acceptable")

	lax := f.asks(broker.ForwardConfig{Style: broker.ForwardEnvoy, Gateway: broker.GatewaySecret("x-gateway", "")})
	f.refuses(lax, request("GET /export", "X-Gateway: "), 403, "Only the gateway")
}

// TestADeliveredLeaseIsReplaced where the token lives on.
func TestADeliveredLeaseIsReplaced(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.Routes = []broker.Route{{Methods: []string{"GET"}, Path: "/export", Scopes: []string{"export"}}}
	})
	addr := f.asks(broker.ForwardConfig{Style: broker.ForwardEnvoy, Deliver: true, Gateway: func(*http.Request) bool { return true }})
	require.Equal(t, 200, f.raw(addr, request("GET /export")).StatusCode)
	first := f.open()
	f.cut("token:" + first[0].ID.String())
	require.Equal(t, 200, f.raw(addr, request("GET /export")).StatusCode)
	require.Len(t, f.open(), 2)
}

// TestADeliveredLeaseIsOneGatewaysOwn: no other gateway is given it, the proxy does not use it, and nobody finds it.
func TestADeliveredLeaseIsOneGatewaysOwn(t *testing.T) {
	f := proxied(t, func(_ *world, cfg *broker.ProxyConfig) {
		cfg.Routes = []broker.Route{{Methods: []string{"GET"}, Path: "/export", Scopes: []string{"export"}}}
	})
	cfg := broker.ForwardConfig{Style: broker.ForwardEnvoy, Deliver: true, Gateway: func(*http.Request) bool { return true }}
	given := map[string]bool{}
	for _, addr := range []string{f.asks(cfg), f.asks(cfg)} {
		for range 2 {
			out := f.raw(addr, request("GET /export"))
			require.Equal(t, 200, out.StatusCode, out.body)
			given[out.Header.Get("X-Api-Key")] = true
		}
	}
	require.Len(t, given, 2, "each has its own, and keeps it")
	_, found := f.Find(f.tok.ID, []string{"export"})
	require.False(t, found, "it is delivered")
	require.Equal(t, 200, f.raw(f.addr, request("GET /export")).StatusCode)
	require.Equal(t, 3, f.legacy.count(), "the proxy leases another one")
	l, found := f.Find(f.tok.ID, []string{"export"})
	require.True(t, found, "control: that one stays")
	require.False(t, l.Info().Deliver)
}

func TestForwardAuthNamesWhatItCannotWorkWith(t *testing.T) {
	f := proxied(t)
	for why, cfg := range map[string]broker.ForwardConfig{
		"Style is required":      {},
		"Style is":               {Style: broker.ForwardEnvoy + 1},
		"Gateway is required":    {Style: broker.ForwardNginx, Deliver: true},
		"Prefix must be":         {Style: broker.ForwardNginx, Prefix: "/a"},
		"Prefix must be the pat": {Style: broker.ForwardEnvoy, Prefix: "/a/"},
		"Prefix must be the":     {Style: broker.ForwardEnvoy, Prefix: "a"},
	} {
		_, err := f.proxy.ForwardAuth(cfg)
		require.ErrorContains(t, err, "broker: ForwardConfig.")
		require.ErrorContains(t, err, why)
	}
}
