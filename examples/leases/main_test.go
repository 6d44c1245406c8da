package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/pgtest"
)

func TestTheAccountEndsWithTheTask(t *testing.T) {
	t.Setenv("TOKENBOUNDARY_TEST_POSTGRES", pgtest.DSN(t))
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), &out))
	require.Equal(t, `in the task: read 375 euros, may delete: false, account there: true
after the task: connection cut: true, login refused: true, account there: false
`, out.String())
}

func TestWithoutAServerItSaysSo(t *testing.T) {
	t.Setenv("TOKENBOUNDARY_TEST_POSTGRES", "postgres://nobody@127.0.0.1:1/none")
	var out bytes.Buffer
	require.ErrorContains(t, run(t.Context(), &out), "this needs a PostgreSQL server")
	require.Empty(t, out.String())
}
