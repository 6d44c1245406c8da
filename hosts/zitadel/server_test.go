package zitadel_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestClientCredentialsAreDecided(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.credentials("tool", "read write"))
	c := a.claims(t)
	require.Equal(t, "read write", c["scope"])
	require.Equal(t, []any{crm}, c["aud"])
	require.Equal(t, "tool", c["sub"])
	require.Equal(t, "acme", c["tenant"], "the storage's own claims stay")
	require.NotContains(t, c, "act")
	require.LessOrEqual(t, a.body["expires_in"], 60.0)
	id, err := lineage.ParseID(c["decision_id"].(string))
	require.NoError(t, err)
	require.Equal(t, []string{id.String()}, w.host.saw)
	nodes, err := w.Lineage(w.ctx, ops, id)
	require.NoError(t, err)
	require.Equal(t, lineage.Active, nodes[0].State)
	require.False(t, nodes[0].Record.Body.Unconfirmed)
	require.LessOrEqual(t, int64(c["exp"].(float64)), nodes[0].Record.ExpiresAt.Unix())

	a = w.granted(w.credentials("tool", "read delete"))
	require.Equal(t, "read", a.text("scope"), "narrowed")
	require.Equal(t, "read", a.claims(t)["scope"])

	w.refused(w.credentials("tool", "delete"), http.StatusBadRequest, "invalid_scope")
	require.Contains(t, w.denied("tool"), "nothing is left after narrowing")
	w.policy = func(tb.Facts) tb.Verdict {
		return tb.Verdict{Effect: tb.Deny, Code: tb.CodeInvalidTarget, Path: "/agents/tool"}
	}
	w.refused(w.credentials("tool", "read"), http.StatusBadRequest, "invalid_target")
}

func TestTheHandleOfATokenIsItsID(t *testing.T) {
	w := newWorld(t)
	c := w.granted(w.credentials("tool", "read")).claims(t)
	by := func(handle string) tb.Decision {
		d, err := w.Decide(w.ctx, tb.Request{
			Grant: tb.Exchange, Resource: []string{crm}, Scopes: []string{"read"},
			Client:  tb.Credential{ID: "tool", Verified: &tb.Principal{Party: lineage.Party{ID: "tool", Issuer: issuer}}},
			Subject: tb.Credential{Type: typeAccess, Verified: &tb.Principal{Party: lineage.Party{ID: "tool", Issuer: issuer}, Handle: handle}},
			Enforce: tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord,
		})
		require.NoError(t, err)
		return d
	}
	require.Equal(t, tb.Allow, by(c["jti"].(string)).Effect)
	require.Equal(t, tb.Deny, by("another").Effect)
}

func TestAnExchangeNestsActors(t *testing.T) {
	w := newWorld(t)
	first := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read write"))
	c := first.claims(t)
	require.Equal(t, "alice", c["sub"])
	require.Equal(t, map[string]any{"sub": "orchestrator", "iss": issuer}, c["act"])

	second := w.granted(w.exchange("tool", first.text("access_token"), typeAccess, "read write delete"))
	c = second.claims(t)
	require.Equal(t, "alice", c["sub"])
	require.Equal(t, "read write", c["scope"], "no more than the parent")
	require.Equal(t, map[string]any{"sub": "tool", "iss": issuer, "act": map[string]any{"sub": "orchestrator", "iss": issuer}}, c["act"])
	require.Equal(t, first.claims(t)["txn"], c["txn"], "the root grant")
	require.Contains(t, c["lin"], first.claims(t)["decision_id"])
	require.Equal(t, typeAccess, second.text("issued_token_type"))
	require.Empty(t, second.text("refresh_token"))

	w.refused(w.exchange("tool", second.text("access_token"), typeAccess, "write", "audience", mail), http.StatusBadRequest, "invalid_target")
	a := w.exchange("", first.text("access_token"), typeAccess, "read")
	require.Equal(t, http.StatusBadRequest, a.status)
	require.Empty(t, a.text("access_token"))
}

