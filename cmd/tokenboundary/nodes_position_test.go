package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
)

// copySchema returns a function that puts a schema of the test database back as it is now, as from a backup.
func copySchema(t testing.TB, schema string) (restore func()) {
	t.Helper()
	tables := query(t, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = '"+schema+
		"' AND table_name IN ('issuers', 'records', 'carriers', 'heads', 'marks', 'revocations')")
	require.Len(t, tables, 6)
	saved := schema + "_copy"
	statements := []string{"CREATE SCHEMA " + saved}
	for _, table := range tables {
		statements = append(statements, fmt.Sprintf("CREATE TABLE %s.%s AS TABLE %s.%[2]s", saved, table, schema))
	}
	execute(t, statements...)
	t.Cleanup(func() { execute(t, "DROP SCHEMA "+saved+" CASCADE") })
	return func() {
		statements := []string{"BEGIN"}
		for _, table := range tables {
			statements = append(statements, fmt.Sprintf("TRUNCATE %s.%s", schema, table),
				fmt.Sprintf("INSERT INTO %s.%s OVERRIDING SYSTEM VALUE TABLE %s.%[2]s", schema, table, saved))
		}
		execute(t, append(statements, "COMMIT")...)
	}
}

// refuses requires that a node does not start because the store has lost entries.
func (w *world) refuses() {
	w.t.Helper()
	_, stderr, code := command(w.t.(*testing.T), "serve", "--config", w.config())
	require.Equal(w.t, 1, code)
	require.Contains(w.t, stderr, "an older copy of it")
	require.Contains(w.t, stderr, "--accept-store")
}

// fresh returns a token, as soon as the node has a key again.
func (w *world) fresh(sub string) (token any) {
	w.t.Helper()
	w.eventually("a new key signs", func() bool {
		status, body := w.form("/token", w.exchange(sub, "cases:read"), as("agent"))
		token = body["access_token"]
		return status == http.StatusOK
	})
	return token
}

// TestANodeThatJoinsOrStartsAgainIsNoLoss: whatever the others have written meanwhile.
func TestANodeThatJoinsOrStartsAgainIsNoLoss(t *testing.T) {
	schema, provider := newSchema(t), newKey(t, "idp-1")
	a, b := node(t, schema, provider).start(), node(t, schema, provider)
	a.revoke(map[string]any{"selector": "subject:first"})
	b.write("signing/position.json", // broke off its first start, on a store to which another node gave its id meanwhile
		`{"node":"b","seq":0,"store":"never written","mark":"never written","was":{"store":"","mark":""}}`)
	b.start() // for the first time, on a store that is in use
	a.end()
	b.revoke(map[string]any{"selector": "subject:second"})
	b.end()
	b.start()
	a.start()
	require.Equal(t, a.entriesOf(), b.entriesOf())
	require.Len(t, a.entriesOf(), 2)
	b.kill()
	b.start()
}

// TestEveryNodeNoticesARestoredDatabase, and each is told that it is accepted; what the first of them has made since stays.
func TestEveryNodeNoticesARestoredDatabase(t *testing.T) {
	schema, provider := newSchema(t), newKey(t, "idp-1")
	a, b := node(t, schema, provider).start(), node(t, schema, provider).start()
	kept, revoked := a.hold("alice"), b.hold("bob")
	a.revoke(map[string]any{"selector": "subject:carol"})
	a.end()
	b.end()
	a.start() // so that the copy has the marks of both nodes' last starts
	b.start()
	restore := copySchema(t, schema)
	a.requireActive(kept.token)
	a.revoke(map[string]any{"selector": "token:" + revoked.claims["jti"].(string)})
	b.requireDead(revoked.token)
	from := b.entriesOf()
	require.Len(t, from, 2)
	a.end() // an orderly end notes the last place
	b.end()

	restore()
	require.Len(t, query(t, "SELECT seq::text FROM "+schema+".revocations"), 1, "control: the entry is lost")
	a.refuses()
	b.refuses()
	a.start("--accept-store")
	a.requireDead(revoked.token)
	a.requireDead(kept.token)                 // nothing tells it from one whose revocation was lost
	for _, h := range []held{kept, revoked} { // nor this from one that was used up
		a.refused("invalid_grant", refresh(h.refresh, ""), as("agent"))
	}
	fresh := a.fresh("dave")
	a.requireActive(fresh)

	b.refuses() // it was not told
	b.start("--accept-store")
	b.requireDead(revoked.token)
	b.requireDead(kept.token)
	a.requireActive(fresh) // what was accepted once is not ended again
	b.requireActive(b.fresh("erin"))
	for _, w := range []*world{a, b} {
		w.end()
		w.start() // what was accepted is known from now on
		w.requireActive(fresh)
		w.requireDead(revoked.token)
	}
}

