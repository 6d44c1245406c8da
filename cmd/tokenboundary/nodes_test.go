package main_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// node returns what one more node on the schema of the test database needs: a directory with its own signing keys, and what
// all nodes have in common.
func node(t testing.TB, schema string, provider key, replace ...string) *world {
	t.Helper()
	dsn, password := withPassword(t)
	canaries.Plant("password of the database", password)
	w := flows(t, provider)
	w.write("dsn.secret", dsn+"\n")
	config := strings.Replace(flowConfiguration, "{bolt: {path: boundary.db}}", "{postgres: {dsn_file: dsn.secret, schema: "+schema+"}}", 1)
	require.NotEqual(t, flowConfiguration, config)
	w.write("boundary.yaml", strings.NewReplacer(replace...).Replace(config))
	return w
}

// newNodes starts two nodes on one new schema.
func newNodes(t testing.TB, replace ...string) (a, b *world) {
	t.Helper()
	schema, provider := newSchema(t), newKey(t, "idp-1")
	a, b = node(t, schema, provider, replace...), node(t, schema, provider, replace...)
	var started sync.WaitGroup
	for _, w := range []*world{a, b} {
		started.Go(func() { w.start() }) // both at once, on a database that has nothing
	}
	started.Wait()
	return a, b
}

// revoke posts a revocation and requires that it is accepted.
func (w *world) revoke(entry map[string]any) {
	w.t.Helper()
	status, out := w.post("/revocations", entry, as("ops"))
	require.Equal(w.t, http.StatusCreated, status, "%v", out)
}

// held is what the agent has in the name of a person.
type held struct {
	sub, token, refresh, task string
	claims                    map[string]any
}

// hold starts a task in the name of a person.
func (w *world) hold(sub string) held {
	w.t.Helper()
	out := w.token(taskOf(w.exchange(sub, "cases:read"), "triage"), as("agent"))
	token := out["access_token"].(string)
	return held{sub, token, out["refresh_token"].(string), out["task_id"].(string), w.introspect(token)}
}

// TestNothingRevokedIsActiveOnAnotherNode: for each kind of selector, at the moment at which the answer of one node has come,
// another one neither introspects nor exchanges nor refreshes what it names, and, of a block, issues nothing new.
func TestNothingRevokedIsActiveOnAnotherNode(t *testing.T) {
	a, b := newNodes(t)
	for _, c := range []struct {
		kind      string
		value     func(held) string
		issues    string // the code by which b refuses to issue; empty where that begins something else
		refreshes string // the code by which it refuses to refresh, if it is another one
		absolute  bool   // it cannot be blocked, since it never comes back
		all       bool   // it also cuts what a bystander has
	}{
		{kind: "token", value: func(h held) string { return h.claims["jti"].(string) }, absolute: true},
		{kind: "task", value: func(h held) string { return h.task }, absolute: true},
		{kind: "grant", value: func(h held) string { return h.claims["txn"].(string) }, absolute: true},
		{kind: "session", value: func(h held) string { return h.claims["sid"].(string) }, issues: "invalid_request", absolute: true},
		{kind: "subject", value: func(h held) string { return h.sub }, issues: "invalid_request"},
		{kind: "actor", value: func(held) string { return "agent" }, issues: "invalid_request", all: true},
		{kind: "client", value: func(held) string { return "agent" }, issues: "unauthorized_client", refreshes: "unauthorized_client", all: true},
		{kind: "connection", value: func(held) string { return "crm" }, issues: "invalid_target", all: true},
		{kind: "path", value: func(held) string { return "/crm" }, issues: "invalid_target", all: true},
	} {
		t.Run(c.kind, func(t *testing.T) {
			a, b := a.in(t), b.in(t)
			mine, other := a.hold("subject-of-"+c.kind), b.hold("bystander-of-"+c.kind)
			derived := b.token(derive(mine.token, "cases:read"), as("tool"))["access_token"]
			b.requireActive(mine.token) // control: what one node has signed is active on the other, and derived from
			b.requireActive(derived)

			selector := c.kind + ":" + c.value(mine)
			a.revoke(map[string]any{"selector": selector, "reason": "a test", "block": !c.absolute})
			b.requireDead(mine.token)
			b.requireDead(derived)
			b.refused("invalid_request", derive(mine.token, "cases:read"), as("tool"))
			if c.kind != "token" { // a task token alone: its task and its grant live
				code := c.refreshes
				if code == "" {
					code = "invalid_grant"
				}
				b.refused(code, refresh(mine.refresh, ""), as("agent"))
			}
			if c.all {
				b.requireDead(other.token)
			} else {
				b.requireActive(other.token)
				b.token(derive(other.token, "cases:read"), as("tool"))
				b.token(refresh(other.refresh, ""), as("agent"))
			}
			if c.issues != "" {
				b.refused(c.issues, b.exchange(mine.sub, "cases:read"), as("agent"))
			} else {
				b.token(b.exchange(mine.sub, "cases:read"), as("agent"))
			}
			if c.absolute {
				return
			}
			b.revoke(map[string]any{"selector": selector, "lift": true})
			a.requireDead(mine.token) // what is dead stays dead
			a.eventually("what starts after the lift is issued", func() bool {
				status, out := a.form("/token", a.exchange(mine.sub, "cases:read"), as("agent"))
				return status == http.StatusOK && b.introspect(out["access_token"])["active"] == true
			})
		})
	}
}

