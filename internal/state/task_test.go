package state

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOnlyALiveTaskChangesAndOnlyActiveIsReachedByResuming(t *testing.T) {
	states := []string{Active, Suspended, Completed, Revoked, "expired", "", "unknown"}
	events := []string{Complete, Revoke, Suspend, Resume, "", "unknown"}
	for _, from := range states {
		for _, event := range events {
			to, ok := Task(from, event)
			require.Equal(t, ok, to != "", "%s %s", from, event)
			switch from {
			case Active:
				require.Equal(t, event == Complete || event == Revoke || event == Suspend, ok)
			case Suspended:
				require.Equal(t, event == Complete || event == Revoke || event == Resume, ok)
			default:
				require.False(t, ok, "an ended or unknown task stays what it is: %s %s", from, event)
			}
			require.Equal(t, from == Suspended && event == Resume, to == Active)
		}
	}
}
