package endpoint_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/endpoint"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// FuzzServeHTTP requires that every request gets a JSON answer that is no fault of ours, and that only the one good
// credential gets in.
func FuzzServeHTTP(f *testing.F) {
	f.Add("POST", "/token", "Basic b3BzOng=", formType, "grant_type=client_credentials")
	f.Add("POST", "/token", "", formType, "client_assertion=good&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&grant_type=x")
	f.Add("POST", "/revocations", "Bearer good", "application/json", `{"selector":"connection:prod","block":true}`)
	f.Add("GET", "/revocations/path:%2Fagents?after=", "Bearer good", "", "")
	f.Add("POST", "/tasks/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE/suspend", "Bearer good", "", "")
	f.Add("POST", "/erasures", "Bearer good", "application/json", `{"selector":"subject:alice"}`)
	f.Add("GET", "/approvals", "Bearer good", "", "")
	f.Add("POST", "/approvals/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE", "Bearer good", "application/json", `{"approve":true}`)
	f.Add("POST", "/signals", "Bearer good", "application/json", `{"env":{"frozen":true,"none":null}}`)
	f.Add("POST", "/signals", "Bearer good", "application/json", `{"policies":"reloaded"}`)
	f.Add("POST", "/signals", "Bearer good", "application/json",
		`{"selector":"session:s","risk":{"level":"high"},"attributes":{"a":[1]},"assurance":{"acr":"a","amr":["b"],"auth_time":1}}`)
	f.Add("POST", "/usage", "Bearer good", "application/json", `{"uses":[{"jti":"x","at":"2026-03-01T12:00:00Z","scopes":["a"],"count":2}]}`)
	f.Add("GET", "/revocations?after=0&wait=0s", "Bearer good", "", "")
	f.Add("GET", "/lineage/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA/tree", "Bearer good", "", "")
	f.Add("POST", "/introspect", "Basic b3BzOiUyNSUyNg==", formType, "token=x")
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://b.example", Store: memory.New(), Clock: clock.NewMock(), Policy: tokenboundary.PolicyFunc(nil),
		Clients:    tokenboundary.ClientMap{"ops": {ID: "ops", Kind: tokenboundary.KindOperator}},
		Identities: []tokenboundary.IdentitySource{tokenboundary.IdentityFunc(identifyGood)},
	})
	require.NoError(f, err)
	h, err := endpoint.New(g, endpoint.Config{Clock: clock.NewMock()})
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, method, target, auth, kind, body string) {
		u, err := url.ParseRequestURI(target)
		if err != nil || strings.Contains(u.RawQuery, "wait") {
			return
		}
		w := httptest.NewRecorder()
		r := &http.Request{Method: method, URL: u, Header: http.Header{"Content-Type": {kind}}, Body: http.NoBody}
		r = r.WithContext(t.Context())
		r.Body = readCloser{strings.NewReader(body)}
		if auth != "" {
			r.Header.Set("Authorization", auth)
			r.Header.Set("DPoP", auth)
		}
		h.ServeHTTP(w, r)
		require.NotEqual(t, 500, w.Code)
		good := strings.Contains(auth+body, "good")
		if w.Code < 300 && !good {
			require.Contains(t, []string{"/healthz", "/.well-known/oauth-authorization-server"}, u.EscapedPath())
		}
		if w.Body.Len() > 0 {
			require.True(t, json.Valid(w.Body.Bytes()))
			require.Equal(t, "application/json", w.Header().Get("Content-Type"))
		}
	})
}

type readCloser struct{ *strings.Reader }

func (readCloser) Close() error { return nil }

// identifyGood knows one assertion, of ops.
func identifyGood(_ context.Context, c tokenboundary.Credential) (tokenboundary.Principal, error) {
	if c.Type != tokenboundary.TypeClientAssertion || c.Value != "good" {
		return tokenboundary.Principal{}, tokenboundary.ErrNotMine
	}
	return tokenboundary.Principal{Party: lineage.Party{ID: "ops"}, Identity: true}, nil
}