// in returns w for a subtest.
func (w *world) in(t testing.TB) *world {
	copied := *w
	copied.t = t
	return &copied
}

// kids returns the ids of the keys that a node publishes.
func (w *world) kids() (out []string) {
	w.t.Helper()
	status, set := w.get("/jwks.json")
	require.Equal(w.t, http.StatusOK, status)
	for _, k := range set["keys"].([]any) {
		out = append(out, k.(map[string]any)["kid"].(string))
	}
	return out
}

// TestNodesShareTheirKeys, and what is revoked of them is gone everywhere at once.
func TestNodesShareTheirKeys(t *testing.T) {
	a, b := newNodes(t)
	ofA, ofB := a.hold("alice"), b.hold("bob")
	kidA, kidB := kidOf(t, ofA.token), kidOf(t, ofB.token)
	require.NotEqual(t, kidA, kidB, "each node signs with its own key")
	require.ElementsMatch(t, []string{kidA, kidB}, a.kids())
	require.ElementsMatch(t, []string{kidA, kidB}, b.kids())
	b.requireActive(ofA.token)
	a.requireActive(ofB.token)
	derived := b.token(derive(ofA.token, "cases:read"), as("tool"))["access_token"].(string)
	require.Equal(t, kidB, kidOf(t, derived))
	a.requireActive(derived)

	b.revoke(map[string]any{"selector": "key:" + kidA, "reason": "its file was copied"})
	for _, w := range []*world{a, b} {
		require.NotContains(t, w.kids(), kidA)
		require.Contains(t, w.kids(), kidB)
		w.requireDead(ofA.token)
		w.requireDead(derived) // of a token of that key
		w.requireActive(ofB.token)
		w.refused("invalid_request", derive(ofA.token, "cases:read"), as("tool"))
		w.token(derive(ofB.token, "cases:read"), as("tool"))
	}
	a.eventually("the node signs with a new key", func() bool {
		status, out := a.form("/token", a.exchange("carol", "cases:read"), as("agent"))
		if status != http.StatusOK {
			require.Equal(t, http.StatusServiceUnavailable, status, "%v", out)
			return false
		}
		fresh := out["access_token"].(string)
		require.NotContains(t, []string{kidA, kidB}, kidOf(t, fresh), "never with the one that was revoked")
		b.requireActive(fresh)
		return true
	})
}

// TestNodesShareFacts: what is signalled to one node is decided on by the other.
func TestNodesShareFacts(t *testing.T) {
	a, b := newNodes(t)
	before := b.token(b.exchange("alice", "cases:read"), as("agent"))["access_token"]
	b.refused("invalid_scope", b.exchange("alice", "cases:write"), as("agent"))
	risk := func(level string) map[string]any {
		return map[string]any{"selector": "session:session-of-alice", "risk": map[string]any{"level": level}}
	}
	a.signalled(risk("low"))
	b.token(b.exchange("alice", "cases:write"), as("agent"))

	examined, _, revoked := a.signalled(map[string]any{"env": map[string]any{"tenant_frozen": true}})
	require.Equal(t, examined, revoked)
	b.requireDead(before)
	b.refused("invalid_target", b.exchange("alice", "cases:read"), as("agent"))
	b.signalled(map[string]any{"env": map[string]any{"tenant_frozen": false}})
	a.token(a.exchange("alice", "cases:read"), as("agent"))
}

// form of a task with a budget.
func budgeted(form url.Values, n string) url.Values {
	form.Set("authorization_details", `[{"type":"task","purpose":"triage","expires_in":900,"max_derivations":`+n+`}]`)
	return form
}
