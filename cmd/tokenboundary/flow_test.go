package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// flowConfiguration has a client for every part in the flows that tokens live through.
const flowConfiguration = `issuer: ` + issuer + `
listen: 127.0.0.1:0
store: {bolt: {path: boundary.db}}
policies: policies
signing: {dir: signing}
lifetimes: {access_token: 5m, task: 1h, refresh_token: 8h, refresh_idle: 2h, refresh_grace: 0s, approval: 10m, clock_leeway: 1s}
env: {tenant_frozen: false}
trust:
  - oidc: {issuer: ` + idp + `, audience: ` + issuer + `, jwks_file: idp.jwks.json, session: human}
clients:
  - id: agent
    kind: agent
    grants: [client_credentials, token-exchange, refresh_token]
    connections: [crm]
    auth: {client_secret_basic: {secret_file: agent.secret}}
    dpop: optional
  - id: tool
    kind: agent
    grants: [client_credentials, token-exchange, refresh_token]
    connections: [crm]
    auth: {client_secret_basic: {secret_file: tool.secret}}
    dpop: optional
  - id: sealed
    kind: agent
    grants: [client_credentials]
    connections: [crm]
    auth: {client_secret_basic: {secret_file: sealed.secret}}
    dpop: required
  - id: crm
    kind: resource
    resource: ` + crm + `
    auth: {client_secret_basic: {secret_file: crm.secret}}
  - id: ops
    kind: operator
    groups: [leads]
    person: leah
    auth: {client_secret_basic: {secret_file: ops.secret}}
  - id: alices-ops
    kind: operator
    groups: [leads]
    person: alice
    auth: {client_secret_basic: {secret_file: alices-ops.secret}}
  - id: nobodys-ops
    kind: operator
    groups: [leads]
    auth: {client_secret_basic: {secret_file: nobodys-ops.secret}}
`

const flowPolicy = `bind: {client: [agent, tool, sealed], connection: crm, resource: ` + crm + `}
default_scopes: [cases:read]
allow:
  - rule: reads
    when: "true"
    scopes: [cases:read, contacts:read]
    lifetime: 5m
    refresh: true
    delegates: [tool]
  - rule: writes
    when: risk.level == "low"
    scopes: [cases:write]
  - rule: refunds
    when: "true"
    scopes: [refunds:write]
    lifetime: 60s
    require: {approval: {by: leads}}
  - rule: exports
    when: "true"
    scopes: [cases:export]
    require: {step_up: {acr: aal2}}
`

const flowFile = "policies/crm.yaml"

// newFlows starts a server with the clients and the policy of the flows.
func newFlows(t testing.TB) *world { return flows(t, newKey(t, "idp-1")).start() }

// flows returns what a server with the clients and the policy of the flows needs.
func flows(t testing.TB, provider key) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), idp: provider}
	w.write("boundary.yaml", flowConfiguration)
	w.write("idp.jwks.json", w.idp.jwks(t, "sig"))
	w.write("policies/boundary.yaml", guardrail)
	w.write(flowFile, flowPolicy)
	for _, id := range []string{"agent", "tool", "sealed", "ops", "alices-ops", "nobodys-ops"} {
		w.write(id+".secret", secretOf(id))
	}
	w.write("crm.secret", crmSecret)
	return w
}

func secretOf(id string) string { return "the-secret-of-" + id }

// as authenticates a request as a client of the flows.
func as(id string) func(*http.Request) { return basic(id, secretOf(id)) }

// derive is the form of an exchange of a token of ours.
func derive(from any, scope string) url.Values {
	return url.Values{
		"grant_type": {exchangeGrant}, "subject_token": {from.(string)}, "subject_token_type": {accessTokenType}, "scope": {scope},
	}
}

// taskOf asks for a task in a form.
func taskOf(form url.Values, purpose string) url.Values {
	form.Set("authorization_details", fmt.Sprintf(`[{"type":"task","purpose":%q,"expires_in":900}]`, purpose))
	return form
}

// refresh is the form of a refresh; without a scope, of all that was granted.
func refresh(with any, scope string) url.Values {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {with.(string)}}
	if scope != "" {
		form.Set("scope", scope)
	}
	return form
}

// post sends JSON and returns status and answer.
func (w *world) post(path string, body any, with ...func(*http.Request)) (int, map[string]any) {
	w.t.Helper()
	raw, err := json.Marshal(body)
	require.NoError(w.t, err)
	return w.call(http.MethodPost, path, "application/json", string(raw), with...)
}

