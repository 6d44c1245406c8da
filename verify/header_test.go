package verify_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/verify"
)

const atMetadata = `resource_metadata="` + metadataURL + `"`

// TestHowATokenIsPresented: in one Authorization header, and in no other way.
func TestHowATokenIsPresented(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	tok := w.issued().Value()
	get := g.api(verify.Route{Scopes: []string{"cases:read"}})
	none := []string{`Bearer scope="cases:read", ` + atMetadata}
	malformed := []string{`Bearer error="invalid_request", error_description="The Authorization header is malformed", ` + atMetadata}
	invalid := []string{`Bearer error="invalid_token", error_description="The access token is not acceptable", ` + atMetadata}
	query := func(q string) func(*http.Request) { return func(r *http.Request) { r.URL.RawQuery = q } }
	with := func(values ...string) []func(*http.Request) {
		return []func(*http.Request){header("Authorization", values...)}
	}
	for name, c := range map[string]struct {
		request   []func(*http.Request)
		status    int
		challenge []string
	}{
		"Bearer":               {with("Bearer " + tok), 200, nil},
		"bearer":               {with("bearer " + tok), 200, nil},
		"BEARER":               {with("BEARER " + tok), 200, nil},
		"two spaces":           {with("Bearer  " + tok), 200, nil},
		"nothing":              {nil, 401, none},
		"empty":                {with(""), 401, none},
		"another scheme":       {with("Basic Ym90OnNlY3JldA=="), 401, none},
		"a longer scheme":      {with("Bearerx " + tok), 401, none},
		"no scheme":            {with(tok), 401, none},
		"in the query":         {[]func(*http.Request){query("access_token=" + tok)}, 401, none},
		"in a cookie":          {[]func(*http.Request){header("Cookie", "access_token="+tok)}, 401, none},
		"in X-Access-Token":    {[]func(*http.Request){header("X-Forwarded-Access-Token", tok)}, 401, none},
		"and in the query":     {append(with("Bearer "+tok), query("x=1&access_token="+tok)), 400, malformed},
		"beside a bad query":   {append(with("Bearer "+tok), query("access_token=1;%zz")), 400, malformed},
		"beside another query": {append(with("Bearer "+tok), query("q=access%5Ftokens")), 200, nil},
		"twice":                {with("Bearer "+tok, "Bearer "+tok), 400, malformed},
		"good and bad":         {with("Basic eA==", "Bearer "+tok), 400, malformed},
		"a list":               {with("Bearer " + tok + ", Bearer " + tok), 400, malformed},
		"a list with none":     {with("Basic eA==, Bearer " + tok), 401, none},
		"no token":             {with("Bearer"), 400, malformed},
		"blank token":          {with("Bearer  "), 400, malformed},
		"a tab":                {with("Bearer\t" + tok), 400, malformed},
		"quoted":               {with(`Bearer "` + tok + `"`), 400, malformed},
		"a parameter":          {with("Bearer token=" + tok + "; x"), 400, malformed},
		"not ASCII":            {with("Bearer " + tok + "\u00fc"), 400, malformed},
		"only padding":         {with("Bearer ="), 400, malformed},
		"garbage":              {with("Bearer abc.def.ghi"), 401, invalid},
		"padded":               {with("Bearer " + tok + "="), 401, invalid},
		"too long":             {with("Bearer " + tok + strings.Repeat("A", 9<<10)), 401, invalid},
		"much too long":        {with("Bearer " + strings.Repeat("A", 500<<10)), 401, invalid},
		"a very long scheme":   {with(strings.Repeat("A", 500<<10) + " " + tok), 401, none},
	} {
		t.Run(name, func(t *testing.T) {
			a := get(c.request...)
			require.Equal(t, c.status, a.status)
			require.Equal(t, c.challenge, a.challenge)
			if c.status != 200 {
				require.Equal(t, "no-store", a.header.Get("Cache-Control"))
			}
			if c.status == 401 && len(c.challenge) > 0 && c.challenge[0] == none[0] {
				require.Empty(t, a.body, "nothing is wrong with a request that presents nothing")
			}
		})
	}
	require.NotContains(t, w.log.String(), tok)
}

