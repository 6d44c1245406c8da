package gate_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/gate"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestAServerThatRecordsIsToldToNarrow(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Generic{})
	r := w.call(url, w.fixture("generic", "scopes", []string{"read", "admin"}))
	require.Equal(t, 200, r.status, r.raw)
	require.Equal(t, true, r.at("allow"))
	require.Equal(t, []any{"read"}, r.at("scopes"))
	require.Equal(t, []any{crm}, r.at("resource"))
	require.Equal(t, json.Number("1772366700"), r.at("expires_at"))
	require.Equal(t, "bot", r.at("subject"))
	require.Empty(t, w.records(lineage.KindToken), "nothing is recorded before it is minted")

	recording := map[string]any{"record": r.at("pending"), "handle": "token-1"}
	require.Equal(t, map[string]any{"recorded": true}, w.call(url, recording).body)
	require.Equal(t, map[string]any{"recorded": true}, w.call(url, recording).body, "the repeat of a lost answer")
	require.False(t, w.recorded(r.at("decision")).Body.Unconfirmed)
	again := w.call(url, map[string]any{"record": r.at("pending"), "handle": "token-2"})
	require.Equal(t, 409, again.status, "another handle")
	require.Nil(t, again.at("recorded"))

	derived := w.fixture("generic", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject", map[string]any{"handle": "token-1"})
	require.Equal(t, true, w.call(url, derived).at("allow"))
	derived["subject"] = map[string]any{"handle": "token-2"}
	w.denied(tb.CodeInvalidRequest, "no decision has this handle", func() {
		require.Equal(t, "invalid_request", w.call(url, derived).at("error"))
	})
}

func TestRecordIsForWhatWasDecidedHere(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Generic{})
	decided := func() map[string]any { return w.call(url, w.fixture("generic")).at("pending").(map[string]any) }
	record := func(pending any) reply { return w.call(url, map[string]any{"record": pending, "handle": "h"}) }
	p := decided()
	p["pending"].(map[string]any)["mac"] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	require.Equal(t, 400, record(p).status)
	require.Equal(t, 400, record(map[string]any{}).status)
	require.Equal(t, 400, record("x").status)
	require.Equal(t, 400, w.call(url, map[string]any{"record": decided(), "handle": ""}).status)
	require.Equal(t, 400, w.call(url, map[string]any{"record": decided(), "handle": "h", "client_id": "bot"}).status, "one call or the other")

	p = decided()
	w.revoke("client:bot")
	require.Equal(t, 409, record(p).status, "revoked in between")
	w.clock.Add(time.Minute)
	p = decided()
	w.clock.Add(61 * time.Second)
	require.Equal(t, 409, record(p).status, "too late")
	p = decided()
	w.store.writes.Store(true)
	require.Equal(t, 503, record(p).status)
	w.store.writes.Store(false)
	require.Equal(t, 200, record(p).status, "positive control")
}

func TestAServerThatCannotRecordIsUnconfirmed(t *testing.T) {
	w := newWorld(t)
	r := w.call(w.hook(gate.Generic{}), w.fixture("generic", "enforce", []string{"scopes", "resources", "lifetime"}))
	require.Nil(t, r.at("pending"))
	require.True(t, w.recorded(r.at("decision")).Body.Unconfirmed)
}

