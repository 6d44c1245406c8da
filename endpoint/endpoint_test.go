package endpoint_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

func TestMetadata(t *testing.T) {
	s := newServer(t)
	below := s.ok(s.get("", "/.well-known/oauth-authorization-server"))
	inserted := s.ok(s.do("", "GET", "", "", "", func(r *http.Request) { r.URL.Path = "/.well-known/oauth-authorization-server/tenant" }))
	require.Equal(t, below.raw, inserted.raw)
	require.Equal(t, "public, max-age=300", below.header.Get("Cache-Control"))
	require.Empty(t, below.header.Get("Pragma"))
	require.Equal(t, "application/json", below.header.Get("Content-Type"))
	require.Equal(t, issuer, below.text("issuer"))
	for member, path := range map[string]string{
		"token_endpoint": "/token", "jwks_uri": "/jwks.json", "introspection_endpoint": "/introspect", "revocation_endpoint": "/revoke",
	} {
		require.Equal(t, issuer+path, below.text(member))
	}
	require.Equal(t, []any{"client_credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "refresh_token",
		"urn:ietf:params:oauth:grant-type:deferred"}, below.body["grant_types_supported"])
	require.Equal(t, true, below.body["deferred_token_response_supported"])
	require.NotContains(t, below.body, "dpop_signing_alg_values_supported", "for whoever configures a source for proofs to say")
	require.Equal(t, []any{"private_key_jwt", "client_secret_basic"}, below.body["token_endpoint_auth_methods_supported"])
	require.NotEmpty(t, below.body["token_endpoint_auth_signing_alg_values_supported"], "required beside private_key_jwt")
	require.Equal(t, []any{}, below.body["response_types_supported"])
	require.Equal(t, []any{"task"}, below.body["authorization_details_types_supported"])
	at := func(path string) answer {
		return s.do("", "GET", "", "", "", func(r *http.Request) { r.URL.Path = path })
	}
	s.refused(at("/.well-known/oauth-authorization-server"), 404, "invalid_request", "")
	s.refused(at("/.well-known/oauth-authorization-server/other"), 404, "invalid_request", "")
}

func TestKeysAndHealth(t *testing.T) {
	s := newServer(t)
	keys := s.ok(s.get("", "/jwks.json"))
	require.Len(t, keys.body["keys"], 1)
	require.NotContains(t, keys.raw, `"d"`)
	require.Equal(t, "public, max-age=300", keys.header.Get("Cache-Control"))

	a := s.ok(s.get("", "/healthz"))
	require.JSONEq(t, `{"status":"ok","policies":{"version":"v1"},"unrecorded_denials":0}`, a.raw)
	require.Equal(t, "no-store", a.header.Get("Cache-Control"))
	broken := errors.New("crm.yaml: line 3")
	s.version.Store(&broken)
	a = s.ok(s.get("", "/healthz"))
	require.JSONEq(t, `{"status":"ok","policies":{"version":"v1","error":"crm.yaml: line 3"},"unrecorded_denials":0}`, a.raw)
	s.store.broken.Store(true)
	a = s.get("", "/healthz")
	require.Equal(t, 503, a.status)
	require.Equal(t, "unavailable", a.text("status"))
	require.NotContains(t, a.raw, "secret-host")

	head := s.do("", "HEAD", "/healthz", "", "")
	require.Equal(t, 503, head.status)
	require.Empty(t, head.raw)
}

func TestRouting(t *testing.T) {
	s := newServer(t)
	for path, allow := range map[string]string{
		"/token": "POST", "/introspect": "POST", "/revoke": "POST", "/jwks.json": "GET, HEAD", "/healthz": "GET, HEAD",
		"/revocations": "POST, GET, HEAD", "/tasks/x": "GET, HEAD", "/tasks/x/complete": "POST", "/tasks/x/suspend": "POST",
		"/tasks/x/resume": "POST", "/revocations/x": "GET, HEAD", "/approvals": "GET, HEAD", "/approvals/x": "POST", "/signals": "POST", "/usage": "POST",
		"/lineage/x": "GET, HEAD", "/lineage/x/tree": "GET, HEAD", "/.well-known/oauth-authorization-server": "GET, HEAD",
	} {
		for _, method := range []string{"PUT", "DELETE", "OPTIONS", "PATCH", "BREW"} {
			a := s.refused(s.do("ops", method, path, "", ""), 405, "invalid_request", "method")
			require.Equal(t, allow, a.header.Get("Allow"), path)
		}
	}
	s.refused(s.get("support-bot", "/token"), 405, "invalid_request", "")
	for _, path := range []string{
		"", "/", "/token/", "//token", "/Token", "/tok%65n", "/x/../token", "/tasks", "/tasks/", "/tasks//complete", "/tasks//suspend",
		"/tasks/x/resume/", "/tasks/x/revoke", "/tasks/a/b/complete", "/approvals/", "/approvals/x/y", "/signals/", "/revocations/", "/usage/", "/events", "/lineage", "/lineage/",
		"/lineage/x/tree/", "/tenant/token",
	} {
		s.refused(s.do("ops", "POST", path, "", ""), 404, "invalid_request", "")
	}
	outside := s.do("support-bot", "POST", "", formType, "grant_type=client_credentials", func(r *http.Request) { r.URL.Path = "/token" })
	s.refused(outside, 404, "invalid_request", "")
}

