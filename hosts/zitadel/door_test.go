package zitadel_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/oidc"

	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestAnAmbiguousFormIsRefusedAndRecorded(t *testing.T) {
	w := newWorld(t)
	f := form("grant_type", "client_credentials", "resource", crm, "scope", "read")
	f.Add("scope", "write")
	w.refused(w.post("/oauth/token", "tool", f), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "malformed")
	f = form("grant_type", "client_credentials", "resource", crm, "scope", "read", "subject_token", "x")
	w.refused(w.post("/oauth/token", "tool", f), http.StatusBadRequest, "invalid_request")
	w.granted(w.credentials("tool", "read"))
}

func TestParametersInTheURLDoNotCount(t *testing.T) {
	w := newWorld(t)
	query := url.Values{"scope": {"read write"}, "resource": {mail}}.Encode()
	a := w.granted(w.post("/oauth/token?"+query, "tool", form("grant_type", "client_credentials", "resource", crm, "scope", "read")))
	require.Equal(t, "read", a.claims(t)["scope"])
	require.Equal(t, []any{crm}, a.claims(t)["aud"])
	w.refused(w.post("/oauth/token?grant_type=client_credentials&scope=read", "tool", form("resource", crm)), http.StatusBadRequest, "invalid_request")
}

func TestAClientThatProvesNothingGetsNoToken(t *testing.T) {
	w := newWorld(t)
	subject := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	w.refused(w.exchange("", subject, typeAccess, "read", "client_id", "public"), http.StatusUnauthorized, "invalid_client")
	w.refused(w.post("/oauth/token", "", form("grant_type", "client_credentials", "client_id", "public", "scope", "read", "resource", crm)),
		http.StatusBadRequest, "invalid_client")
	w.granted(w.exchange("tool", subject, typeAccess, "read"))
}

// code runs the authorization code flow of a person up to the code.
func (w *world) code(client, scope string) url.Values {
	w.Helper()
	q := url.Values{
		"client_id": {client}, "response_type": {"code"}, "redirect_uri": {"http://localhost:9999/auth/callback"}, "scope": {scope}, "state": {"s"},
	}
	return w.authorize(q)
}

// authorize asks the authorization endpoint, logs a person in where it says so, and returns what the client is sent back with.
func (w *world) authorize(q url.Values) url.Values {
	w.Helper()
	get := func(path string) *url.URL {
		r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, w.server.URL+path, nil)
		require.NoError(w, err)
		a := w.send(r)
		require.Equal(w, http.StatusFound, a.status, "%v", a.body)
		to, err := url.Parse(a.header.Get("Location"))
		require.NoError(w, err)
		return to
	}
	to := get("/authorize?" + q.Encode())
	id := to.Query().Get("authRequestID")
	if id == "" {
		return to.Query()
	}
	require.NoError(w, w.host.CheckUsernamePassword("test-user2", "verysecure", id))
	to = get("/authorize/callback?id=" + id)
	if to.Fragment != "" {
		back, err := url.ParseQuery(to.Fragment)
		require.NoError(w, err)
		return back
	}
	return to.Query()
}

func (w *world) redeem(client string, back url.Values) answer {
	w.Helper()
	require.NotEmpty(w, back.Get("code"), "%v", back)
	return w.post("/oauth/token", client, form("grant_type", "authorization_code", "code", back.Get("code"),
		"redirect_uri", "http://localhost:9999/auth/callback"))
}

func undecided(kinds ...oidc.GrantType) func(*world) {
	return func(w *world) { w.cfg.Undecided = kinds }
}

func TestAnotherGrantIsRefusedUnlessTheHostAnswersForIt(t *testing.T) {
	w := newWorld(t)
	back := w.code("orchestrator", "openid offline_access read")
	w.refused(w.redeem("orchestrator", back), http.StatusBadRequest, "unauthorized_client")
	require.Contains(t, w.denied("orchestrator"), "the client may not use this grant")

	w = newWorld(t, undecided(oidc.GrantTypeCode))
	a := w.granted(w.redeem("orchestrator", w.code("orchestrator", "openid offline_access read")))
	require.Equal(t, "x", a.claims(t)["decision_id"], "what the storage says, which is no decision")
	a = w.granted(w.refresh("orchestrator", a.text("refresh_token")))
	w.refused(w.exchange("tool", a.text("access_token"), typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not acceptable")

	w.cfg.Undecided = nil // the same storage behind a server that answers for nothing
	alone := newWorld(t, func(o *world) { o.host = w.host })
	alone.refused(alone.refresh("orchestrator", a.text("refresh_token")), http.StatusBadRequest, "invalid_grant")
	w.granted(w.refresh("orchestrator", a.text("refresh_token")))
}

func TestOnlyTheBoundaryNamesAFamily(t *testing.T) {
	w := newWorld(t, undecided(oidc.GrantTypeCode, oidc.GrantTypeDeviceCode))
	mark := "urn:tokenboundary:family:" + lineage.IDOf([]byte("any")).String()
	require.Equal(t, "invalid_scope", w.code("orchestrator", "openid offline_access "+mark).Get("error"))
	w.refused(w.post("/device_authorization", "orchestrator", form("client_id", "orchestrator", "scope", mark)), http.StatusBadRequest, "invalid_scope")
	w.refused(w.credentials("tool", mark), http.StatusBadRequest, "invalid_scope")
	require.Contains(t, w.denied("tool"), "malformed")
	require.NotEmpty(t, w.code("orchestrator", "openid offline_access").Get("code"))
	require.Equal(t, http.StatusOK, w.post("/device_authorization", "orchestrator", form("client_id", "orchestrator", "scope", "read")).status)
}

func TestATokenFromTheAuthorizationEndpointIsRefused(t *testing.T) {
	q := url.Values{
		"client_id": {"orchestrator"}, "response_type": {"id_token token"}, "redirect_uri": {"http://localhost:9999/auth/callback"},
		"scope": {"openid"}, "state": {"s"}, "nonce": {"n"},
	}
	w := newWorld(t)
	back := w.authorize(q)
	require.Empty(t, back.Get("access_token"))
	w = newWorld(t, undecided(governed.GrantTypeImplicit))
	require.NotEmpty(t, w.authorize(q).Get("access_token"))
}

func TestAssertionsAndDevicesAreRefused(t *testing.T) {
	w := newWorld(t)
	w.refused(w.post("/oauth/token", "", form("grant_type", string(oidc.GrantTypeBearer), "assertion", "x")), http.StatusBadRequest, "unsupported_grant_type")
	w.refused(w.post("/oauth/token", "tool", form("grant_type", string(oidc.GrantTypeDeviceCode), "device_code", "x")),
		http.StatusBadRequest, "unauthorized_client")
	require.Contains(t, w.denied("tool"), "the client may not use this grant")
	w = newWorld(t, undecided(oidc.GrantTypeBearer, oidc.GrantTypeDeviceCode)) // then it is the server that says what is wrong
	w.refused(w.post("/oauth/token", "", form("grant_type", string(oidc.GrantTypeBearer), "assertion", "x")), http.StatusBadRequest, "invalid_request")
	w.refused(w.post("/oauth/token", "tool", form("grant_type", string(oidc.GrantTypeDeviceCode), "device_code", "x")), http.StatusBadRequest, "access_denied")
}
