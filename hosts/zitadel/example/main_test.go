package main

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheScene(t *testing.T) {
	slog.SetDefault(slog.New(slog.DiscardHandler))
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `sid1, for itself: [cases:read cases:write]
worker, for sid1: [cases:read]
worker, after the tokens of sid1 were revoked: invalid_request
`, out.String())
}
