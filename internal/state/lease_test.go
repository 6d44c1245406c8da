package state

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestALeaseOnlyEnds: whatever happens in whatever order, nothing leads back from what ends, only what is ending ends, and
// from every state but the last one there is a way to the end.
func TestALeaseOnlyEnds(t *testing.T) {
	rank := map[string]int{Intent: 0, Held: 1, Ending: 2, Ended: 3}
	events := []string{Hold, End, Done, Revoke, ""}
	for from := range rank {
		for _, event := range events {
			to, ok := Lease(from, event)
			if !ok {
				require.Empty(t, to)
				continue
			}
			require.GreaterOrEqual(t, rank[to], rank[from])
			require.Equal(t, to == Ended, event == Done)
			require.False(t, to == Ended && from != Ending, "nothing has been taken back before it was asked for")
			require.False(t, to == Held && rank[from] > 1)
		}
	}
	for from := range rank {
		at := from
		for _, event := range []string{End, Done} {
			if to, ok := Lease(at, event); ok {
				at = to
			}
		}
		require.Equal(t, Ended, at, "from %s", from)
	}
	for _, unknown := range []string{"", "active", "HELD"} {
		for _, event := range events {
			_, ok := Lease(unknown, event)
			require.False(t, ok)
		}
	}
}