func TestIssuerWithoutPath(t *testing.T) {
	for issuer, path := range map[string]string{
		"https://b.example": "/token", "https://b.example/": "/token", "https://b.example/a/b/": "/a/b/token", "https://b.example/%7Ba%7D": "/%7Ba%7D/token",
	} {
		g := governor(t, issuer)
		h, err := endpoint.New(g, endpoint.Config{Clock: clock.NewMock()})
		require.NoError(t, err)
		require.Equal(t, 401, ask(t, h, "POST", path).status, issuer)
		require.Equal(t, 404, ask(t, h, "GET", strings.TrimSuffix(path, "token")+"jwks.json").status, "there are no keys")
		a := ask(t, h, "GET", "/.well-known/oauth-authorization-server"+strings.TrimSuffix(path, "/token"))
		require.Equal(t, 200, a.status, issuer)
		require.Equal(t, issuer, a.text("issuer"))
		require.Equal(t, strings.TrimSuffix(issuer, "/")+"/token", a.text("token_endpoint"))
		require.NotContains(t, a.body, "jwks_uri")
	}
}

func governor(t *testing.T, issuer string) *tokenboundary.Governor {
	t.Helper()
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: memory.New(), Clients: tokenboundary.ClientMap{}, Policy: tokenboundary.PolicyFunc(nil), Clock: clock.NewMock(),
	})
	require.NoError(t, err)
	return g
}

func TestConfig(t *testing.T) {
	_, err := endpoint.New(nil, endpoint.Config{})
	require.ErrorContains(t, err, "Governor is required")
	g := governor(t, issuer)
	for _, member := range []string{"issuer", "token_endpoint", "jwks_uri", "grant_types_supported", "revocation_endpoint",
		"deferred_token_response_supported"} {
		_, err = endpoint.New(g, endpoint.Config{Metadata: map[string]any{member: "x"}})
		require.ErrorContains(t, err, "Config.Metadata: "+member)
	}
	_, err = endpoint.New(g, endpoint.Config{Metadata: map[string]any{"x": func() {}}})
	require.ErrorContains(t, err, "Config.Metadata")
	h, err := endpoint.New(g, endpoint.Config{Metadata: map[string]any{
		"authorization_details_types_supported": []string{"task", "payment"}, "service_documentation": "https://docs.example/",
		"dpop_signing_alg_values_supported": []string{"ES256"},
	}})
	require.NoError(t, err)
	a := ask(t, h, "GET", "/.well-known/oauth-authorization-server/tenant")
	require.Equal(t, []any{"task", "payment"}, a.body["authorization_details_types_supported"])
	require.Equal(t, "https://docs.example/", a.text("service_documentation"))
	require.Equal(t, []any{"ES256"}, a.body["dpop_signing_alg_values_supported"])
}

// TestLogHoldsNoValues runs a conversation in which everything that came in is distinctive, and requires that none of
// it is logged, while what an operator needs is.
func TestLogHoldsNoValues(t *testing.T) {
	s := newServer(t)
	human, assertion := s.human("alice"), s.assertion()
	a := s.ok(s.exchanged("support-bot", human, tokenboundary.TypeIDToken, "authorization_details", `[{"type":"task","purpose":"p"}]`))
	token := a.text("access_token")
	s.ok(s.post("ops", "/introspect", "token", token))
	s.refused(s.exchanged("stranger", token, tokenboundary.TypeAccessToken), 400, "invalid_request", "")
	s.do("", "GET", "/revocations?after=0&access_token="+token, "", "", bearer(assertion))
	s.do("", "POST", "/token?token="+token, formType, "grant_type="+token)
	s.do("ops", "GET", "/nowhere/"+token, "", "")
	s.do("ops", strings.ToUpper("steal"), "/token", "", "")
	s.post("nobody-known", "/token", "grant_type", "client_credentials")
	s.ok(s.get("ops", "/tasks/"+a.text("task_id")))

	text := s.log.String()
	for _, value := range []string{token, human, assertion, secret("support-bot"), "secret+of", "nobody-known", "STEAL", "access_token", "alice",
		a.text("task_id")} {
		require.NotContains(t, text, value)
	}
	var routes []string
	for line := range strings.Lines(text) {
		var entry struct {
			Method, Route, Client, Error string
			Status                       int
		}
		require.NoError(t, json.Unmarshal([]byte(line), &entry), line)
		routes = append(routes, entry.Method+" "+entry.Route+" "+entry.Client+" "+entry.Error)
		require.NotZero(t, entry.Status)
	}
	require.Equal(t, []string{
		"POST /token support-bot ", "POST /introspect ops ", "POST /token stranger invalid_request", "GET /revocations crm-tool unauthorized_client",
		"POST /token  invalid_client", "GET   invalid_request", "other   invalid_request", "POST /token  invalid_client", "GET /tasks/{id} ops ",
	}, routes)
}
