package main_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheStoreOfAServerVerifies: the server keeps its file to itself; when it has ended, the store is clean, and a token that
// somebody kept leads to its chain.
func TestTheStoreOfAServerVerifies(t *testing.T) {
	w := flows(t, newKey(t, "idp-1"))
	w.start()
	alice := w.hold("alice")
	derived := w.token(derive(alice.token, "cases:read"), as("tool"))["access_token"].(string)
	w.revoke(map[string]any{"selector": "subject:bob"})
	_, stderr, code := command(t, "lineage", "verify", "--config", w.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "already open: a server that runs keeps it to itself. Ask the server (GET /lineage)")
	w.end()

	stdout, stderr, code := command(t, "lineage", "verify", "--config", w.config())
	require.Zero(t, code, stdout+stderr)
	require.Contains(t, stdout, "\n0 findings; 0 pruned ancestors; ")
	stdout, stderr, code = command(t, "lineage", "trace", "--config", w.config(), derived)
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, "each verifies against those above it")
	for _, part := range strings.Split(derived, ".") {
		require.NotContains(t, stdout+stderr, part)
	}
	stdout, stderr, code = command(t, "lineage", "inventory", "--config", w.config())
	require.Zero(t, code, stderr)
	require.Contains(t, stdout, " alive\n")
	stdout, _, code = command(t, "help")
	require.Zero(t, code)
	require.Contains(t, stdout, "tokenboundary lineage verify ")
}