// TestARouteRequiresItsScopes and its authentication; the zero value lets nothing through.
func TestARouteRequiresItsScopes(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	alone := w.issued()
	human := w.issued(w.person("alice"))
	scope := func(scopes string) []string {
		out := `Bearer error="insufficient_scope", error_description="The access token lacks a scope", `
		if scopes != "" {
			out += `scope="` + scopes + `", `
		}
		return []string{out + atMetadata}
	}
	for name, c := range map[string]struct {
		route     verify.Route
		status    int
		challenge []string
	}{
		"has it":          {verify.Route{Scopes: []string{"cases:read"}}, 200, nil},
		"any":             {verify.Route{AnyScope: true}, 200, nil},
		"zero":            {verify.Route{}, 403, scope("")},
		"empty":           {verify.Route{Scopes: []string{}}, 403, scope("")},
		"lacks it":        {verify.Route{Scopes: []string{"cases:write"}}, 403, scope("cases:write")},
		"lacks one":       {verify.Route{Scopes: []string{"cases:read", "cases:write"}}, 403, scope("cases:read cases:write")},
		"lacks one, any":  {verify.Route{Scopes: []string{"cases:write"}, AnyScope: true}, 403, scope("cases:write")},
		"other case":      {verify.Route{Scopes: []string{"Cases:read"}}, 403, scope("Cases:read")},
		"a prefix":        {verify.Route{Scopes: []string{"cases"}}, 403, scope("cases")},
		"empty scope":     {verify.Route{Scopes: []string{""}}, 403, scope("")},
		"unsayable scope": {verify.Route{Scopes: []string{"a\"\r\nb"}}, 403, scope("")},
		"step-up": {verify.Route{AnyScope: true, StepUp: &verify.StepUp{ACR: []string{"aal2"}}}, 401, []string{
			`Bearer error="insufficient_user_authentication", error_description="A different authentication level is required", ` +
				`acr_values="aal2", ` + atMetadata}},
		"impossible step-up": {verify.Route{AnyScope: true, StepUp: &verify.StepUp{}}, 403, []string{
			`Bearer error="insufficient_scope", error_description="The resource cannot be accessed", ` + atMetadata}},
	} {
		t.Run(name, func(t *testing.T) {
			a := g.api(c.route)(bearer(alone))
			require.Equal(t, c.status, a.status)
			require.Equal(t, c.challenge, a.challenge)
		})
	}
	route := verify.Route{Scopes: []string{"cases:read"}, StepUp: &verify.StepUp{ACR: []string{"aal2"}, MaxAge: time.Minute}}
	get := g.api(route)
	route.Scopes[0], route.StepUp.ACR[0] = "changed", "changed"
	require.Equal(t, 200, get(bearer(human)).status, "a route is a copy")
	w.clock.Add(2 * time.Minute)
	require.Equal(t, []string{`Bearer error="insufficient_user_authentication", error_description="More recent authentication is required", ` +
		`acr_values="aal2", max_age="120"`[:len(`acr_values="aal2", max_age="`)] + `60", ` + atMetadata}, get(bearer(human)).challenge)
}

// TestMetadata is what RFC 9728 says, at the place where a challenge says it is.
func TestMetadata(t *testing.T) {
	w := newWorld(t)
	g := w.idle(func(c *verify.Config) { c.Proofs, c.ProofAlgs = proofs(w, w.clock), []string{"ES256"} })
	require.Equal(t, metadataURL, g.MetadataURL())
	u, err := url.Parse(g.MetadataURL())
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.Handle(u.Path, g.Metadata())
	server := httptest.NewServer(mux)
	defer server.Close()
	resp, err := http.Get(server.URL + u.Path)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	raw, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	var doc map[string]any
	require.NoError(t, json.Unmarshal(raw, &doc))
	require.Equal(t, map[string]any{
		"resource": crm, "authorization_servers": []any{issuer}, "bearer_methods_supported": []any{"header"},
		"scopes_supported": []any{"cases:read", "cases:write"}, "dpop_signing_alg_values_supported": []any{"ES256"},
	}, doc)
	resp, err = http.Post(server.URL+u.Path, "", nil)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, 405, resp.StatusCode)

	for resource, want := range map[string]string{
		"https://crm.example/":           "https://crm.example/.well-known/oauth-protected-resource",
		"https://crm.example":            "https://crm.example/.well-known/oauth-protected-resource",
		"https://crm.example:8443/a/b/":  "https://crm.example:8443/.well-known/oauth-protected-resource/a/b",
		"https://crm.example/a?tenant=1": "https://crm.example/.well-known/oauth-protected-resource/a?tenant=1",
	} {
		require.Equal(t, want, w.idle(func(c *verify.Config) { c.Resource = resource }).MetadataURL())
	}
	urn := w.idle(func(c *verify.Config) { c.Resource, c.Origin = "urn:crm", "https://api.example" })
	require.Equal(t, "https://api.example/.well-known/oauth-protected-resource", urn.MetadataURL())
}

// TestClaimsOfNobody: without the middleware there are none.
func TestClaimsOfNobody(t *testing.T) {
	_, ok := verify.ClaimsFrom(t.Context())
	require.False(t, ok)
	c, ok := verify.ClaimsFrom(verify.WithClaims(t.Context(), tokenboundary.Claims{Subject: "alice"}))
	require.True(t, ok)
	require.Equal(t, "alice", c.Subject)
}
