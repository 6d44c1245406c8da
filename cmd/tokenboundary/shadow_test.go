package main_test

import (
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// metrics returns the lines of the metrics page.
func (w *world) metrics() []string {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, "http://"+w.await(0, "metrics")["metrics"].(string)+"/metrics", nil)
	require.NoError(w.t, err)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(w.t, err)
	defer resp.Body.Close() //nolint:errcheck // only read
	raw, err := io.ReadAll(resp.Body)
	require.NoError(w.t, err)
	return strings.Split(string(raw), "\n")
}

// lastShadow returns what the record of a token says of the policy on trial; nil for nothing.
func (w *world) lastShadow(token string) map[string]any {
	w.t.Helper()
	status, answer := w.get("/lineage/"+w.introspect(token)["jti"].(string), basic("ops", opsSecret))
	require.Equal(w.t, http.StatusOK, status)
	records := answer["records"].([]any)
	body := records[len(records)-1].(map[string]any)["record"].(map[string]any)
	shadow, _ := body["shadow"].(map[string]any)
	return shadow
}

// A policy set on trial is asked beside the one in force, changes no answer, and what it would have decided otherwise is in
// the record and is counted. It can be changed and broken while it is on trial.
func TestAPolicySetOnTrial(t *testing.T) {
	w := newWorld(t)
	w.write("boundary.yaml", configuration+"shadow: trial\nmetrics: {listen: 127.0.0.1:0}\n")
	w.write("trial/boundary.yaml", guardrail)
	w.write("trial/agents/support-bot/crm.yaml", strings.Replace(leaf, "[cases:read, contacts:read]", "[contacts:read]", 1))
	w.start()

	same, err := w.workerToken("contacts:read")
	require.NoError(t, err)
	require.Nil(t, w.lastShadow(same.AccessToken))
	token, err := w.workerToken("cases:read", "contacts:read")
	require.NoError(t, err)
	require.Equal(t, "cases:read contacts:read", token.Extra("scope"), "the policy in force decides")
	shadow := w.lastShadow(token.AccessToken)
	require.Equal(t, []any{map[string]any{"resource": crm, "scope": "cases:read", "why": "no rule grants it"}}, shadow["lost"])
	require.NotContains(t, shadow, "gained")
	version, _ := w.health()
	require.NotEqual(t, version, shadow["policy"])
	page := w.metrics()
	for _, line := range []string{
		`tokenboundary_policy_trial_decisions_total{outcome="same"} 1`, `tokenboundary_policy_trial_decisions_total{outcome="differed"} 1`,
		`tokenboundary_policy_info{set="live",version="` + version + `"} 1`, `tokenboundary_policy_info{set="trial",version="` + shadow["policy"].(string) + `"} 1`,
		`tokenboundary_policy_refused{set="live"} 0`, `tokenboundary_ready 1`,
	} {
		require.Contains(t, page, line)
	}

	// What is wrong with the set on trial is its own: the last good one stays on trial.
	w.write("trial/boundary.yaml", "deny: [{rule: broken, when: nonsense}]\n")
	from := w.mark()
	w.signal(syscall.SIGHUP)
	entry := w.await(from, "policy set refused; the last good one stays in force")
	require.Equal(t, "trial", entry["set"])
	require.Contains(t, w.metrics(), `tokenboundary_policy_refused{set="trial"} 1`)
	require.Contains(t, w.metrics(), `tokenboundary_policy_reloads_total{outcome="refused",set="trial"} 1`)
	_, refused := w.health()
	require.Empty(t, refused)
	token, err = w.workerToken("cases:read")
	require.NoError(t, err)
	require.NotNil(t, w.lastShadow(token.AccessToken))

	// A good one replaces it.
	w.write("trial/boundary.yaml", guardrail)
	w.write("trial/agents/support-bot/crm.yaml", leaf)
	w.signal(syscall.SIGHUP)
	w.eventually("the set on trial decides alike", func() bool {
		token, err := w.workerToken("cases:read")
		return err == nil && w.lastShadow(token.AccessToken) == nil
	})
	w.end()
}

// A broken set in force is told in the log, in /healthz and in the metrics, and so is its repair.
func TestARefusedSetIsSeenInTheMetrics(t *testing.T) {
	w := newWorld(t)
	w.write("boundary.yaml", configuration+"metrics: {listen: 127.0.0.1:0}\n")
	w.start()
	w.write(policyFile, strings.Replace(leaf, "session.kind in", "session.kid in", 1))
	from := w.mark()
	w.signal(syscall.SIGHUP)
	w.await(from, "policy set refused; the last good one stays in force")
	_, refused := w.health()
	require.Contains(t, refused, "session.kid")
	require.Contains(t, w.metrics(), `tokenboundary_policy_refused{set="live"} 1`)
	w.write(policyFile, leaf+"# repaired\n")
	w.signal(syscall.SIGHUP)
	w.await(from, reviewed)
	require.Contains(t, w.metrics(), `tokenboundary_policy_refused{set="live"} 0`)
	w.end()
}