func TestAnActorTokenIsTheClientsOwn(t *testing.T) {
	w := newWorld(t)
	own, others := w.granted(w.credentials("tool", "read")), w.granted(w.credentials("sub", "read"))
	subject := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	a := w.granted(w.exchange("tool", subject, typeAccess, "read", "actor_token", own.text("access_token"), "actor_token_type", typeAccess))
	require.Equal(t, "tool", a.claims(t)["act"].(map[string]any)["sub"])
	a = w.exchange("tool", subject, typeAccess, "read", "actor_token", others.text("access_token"), "actor_token_type", typeAccess)
	w.refused(a, http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not a token of this client for itself")
}

func TestARevokedParentIsRefusedAlthoughTheServerAcceptsIt(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
	child := w.granted(w.exchange("tool", parent.text("access_token"), typeAccess, "read"))
	require.Equal(t, true, w.introspect(child.text("access_token")).body["active"])

	w.revoke("token:" + parent.claims(t)["decision_id"].(string))
	for _, kind := range []string{typeAccess, typeID} { // whatever it is said to be; the server knows no other kind
		w.refused(w.exchange("tool", parent.text("access_token"), kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "the token is revoked")
	}
	w.refused(w.exchange("sub", child.text("access_token"), typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("sub"), "the token is revoked")
	for _, token := range []answer{parent, child} {
		require.Equal(t, map[string]any{"active": false}, w.introspect(token.text("access_token")).body)
	}

	// The server alone, with the same keys and rows, exchanges it and calls it active.
	alone := httptest.NewServer(op.RegisterLegacyServer(op.NewLegacyServer(w.provider, *op.DefaultEndpoints), nil))
	defer alone.Close()
	w.server = alone
	w.granted(w.exchange("tool", parent.text("access_token"), typeAccess, "read"))
	require.Equal(t, true, w.introspect(parent.text("access_token")).body["active"])
}

func TestATokenThatIsNotVerifiedIsNoOutsideCredential(t *testing.T) {
	w := newWorld(t)
	token := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	w.granted(w.exchange("tool", token, typeAccess, "read"))
	for _, kind := range []string{typeAccess, typeID} {
		w.refused(w.exchange("tool", token[:len(token)-8]+"AAAAAAAA", kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "not acceptable")
	}
}

func TestWhatSaysThatItWasDecidedIsNoIDToken(t *testing.T) {
	w := newWorld(t)
	key, err := w.host.SigningKey(w.ctx)
	require.NoError(t, err)
	now := clock.New().Now().Unix()
	claims := map[string]any{"iss": issuer, "aud": crm, "sub": "bob", "iat": now, "exp": now + 600, "auth_time": now}
	own := jose.JSONWebKey{Key: key.Key(), KeyID: key.ID()}
	w.granted(w.exchange("tool", signed(t, own, claims), typeID, "read"))
	claims["decision_id"] = "x" // as in a token of an undecided grant, from a storage that has a claim of that name
	w.refused(w.exchange("tool", signed(t, own, claims), typeID, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("tool"), "not acceptable")
}

func TestATaskRidesAlong(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read",
		"authorization_details", `[{"type":"task","purpose":"triage"}]`))
	task := a.claims(t)["task"].(map[string]any)
	require.Equal(t, "triage", task["purpose"])
	child := w.granted(w.exchange("tool", a.text("access_token"), typeAccess, "read"))
	require.Equal(t, task, child.claims(t)["task"])
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", a.text("access_token"))).status)
	id, err := lineage.ParseID(task["id"].(string))
	require.NoError(t, err)
	got, err := w.Task(w.ctx, ops, id)
	require.NoError(t, err)
	require.Equal(t, tb.TaskRevoked, got.State)
	require.Equal(t, false, w.introspect(child.text("access_token")).body["active"])
}

func TestRevocationReachesTheBoundary(t *testing.T) {
	w := newWorld(t)
	first := w.granted(w.credentials("orchestrator", "read")).text("access_token")
	child := w.granted(w.exchange("tool", first, typeAccess, "read")).text("access_token")
	w.post("/revoke", "tool", form("token", first))
	require.Equal(t, true, w.introspect(child).body["active"], "another's token")
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", first)).status)
	require.Equal(t, false, w.introspect(child).body["active"])
	w.refused(w.exchange("sub", child, typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Contains(t, w.denied("sub"), "the token is revoked")
	require.Equal(t, http.StatusOK, w.post("/revoke", "orchestrator", form("token", "nothing")).status)
}

func TestUserinfoFollowsTheBoundary(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
	ask := func() answer {
		r, err := http.NewRequestWithContext(w.ctx, http.MethodGet, w.server.URL+"/userinfo", nil)
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer "+a.text("access_token"))
		return w.send(r)
	}
	require.Equal(t, "alice", ask().text("sub"))
	w.revoke("subject:alice")
	require.Equal(t, http.StatusUnauthorized, ask().status)
}

// TestIntrospectionAsksAgainWhenTheRecheckIntervalIsOver: what would not be issued now is inactive, and still on record.
func TestIntrospectionAsksAgainWhenTheRecheckIntervalIsOver(t *testing.T) {
	w := newWorld(t)
	free := w.granted(w.credentials("tool", "read")).text("access_token")
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		v.Recheck = time.Millisecond
		return v
	}
	tok := w.granted(w.credentials("tool", "read")).text("access_token")
	require.Equal(t, true, w.introspect(tok).body["active"], "it would be issued again")
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	inactive := func() bool { return w.introspect(tok).body["active"] == false }
	require.Eventually(t, inactive, time.Minute, time.Millisecond)
	require.Equal(t, true, w.introspect(free).body["active"], "one without an interval is relied on")
}