func TestAGenericRefreshAndTask(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Generic{})
	person := map[string]any{"id": "alice", "issuer": "https://idp.example", "kind": "human", "session": "s-alice", "auth_time": w.clock.Now().Unix() - 60, "acr": "mfa"}
	caps := []string{"scopes", "resources", "lifetime"}
	start := w.fixture("generic", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject", person, "enforce", caps,
		"task", map[string]any{"purpose": "triage", "expires_in": 900, "max_derivations": 1, "context": map[string]any{"ticket": 7},
			"authority": []any{map[string]any{"resource": crm, "scopes": []string{"read"}}}})
	r := w.call(url, start)
	require.Equal(t, true, r.at("allow"), r.raw)
	require.Equal(t, "alice", r.at("subject"))
	require.Equal(t, []any{"bot"}, r.at("actors"))
	rec := w.recorded(r.at("decision"))
	require.Equal(t, rec.TaskID().String(), r.at("task"))
	require.Equal(t, "triage", rec.Body.Task.Purpose)
	require.Equal(t, "mfa", rec.Body.Session.ACR)

	derive := w.fixture("generic", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject", map[string]any{"decision": r.at("decision")}, "enforce", caps)
	require.Equal(t, true, w.call(url, derive).at("allow"))
	w.denied(tb.CodeInvalidRequest, "no derivation left", func() { require.Equal(t, false, w.call(url, derive).at("allow")) })

	refresh := w.fixture("generic", "grant_type", "refresh_token", "family", r.at("family"), "resource", nil, "scopes", nil, "enforce", caps)
	again := w.call(url, refresh)
	require.Equal(t, true, again.at("allow"), again.raw)
	require.Equal(t, r.at("family"), again.at("family"))
	w.revoke("session:s-alice")
	w.denied(tb.CodeInvalidGrant, "revoked", func() { require.Equal(t, "invalid_grant", w.call(url, refresh).at("error")) })
	refresh["subject"] = person
	w.denied(tb.CodeInvalidRequest, "malformed", func() { require.Equal(t, "invalid_request", w.call(url, refresh).at("error")) })
}

func TestWhatAGenericServerSendsIsExact(t *testing.T) {
	w := newWorld(t)
	url := w.hook(gate.Generic{})
	for why, changes := range map[string][]any{
		"a member is not known":  {"scope", "read"},
		"client_id is missing":   {"client_id", ""},
		"enforce is malformed":   {"enforce", []string{"scopes", "everything"}},
		"lifetime is malformed":  {"lifetime", -1},
		"lifetime is mal":        {"lifetime", 1e12},
		"lifetime is m":          {"lifetime", 1.5},
		"subject is malformed":   {"subject", map[string]any{"decision": "", "handle": ""}},
		"subject is mal":         {"subject", map[string]any{"id": "alice", "handle": "h"}},
		"subject is m":           {"subject", map[string]any{"token": "t"}},
		"a member is not":        {"subject", map[string]any{"id": "alice", "admin": true}},
		"decision is malformed":  {"subject", map[string]any{"decision": "x"}},
		"family is malformed":    {"family", "x"},
		"a member is":            {"task", map[string]any{"purpose": "x", "forever": true}},
		"max_derivations is":     {"task", map[string]any{"purpose": "x", "max_derivations": -1}},
		"authority is malformed": {"task", map[string]any{"purpose": "x", "authority": map[string]any{}}},
		"a member":               {"task", map[string]any{"purpose": "x", "authority": []any{map[string]any{"scope": "read"}}}},
		"details":                {"resource", map[string]any{}},
	} {
		r := w.call(url, w.fixture("generic", changes...))
		require.Equal(t, 400, r.status, r.raw)
		if why != "details" {
			require.Contains(t, r.at("error_description"), why)
		}
	}
	require.Empty(t, w.facts)
	for _, grant := range []any{"password", "", nil} {
		w.denied(tb.CodeUnauthorizedClient, "malformed", func() {
			require.Equal(t, "unauthorized_client", w.call(url, w.fixture("generic", "grant_type", grant)).at("error"))
		})
	}
	family := w.fixture("generic", "family", w.start("bot").ID.String())
	w.denied(tb.CodeInvalidRequest, "malformed", func() { require.Equal(t, false, w.call(url, family).at("allow")) })
	w.denied(tb.CodeInvalidRequest, "not acceptable", func() { // verified by the boundary, and by nobody else
		w.call(url, w.fixture("generic", "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange",
			"subject", map[string]any{"token": "canary-of-a-person", "token_type": tb.TypeJWT}))
	})
	require.Equal(t, true, w.call(url, w.fixture("generic")).at("allow"), "positive control")
}