// refused asks for a token and requires that it is refused with the code, and without the name of a policy.
func (w *world) refused(code string, form url.Values, with ...func(*http.Request)) {
	w.t.Helper()
	status, answer := w.form("/token", form, with...)
	require.Equal(w.t, http.StatusBadRequest, status, "%v", answer)
	require.Equal(w.t, code, answer["error"], "%v", answer)
	require.NotContains(w.t, fmt.Sprint(answer), "crm#")
}

// signalled sends a signal and returns how many were decided anew, and what became of them.
func (w *world) signalled(signal map[string]any) (examined, kept, revoked float64) {
	w.t.Helper()
	status, out := w.post("/signals", signal, as("ops"))
	require.Equal(w.t, http.StatusAccepted, status, "%v", out)
	require.Equal(w.t, true, out["complete"])
	return out["examined"].(float64), out["kept"].(float64), out["revoked"].(float64)
}

// policy puts another policy in force and waits until what lives was decided anew. It returns the log line of that.
func (w *world) policy(replace ...string) map[string]any {
	w.t.Helper()
	from := w.mark()
	w.write(flowFile, strings.NewReplacer(replace...).Replace(flowPolicy))
	w.signal(syscall.SIGHUP)
	w.await(from, "policy set in force")
	return w.await(from, reviewed)
}

func TestAnOperatorWhoCanApproveNothingIsPointedOut(t *testing.T) {
	w := newFlows(t)
	require.Contains(t, w.text(), w.config()+":43: clients[6]: groups without a person: this operator can approve nothing")
	require.Equal(t, 1, strings.Count(w.text(), `"WARN"`))
}

func TestATaskIsSuspendedAndResumedAndEnds(t *testing.T) {
	w := newFlows(t)
	started := w.token(taskOf(w.exchange("alice", "cases:read"), "triage"), as("agent"))
	token, path := started["access_token"], "/tasks/"+started["task_id"].(string)
	derived := w.token(derive(token, "cases:read"), as("tool"))["access_token"]
	other := w.token(w.exchange("alice", "cases:read"), as("agent"))["access_token"]
	turn := func(verb, state string) {
		t.Helper()
		status, task := w.post(path+"/"+verb, nil, as("agent"))
		require.Equal(t, http.StatusOK, status, "%v", task)
		require.Equal(t, state, task["state"])
	}
	w.requireActive(derived)

	turn("suspend", "suspended")
	w.requireDead(token)
	w.requireDead(derived)
	w.requireActive(other)
	w.refused("invalid_request", derive(token, "cases:read"), as("tool"))
	status, _ := w.post(path+"/resume", nil, as("tool"))
	require.Equal(t, http.StatusNotFound, status, "somebody else's task")

	turn("resume", "active")
	w.requireActive(token)
	w.requireActive(derived)

	turn("complete", "completed")
	w.requireDead(token)
	w.requireDead(derived)
	w.requireActive(other)
	status, _ = w.post(path+"/resume", nil, as("agent"))
	require.Equal(t, http.StatusConflict, status, "what has ended stays ended")
	status, task := w.get(path, as("ops"))
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "completed", task["state"])
}

func TestATaskInsideATask(t *testing.T) {
	w := newFlows(t)
	outer := w.token(taskOf(w.exchange("alice", "cases:read contacts:read"), "triage"), as("agent"))
	child := func() map[string]any {
		inner := w.token(taskOf(derive(outer["access_token"], "cases:read"), "look-up"), as("agent"))
		require.NotEqual(t, outer["task_id"], inner["task_id"])
		w.requireActive(inner["access_token"])
		return inner
	}
	first, second := child(), child()
	wide := w.token(taskOf(derive(outer["access_token"], "cases:read contacts:read"), "wide"), as("agent"))
	require.Equal(t, "cases:read contacts:read", wide["scope"])
	w.refused("invalid_scope", derive(first["access_token"], "contacts:read"), as("agent"))

	status, _ := w.post("/tasks/"+first["task_id"].(string)+"/complete", nil, as("agent"))
	require.Equal(t, http.StatusOK, status)
	w.requireDead(first["access_token"])
	w.requireActive(second["access_token"])
	w.requireActive(outer["access_token"])

	status, _ = w.post("/tasks/"+outer["task_id"].(string)+"/complete", nil, as("agent"))
	require.Equal(t, http.StatusOK, status)
	w.requireDead(second["access_token"])
	w.requireDead(outer["access_token"])
	_, task := w.get("/tasks/"+second["task_id"].(string), as("agent"))
	require.Equal(t, "revoked", task["state"], "it ended with what it was inside of")
}
