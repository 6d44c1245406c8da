package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// TestALeaseStaysUntilItHasEnded: a broker has to find what it still has to take back.
func TestALeaseStaysUntilItHasEnded(t *testing.T) {
	w := newWorld(t, minting)
	broker := w.client("crm")
	broker.Connections = []string{"prod"}
	w.clients["crm"] = broker
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	l, err := w.Attach(w.ctx, w.client("crm"), tb.LeaseRequest{Token: bearer(tok), Scopes: []string{"read"}})
	require.NoError(t, err)
	_, err = w.SetLease(w.ctx, w.client("crm"), l.ID, tb.LeaseHeld, []byte("how to take it back"))
	require.NoError(t, err)
	w.clock.Add(life + 24*time.Hour)
	require.Equal(t, 1, w.prune(time.Hour, 0).Records)
	require.Contains(t, w.kept(), l.ID)
	require.Equal(t, 1, w.erase("subject:alice").Remaining)
	left, err := w.Lease(w.ctx, w.client("crm"), l.ID)
	require.NoError(t, err)
	require.Equal(t, "how to take it back", string(left.Handle))

	for _, to := range []tb.LeaseState{tb.LeaseEnding, tb.LeaseEnded} {
		_, err = w.SetLease(w.ctx, w.client("crm"), l.ID, to, nil)
		require.NoError(t, err)
	}
	require.Equal(t, 1, w.erase("subject:alice").Erased)
	require.Nil(t, w.kept()[l.ID].Body)
	require.Equal(t, 1, w.prune(time.Hour, 0).Records)
	require.Empty(t, w.kept())
	require.Empty(t, w.headsOf("token:"+l.ID.String()))
}
