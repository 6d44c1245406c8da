package fosite_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/ory/fosite"
	"github.com/ory/fosite/compose"
	"github.com/stretchr/testify/require"
)

// implicit lets the server issue tokens at its authorization endpoint.
func implicit(w *world) {
	w.first = append(w.first, compose.OAuth2AuthorizeImplicitFactory)
	c := w.host.Clients["tool"].(*fosite.DefaultClient)
	c.RedirectURIs, c.ResponseTypes = []string{"https://tool.example/back"}, []string{"token"}
	c.GrantTypes = append(c.GrantTypes, "implicit")
}

// authorize sends a browser to the authorization endpoint, where alice agrees, and returns what the client learns.
func (w *world) authorize() url.Values {
	w.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		ar, err := w.provider.NewAuthorizeRequest(r.Context(), r)
		require.NoError(w, err)
		for _, s := range ar.GetRequestedScopes() {
			ar.GrantScope(s)
		}
		out, err := w.provider.NewAuthorizeResponse(r.Context(), ar, w.session())
		if err != nil {
			w.provider.WriteAuthorizeError(r.Context(), rw, ar, err)
			return
		}
		w.provider.WriteAuthorizeResponse(r.Context(), rw, ar, out)
	}))
	defer server.Close()
	browser := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := browser.Get(server.URL + "/?" + form("client_id", "tool", "response_type", "token", "scope", "read", "state", "12345678").Encode())
	require.NoError(w, err)
	require.NoError(w, resp.Body.Close())
	to, err := resp.Location()
	require.NoError(w, err)
	back, err := url.ParseQuery(to.Fragment)
	require.NoError(w, err)
	return back
}

// TestNoTokenLeavesTheAuthorizationEndpointUnlessTheServerAnswersForIt: nothing is decided there.
func TestNoTokenLeavesTheAuthorizationEndpointUnlessTheServerAnswersForIt(t *testing.T) {
	both(t, func(t *testing.T, w *world) {
		for _, change := range []func(*world){implicit, func(w *world) {
			implicit(w)
			w.first, w.last = nil, w.first
		}} {
			w := newWorld(t, change, func(o *world) { o.opaque, o.session = w.opaque, w.session })
			before := w.sessions()
			back := w.authorize()
			require.Empty(t, back.Get("access_token"))
			require.Equal(t, "unauthorized_client", back.Get("error"))
			require.Equal(t, before, w.sessions(), "nothing is kept")
		}
		w = newWorld(t, implicit, func(o *world) {
			o.opaque, o.session, o.cfg.Undecided = w.opaque, w.session, []string{"implicit"}
		})
		w.active(w.authorize().Get("access_token"))
	})
}
