package main_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// deferred is a request that waits for somebody.
type deferred struct {
	id   string // of the approval
	form url.Values
}

// deferrable says that the client accepts to be told to wait.
func deferrable(form url.Values) url.Values {
	form.Set("completion_mode", "deferred")
	return form
}

// pending returns what waits for the leads, by subject.
func (w *world) pending(by string) map[string]map[string]any {
	w.t.Helper()
	status, out := w.get("/approvals", as(by))
	require.Equal(w.t, http.StatusOK, status, "%v", out)
	all := map[string]map[string]any{}
	for _, a := range out["approvals"].([]any) {
		a := a.(map[string]any)
		all[a["subject"].(map[string]any)["sub"].(string)] = a
	}
	return all
}

// deferral asks for a refund in the name of sub, which has to wait for an approval.
func (w *world) deferral(sub string) deferred {
	w.t.Helper()
	form := w.waits(w.exchange(sub, "refunds:write"))
	require.Contains(w.t, w.pending("ops"), sub)
	return deferred{w.pending("ops")[sub]["id"].(string), form}
}

// waits asks for what has to wait and returns the form to poll with.
func (w *world) waits(form url.Values) url.Values {
	w.t.Helper()
	status, answer := w.form("/token", deferrable(form), as("agent"))
	require.Equal(w.t, http.StatusBadRequest, status, "%v", answer)
	require.Equal(w.t, "authorization_pending", answer["error"], "%v", answer)
	require.NotZero(w.t, answer["expires_in"])
	return url.Values{
		"grant_type": {"urn:ietf:params:oauth:grant-type:deferred"}, "deferral_code": {answer["deferral_code"].(string)},
	}
}

func (w *world) decide(by string, d deferred, agree bool) (int, map[string]any) {
	w.t.Helper()
	return w.post("/approvals/"+d.id, map[string]any{"approve": agree}, as(by))
}

func TestARequestWaitsForSomebodyToAgree(t *testing.T) {
	w := newFlows(t)
	w.refused("invalid_scope", w.exchange("alice", "refunds:write"), as("agent")) // not without opting in
	require.Empty(t, w.pending("ops"))
	granted, denied, open := w.deferral("alice"), w.deferral("bob"), w.deferral("carol")
	w.refused("authorization_pending", open.form, as("agent"))
	w.refused("slow_down", open.form, as("agent")) // too soon after the first poll

	shown := w.pending("ops")["alice"]
	require.Equal(t, "agent", shown["client"])
	require.Equal(t, []any{map[string]any{"resource": crm, "scopes": []any{"refunds:write"}}}, shown["granted"].(map[string]any)["access"])

	for by, want := range map[string]int{
		"alices-ops":  http.StatusForbidden, // alice takes part in the request
		"nobodys-ops": http.StatusForbidden, // stands for nobody
		"agent":       http.StatusForbidden,
	} {
		status, _ := w.decide(by, granted, true)
		require.Equal(t, want, status, by)
	}
	status, out := w.decide("ops", granted, true)
	require.Equal(t, http.StatusOK, status, "%v", out)
	status, _ = w.decide("ops", granted, false)
	require.Equal(t, http.StatusConflict, status, "the first decision counts")
	status, out = w.decide("alices-ops", denied, false)
	require.Equal(t, http.StatusOK, status, "%v", out)
	require.NotContains(t, w.pending("ops"), "alice")
	require.NotContains(t, w.pending("ops"), "bob")

	w.end()
	w.start()                                            // neither the request nor the decision is forgotten
	w.refused("invalid_grant", granted.form, as("tool")) // somebody else's, which burns nothing
	answer := w.token(granted.form, as("agent"))
	require.Equal(t, "refunds:write", answer["scope"])
	state := w.introspect(answer["access_token"])
	require.Equal(t, true, state["active"])
	require.Equal(t, "alice", state["sub"])
	w.refused("invalid_grant", granted.form, as("agent")) // once
	w.refused("access_denied", denied.form, as("agent"))

	require.NotContains(t, w.text(), granted.form.Get("deferral_code"))

	// What was approved is decided anew when it is released.
	late := w.deferral("dave")
	status, _ = w.decide("ops", late, true)
	require.Equal(t, http.StatusOK, status)
	w.policy("[refunds:write]", "[refunds:read]")
	status, out = w.form("/token", late.form, as("agent"))
	require.Equal(t, http.StatusBadRequest, status, "%v", out)
	require.NotContains(t, out, "access_token")
}

func TestARequestWaitsForThePersonToAuthenticate(t *testing.T) {
	w := newFlows(t)
	poll := w.waits(w.exchange("alice", "cases:export"))
	others := w.waits(w.exchange("bob", "cases:export"))
	require.Empty(t, w.pending("ops"), "nobody is asked")
	w.signalled(map[string]any{"selector": "session:session-of-alice", "assurance": map[string]any{"acr": "aal2"}})
	answer := w.token(poll, as("agent"))
	require.Equal(t, "cases:export", answer["scope"])
	w.requireActive(answer["access_token"])
	w.refused("authorization_pending", others, as("agent"))

	w.signalled(map[string]any{"selector": "session:session-of-alice", "assurance": map[string]any{"acr": "aal1"}})
	w.requireDead(answer["access_token"])
}
