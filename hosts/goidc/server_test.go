package goidc_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestClientCredentialsAreDecided(t *testing.T) {
	w := newWorld(t)
	a := w.granted(w.credentials("tool", "read write"))
	c := a.claims(t)
	require.Equal(t, "read write", c["scope"])
	require.Equal(t, crm, c["aud"])
	require.Equal(t, "tool", c["sub"])
	require.LessOrEqual(t, a.body["expires_in"], 60.0)
	id, err := lineage.ParseID(c["jti"].(string))
	require.NoError(t, err)
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
	require.Contains(t, c["lin"], first.claims(t)["jti"])
	require.Equal(t, typeAccess, second.text("issued_token_type"))

	w.refused(w.exchange("tool", second.text("access_token"), typeAccess, "write", "audience", mail), http.StatusBadRequest, "invalid_target")
	w.refused(w.exchange("", first.text("access_token"), typeAccess, "read"), http.StatusUnauthorized, "invalid_client")
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

func TestARevokedParentIsRefusedAlthoughTheProviderAcceptsIt(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read")).text("access_token")
	child := w.granted(w.exchange("tool", parent, typeAccess, "read")).text("access_token")
	require.Equal(t, true, w.introspect(child).body["active"])

	info, err := w.op.Introspect(w.ctx, parent)
	require.NoError(t, err)
	w.revoke("token:" + info.AdditionalClaims["jti"].(string))
	for _, kind := range []string{typeAccess, tb.TypeJWT, typeID} { // whatever it is said to be
		w.refused(w.exchange("tool", parent, kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "the token is revoked")
	}
	w.refused(w.exchange("sub", child, typeAccess, "read"), http.StatusBadRequest, "invalid_request")
	require.Equal(t, map[string]any{"active": false}, w.introspect(child).body)
	require.Equal(t, map[string]any{"active": false}, w.introspect(parent).body)

	// The provider alone, with the same keys and grants, knows nothing of it.
	info, err = w.op.Introspect(w.ctx, parent)
	require.NoError(t, err)
	require.True(t, info.IsActive)
	alone := newWorld(t, func(o *world) { o.grants = w.grants })
	op, err := alone.provider(provider.WithTokenExchangeGrant(func(ctx context.Context, r goidc.TokenExchangeRequest) (goidc.TokenExchangeResult, error) {
		info, err := w.op.Introspect(ctx, r.SubjectToken)
		require.NoError(t, err)
		require.True(t, info.IsActive)
		return goidc.TokenExchangeResult{Subject: info.Subject}, nil
	}))
	require.NoError(t, err)
	alone.server.Config.Handler = op.Handler()
	alone.granted(alone.exchange("tool", parent, typeAccess, "read"))
}

func TestATokenThatTheProviderRevokedIsNoOutsideCredential(t *testing.T) {
	w := newWorld(t)
	parent := w.granted(w.exchange("orchestrator", human(t, "alice"), typeID, "read"))
	info, err := w.op.Introspect(w.ctx, parent.text("access_token"))
	require.NoError(t, err)
	grant, err := w.grants.Grant(w.ctx, info.GrantID)
	require.NoError(t, err)
	w.granted(w.exchange("tool", parent.text("access_token"), tb.TypeJWT, "read"))
	grant.RevokedAt = 1
	require.NoError(t, w.grants.SaveGrant(w.ctx, grant))
	for _, kind := range []string{typeAccess, tb.TypeJWT, typeID} {
		w.refused(w.exchange("tool", parent.text("access_token"), kind, "read"), http.StatusBadRequest, "invalid_request")
		require.Contains(t, w.denied("tool"), "not acceptable")
	}
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