// TestAKeyThatARestoredDatabaseDoesNotKnowIsNotTrustedAgain: one that a node made after the copy.
func TestAKeyThatARestoredDatabaseDoesNotKnowIsNotTrustedAgain(t *testing.T) {
	schema, provider := newSchema(t), newKey(t, "idp-1")
	a := node(t, schema, provider).start()
	restore := copySchema(t, schema)
	b := node(t, schema, provider).start()
	kid := kidOf(t, b.hold("alice").token)
	require.Contains(t, a.kids(), kid, "control: it was published")
	a.revoke(map[string]any{"selector": "subject:bob"})
	a.end()
	b.end()

	restore()
	a.start("--accept-store")
	require.NotContains(t, a.kids(), kid)
	b.refuses()
	require.NotContains(t, a.kids(), kid, "who is refused publishes nothing")
	b.start("--accept-store")
	require.NotContains(t, a.kids(), kid)
	require.NotEqual(t, kid, kidOf(t, b.fresh("carol").(string)))
	require.Contains(t, a.entriesOf()[len(a.entriesOf())-1], " key:"+kid, "those who verify offline are told")
}

// TestADatabaseThatIsRestoredUnderRunningNodesStopsThem: all of them, whatever each of them had seen.
func TestADatabaseThatIsRestoredUnderRunningNodesStopsThem(t *testing.T) {
	for name, since := range map[string]func(a, b *world){
		"a revocation is lost": func(a, b *world) {
			a.revoke(map[string]any{"selector": "subject:alice"})
			for _, w := range []*world{a, b} {
				w.eventually("the place is noted", func() bool { return w.noted() > 0 })
			}
		},
		"a start is lost": func(a, b *world) {
			for _, w := range []*world{a, b} {
				w.end()
				w.start()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			schema, provider := newSchema(t), newKey(t, "idp-1")
			a, b := node(t, schema, provider).start(), node(t, schema, provider).start()
			restore := copySchema(t, schema)
			since(a, b)
			restore()
			for _, w := range []*world{a, b} {
				w.stops("an older copy of it")
				w.refuses()
			}
		})
	}
}

// TestAStoreThatIsAcceptedStopsTheOtherNodes: also those that have seen no entry that it lacks.
func TestAStoreThatIsAcceptedStopsTheOtherNodes(t *testing.T) {
	schema, provider := newSchema(t), newKey(t, "idp-1")
	a, b := node(t, schema, provider).start(), node(t, schema, provider).start()
	kept := a.hold("alice")
	b.end()
	var s map[string]any
	require.NoError(t, json.Unmarshal(b.file("signing/position.json"), &s))
	s["mark"] = "of a start that the store has lost"
	raw, err := json.Marshal(s)
	require.NoError(t, err)
	b.write("signing/position.json", string(raw))
	b.refuses()
	require.Zero(t, a.noted(), "control: there is nothing to miss")
	a.requireActive(kept.token)

	b.start("--accept-store")
	a.stops("an older copy of it")
	a.refuses()
	a.start("--accept-store")
	b.requireActive(a.fresh("bob"))
	b.requireDead(kept.token)
}

// TestTwoNodesDoNotShareASigningDirectory: the one that was there first ends.
func TestTwoNodesDoNotShareASigningDirectory(t *testing.T) {
	a := node(t, newSchema(t), newKey(t, "idp-1")).start()
	first := a.process
	a.start()
	first.stops("another node was started with the signing directory of this one")
	a.token(a.exchange("alice", "cases:read"), as("agent"))
}

// noted returns the place in the feed that a node has written down.
func (w *world) noted() float64 {
	w.t.Helper()
	var s map[string]any
	require.NoError(w.t, json.Unmarshal(w.file("signing/position.json"), &s))
	return s["seq"].(float64)
}
