package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// TestWhoReadsTheStoreSeesWhatAnOperatorSees: a record's state, at the time that is asked about.
func TestWhoReadsTheStoreSeesWhatAnOperatorSees(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 10, "read")
	derived := w.granted(w.exchange("researcher", host(task), crm, "read"))
	state := func(at time.Time) lineage.State {
		found, err := w.store.Get(w.ctx, issuer, []lineage.ID{derived.ID})
		require.NoError(t, err)
		return tb.StateOf(found[0], at)
	}
	now := w.clock.Now()
	require.Equal(t, lineage.Active, state(now))
	require.Equal(t, lineage.Expired, state(now.Add(time.Hour)))
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	require.Equal(t, lineage.Suspended, state(now))
	w.set("ops", task.TaskID, tb.TaskRevoked)
	require.Equal(t, lineage.Revoked, state(now))
	require.Equal(t, w.state(derived.ID), state(now))
	require.NotEqual(t, lineage.Active, tb.StateOf(store.Entry{}, now))

	since, err := tb.LiveSince(w.ctx, w.store, issuer, now)
	require.NoError(t, err)
	require.Equal(t, now.Add(-life), since)
	since, err = tb.LiveSince(w.ctx, w.store, "https://other.example", now)
	require.NoError(t, err)
	require.True(t, since.IsZero(), "nothing is known of an issuer that has issued nothing")
}
