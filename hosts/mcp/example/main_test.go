package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheScene(t *testing.T) {
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `triage, search: done, with "cases:read" in a task of triage
triage, note: done, with "cases:write" in a task of triage
triage, refund: refused
report, search: done, with "cases:read" in a task of report
report, note: refused
triage, search: the task is over
report, search: done, with "cases:read" in a task of report
`, out.String())
}
