package main_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARefreshTokenIsGoodOnceAndForLess(t *testing.T) {
	w := newFlows(t)
	first := w.token(w.exchange("alice", "cases:read contacts:read"), as("agent"))
	require.NotEmpty(t, first["refresh_token"])

	// A stranger's attempt burns nothing.
	w.refused("invalid_grant", refresh(first["refresh_token"], ""), as("tool"))
	w.refused("invalid_scope", refresh(first["refresh_token"], "cases:delete"), as("agent"))
	less := w.token(refresh(first["refresh_token"], "cases:read"), as("agent"))
	require.Equal(t, "cases:read", less["scope"])
	require.NotEqual(t, first["refresh_token"], less["refresh_token"])
	require.Equal(t, "alice", w.introspect(less["access_token"])["sub"])

	w.end()
	w.start() // what was rotated is durable, and the full grant is kept
	full := w.token(refresh(less["refresh_token"], ""), as("agent"))
	require.Equal(t, "cases:read contacts:read", full["scope"])
	w.requireActive(full["access_token"])
	w.requireActive(first["access_token"])

	w.kill()
	w.start()
	w.refused("invalid_grant", refresh(less["refresh_token"], ""), as("agent")) // used before the crash
	w.refused("invalid_grant", refresh(full["refresh_token"], ""), as("agent")) // so that reuse has killed the family
	w.requireDead(full["access_token"])

	for _, answer := range []map[string]any{first, less, full} {
		require.NotContains(t, w.text(), answer["refresh_token"])
	}

	// A scope of a rule that does not say so has no refresh token.
	w.signalled(map[string]any{"selector": "session:session-of-bob", "risk": map[string]any{"level": "low"}})
	require.Nil(t, w.token(w.exchange("bob", "cases:write"), as("agent"))["refresh_token"])
}

func TestARefreshIsDecidedAnew(t *testing.T) {
	w := newFlows(t)
	first := w.token(w.exchange("alice", "cases:read contacts:read"), as("agent"))
	w.policy(`when: "true"`, `when: grant != "refresh_token"`)
	w.refused("invalid_scope", refresh(first["refresh_token"], ""), as("agent"))
	w.refused("invalid_scope", refresh(first["refresh_token"], ""), as("agent"))
	w.policy()
	again := w.token(refresh(first["refresh_token"], ""), as("agent")) // a denial consumed nothing

	// A policy that allows none of it costs the tokens, and not the grant.
	line := w.policy(`when: "true"`, `when: "false"`)
	require.NotZero(t, line["revoked"])
	w.requireDead(again["access_token"])
	w.refused("invalid_scope", refresh(again["refresh_token"], ""), as("agent"))
	w.policy()
	w.requireDead(again["access_token"])
	w.token(refresh(again["refresh_token"], ""), as("agent"))
}
