package verify_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/verify"
)

// counted is a body that counts how often it is read.
type counted struct {
	io.Reader
	reads int
}

func (c *counted) Read(p []byte) (int, error) {
	c.reads++
	return c.Reader.Read(p)
}

func (c *counted) Close() error { return nil }

// byBody serves a handler that requires the scope that the body names, and returns what asks it. Meanwhile is called once
// the body is read.
func (g *guard) byBody(meanwhile func()) func(says string, change ...func(*http.Request)) (*httptest.ResponseRecorder, *counted) {
	route := func(w http.ResponseWriter, r *http.Request) (verify.Route, bool) {
		_, known := verify.ClaimsFrom(r.Context())
		require.True(g.w, known)
		says, err := io.ReadAll(r.Body)
		require.NoError(g.w, err)
		r.Body = io.NopCloser(strings.NewReader("kept: " + string(says)))
		meanwhile()
		if string(says) == "tea" {
			w.WriteHeader(http.StatusTeapot)
			return verify.Route{AnyScope: true}, false
		}
		return verify.Route{Scopes: strings.Fields(string(says))}, true
	}
	h := g.RequireBy([]string{"cases:read"}, route)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _ := verify.ClaimsFrom(r.Context())
		_, _ = io.WriteString(w, c.Subject+" ")
		_, _ = io.Copy(w, r.Body)
	}))
	return func(says string, change ...func(*http.Request)) (*httptest.ResponseRecorder, *counted) {
		body := &counted{Reader: strings.NewReader(says)}
		r := httptest.NewRequestWithContext(g.w.Context(), http.MethodPost, "/v1/cases", body)
		for _, c := range change {
			c(r)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w, body
	}
}

// TestTheRequestSaysWhatItTakes: the scopes come from its body, which the handler finds as it was left, and so do those of
// the challenge and of the report of use.
func TestTheRequestSaysWhatItTakes(t *testing.T) {
	w := newWorld(t)
	g := w.guard(func(c *verify.Config) { c.Proofs = proofs(w, w.clock) })
	post, tok := g.byBody(func() {}), w.issued()
	a, _ := post("tea", bearer(tok))
	require.Equal(t, http.StatusTeapot, a.Code, "it has answered")
	require.Empty(t, a.Body.String())
	a, _ = post("cases:write", bearer(tok))
	require.Equal(t, http.StatusForbidden, a.Code)
	require.Contains(t, a.Header().Get("WWW-Authenticate"), `error="insufficient_scope"`)
	require.Contains(t, a.Header().Get("WWW-Authenticate"), `scope="cases:write"`)
	a, _ = post("", bearer(tok))
	require.Equal(t, http.StatusForbidden, a.Code, "the zero route lets nothing through")
	g.Flush(t.Context())
	require.Zero(t, w.times("/usage"), "nothing was let through")

	a, body := post("cases:read", bearer(tok))
	require.Equal(t, http.StatusOK, a.Code)
	require.Equal(t, "bot kept: cases:read", a.Body.String())
	require.Positive(t, body.reads)
	g.Flush(t.Context())
	require.EqualValues(t, 1, w.uses(tok)[0].Count)
	require.Equal(t, crm, w.uses(tok)[0].Resource)

	h := w.holder()
	bound := w.issued(h.bound).Value()
	proved := withProof("DPoP", bound, h.proof(bound, map[string]any{"htm": "POST"}))
	a, _ = post("cases:read", proved...)
	require.Equal(t, http.StatusOK, a.Code, a.Body.String())
	a, body = post("cases:read", proved...)
	require.Equal(t, http.StatusUnauthorized, a.Code, "a proof is good once")
	require.Contains(t, a.Header().Get("WWW-Authenticate"), `error="invalid_dpop_proof"`)
	require.Zero(t, body.reads)
}

// TestNothingIsReadForNobody: a request is refused for its token before any of its body is read.
func TestNothingIsReadForNobody(t *testing.T) {
	w := newWorld(t)
	g := w.guard()
	dead, live := w.issued(), w.issued()
	g.sees(w.revoke(lineage.SelectToken, dead.ID.String(), lineage.Cut))
	post, away := g.byBody(func() {}), w.idle().byBody(func() {})
	for name, c := range map[string]struct {
		ask       func(string, ...func(*http.Request)) (*httptest.ResponseRecorder, *counted)
		token     []func(*http.Request)
		status    int
		challenge string
	}{
		"none":           {post, nil, 401, `Bearer scope="cases:read", resource_metadata="` + metadataURL + `"`},
		"another scheme": {post, []func(*http.Request){header("Authorization", "Basic eDp5")}, 401, `scope="cases:read"`},
		"two":            {post, []func(*http.Request){header("Authorization", "Bearer x", "Bearer y")}, 400, `error="invalid_request"`},
		"garbage":        {post, []func(*http.Request){header("Authorization", "Bearer x")}, 401, `error="invalid_token"`},
		"revoked":        {post, []func(*http.Request){bearer(dead)}, 401, `error="invalid_token"`},
		"not known":      {away, []func(*http.Request){bearer(live)}, 503, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a, body := c.ask("cases:read", c.token...)
			require.Equal(t, c.status, a.Code)
			require.Contains(t, a.Header().Get("WWW-Authenticate"), c.challenge)
			require.Equal(t, c.status == 503, a.Header().Get("Retry-After") == "1")
			require.Zero(t, body.reads)
		})
	}
	a, body := post("cases:read", bearer(live))
	require.Equal(t, http.StatusOK, a.Code, "control")
	require.Positive(t, body.reads)
}

// TestATokenThatEndsWhileItsRequestIsRead lets nothing through, however slowly a client sends.
func TestATokenThatEndsWhileItsRequestIsRead(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(w *world, g *guard, tok tokenboundary.Token)
		status    int
	}{
		"control": {func(w *world, g *guard, _ tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectToken, w.issued().ID.String(), lineage.Cut))
		}, http.StatusOK},
		"revoked": {func(w *world, g *guard, tok tokenboundary.Token) {
			g.sees(w.revoke(lineage.SelectToken, tok.ID.String(), lineage.Cut))
		}, http.StatusUnauthorized},
		"expired": {func(w *world, _ *guard, _ tokenboundary.Token) { w.clock.Add(11 * time.Minute) }, http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			g, tok := w.guard(), w.issued()
			a, body := g.byBody(func() { c.meanwhile(w, g, tok) })("cases:read", bearer(tok))
			require.Equal(t, c.status, a.Code)
			require.Positive(t, body.reads)
			require.Equal(t, c.status == http.StatusOK, strings.HasPrefix(a.Body.String(), "bot"))
			if c.status != http.StatusOK {
				require.Contains(t, a.Header().Get("WWW-Authenticate"), `error="invalid_token"`)
			}
		})
	}
}
