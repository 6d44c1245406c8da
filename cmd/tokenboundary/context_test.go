package main_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestASignalRevokesWhatWouldNotBeIssuedNow(t *testing.T) {
	w := newFlows(t)
	get := func(sub, scope string) any {
		t.Helper()
		return w.token(w.exchange(sub, scope), as("agent"))["access_token"]
	}
	risk := func(sub, level string) map[string]any {
		return map[string]any{"selector": "session:session-of-" + sub, "risk": map[string]any{"level": level}}
	}
	w.refused("invalid_scope", w.exchange("alice", "cases:write"), as("agent")) // nothing is known yet
	w.signalled(risk("alice", "low"))
	w.signalled(risk("bob", "low"))
	reads, writes := get("alice", "cases:read"), get("alice", "cases:write")
	others := get("bob", "cases:write")

	_, kept, revoked := w.signalled(risk("alice", "high"))
	require.NotZero(t, kept)
	require.Equal(t, 1.0, revoked)
	w.requireActive(reads)
	w.requireDead(writes)
	w.requireActive(others) // of another session
	w.refused("invalid_scope", w.exchange("alice", "cases:write"), as("agent"))
	get("alice", "cases:read")

	status, _ := w.post("/signals", risk("alice", "low"), as("agent"))
	require.Equal(t, http.StatusForbidden, status)
	status, _ = w.post("/signals", risk("alice", "extreme"), as("ops"))
	require.Equal(t, http.StatusBadRequest, status)

	w.signalled(map[string]any{"selector": "session:session-of-alice", "ended": true})
	w.requireDead(reads)
	w.requireActive(others)

	// A fact of the whole boundary touches everything.
	w.signalled(map[string]any{"env": map[string]any{"tenant_frozen": true}})
	w.requireDead(others)
	w.refused("invalid_target", w.exchange("carol", "cases:read"), as("agent"))
	w.signalled(map[string]any{"env": map[string]any{"tenant_frozen": false}})
	w.requireDead(others) // what is revoked stays so
	fresh := get("carol", "cases:read")
	w.end()
	w.start() // facts are kept
	w.requireActive(fresh)
	w.signalled(map[string]any{"env": map[string]any{"tenant_frozen": true}})
	w.end()
	w.start()
	w.refused("invalid_target", w.exchange("carol", "cases:read"), as("agent"))
}

func TestAnotherPolicyRevokesWhatItWouldNotIssue(t *testing.T) {
	w := newFlows(t)
	get := func(scope string) map[string]any { return w.token(w.exchange("alice", scope), as("agent")) }
	reads, contacts := get("cases:read"), get("contacts:read")
	task := w.token(taskOf(w.exchange("alice", "contacts:read"), "triage"), as("agent"))
	line := w.policy("[cases:read, contacts:read]", "[cases:read]")
	require.NotZero(t, line["kept"])
	require.NotZero(t, line["revoked"])
	w.requireActive(reads["access_token"])
	w.requireDead(contacts["access_token"])
	w.requireDead(task["access_token"])
	require.Equal(t, 2, strings.Count(w.text(), reviewed), "once at the start, once for the change")

	// What it would not have issued is found at a start as well.
	w.end()
	w.write(flowFile, strings.Replace(flowPolicy, "[cases:read, contacts:read]", "[contacts:read]", 1))
	w.start()
	w.requireDead(reads["access_token"])
	fresh := get("contacts:read")
	w.requireActive(fresh["access_token"])

	// The record says why, and by whom it was revoked.
	status, out := w.get("/revocations", as("ops"))
	require.Equal(t, http.StatusOK, status)
	entries := out["entries"].([]any)
	require.Equal(t, "policy-reload", entries[len(entries)-1].(map[string]any)["by"])
}
