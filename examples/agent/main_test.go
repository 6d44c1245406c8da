package main

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheAgentWorksWithNarrowTokens(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `triage: GET /cases: served with cases:read
triage: POST /cases: served with cases:write
triage: DELETE /cases: refused by the boundary, before the call
report: GET /cases: served with cases:read
triage: GET /cases: the task is over
report: GET /cases: served with cases:read
`, out.String())
}

func TestAnAgentThatMayNotStartSaysSo(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	require.ErrorIs(t, run(ctx, &out), context.Canceled)
	require.Empty(t, out.String())
}
