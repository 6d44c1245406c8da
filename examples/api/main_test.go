package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheStory is told as it should be, and no secret or token in it.
func TestTheStory(t *testing.T) {
	var out strings.Builder
	run(t.Context(), &out)
	const at = `resource_metadata="https://crm.example.com/.well-known/oauth-protected-resource"`
	require.Equal(t, `without a token:
	401 Bearer scope="cases:read", `+at+`
with the task's token:
	200 two cases, for support-bot in a task of triage
what it was not granted:
	403 Bearer error="insufficient_scope", error_description="The access token lacks a scope", scope="cases:delete", `+at+`
after the task is complete:
	401 Bearer error="invalid_token", error_description="The access token is not acceptable", `+at+`
`, out.String())
}
