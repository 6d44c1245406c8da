package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheScene(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `planner, for itself: [cases:read cases:write]
worker, for the planner: [cases:read]
worker, after the planner's tokens were revoked: invalid_request
`, out.String())
}
