package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAPersonIsErased: what lives is cut first; then nothing says who it was, also after a restart, and the chain verifies.
func TestAPersonIsErased(t *testing.T) {
	w := flows(t, newKey(t, "idp-1"))
	w.write("boundary.yaml", flowConfiguration+"retention: {keep: 1h}\n")
	w.start()
	alice, bob := w.hold("alice"), w.hold("bob")
	sub := alice.claims["sub"].(string)
	erase := func() map[string]any {
		status, out := w.post("/erasures", map[string]any{"selector": "subject:" + sub}, as("ops"))
		require.Equal(t, http.StatusOK, status, "%v", out)
		return out
	}
	require.Zero(t, erase()["erased"])
	w.revoke(map[string]any{"selector": "subject:" + sub})
	out := erase()
	require.Zero(t, out["remaining"])
	require.Greater(t, out["erased"], 2.0)
	for range 2 {
		_, chain := w.get("/lineage/"+alice.claims["jti"].(string), as("ops"))
		require.Len(t, chain["records"], 3)
		for _, r := range chain["records"].([]any) {
			require.Equal(t, true, r.(map[string]any)["record"].(map[string]any)["erased"])
		}
		require.NotContains(t, strings.ToLower(fmt.Sprint(chain)), "alice")
		require.Equal(t, false, w.introspect(alice.token)["active"])
		require.Equal(t, true, w.introspect(bob.token)["active"], "control")
		w.refused("invalid_grant", refresh(alice.refresh, ""), as("agent"))
		w.process.end()
		w.start()
	}
	require.NotContains(t, w.process.text(), sub)
}
