package broker_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// TestACrashLosesNoCredential: whatever write of a broker is the last one, each account that there is stands in the book, and
// is gone once a later process has looked at it. That process has another Governor over the file, opened anew.
func TestACrashLosesNoCredential(t *testing.T) {
	for _, op := range []storetest.Op{storetest.Commit, storetest.CommitLost} {
		finished := false
		for n := 0; !finished; n++ {
			require.Less(t, n, 40)
			finished = crashAfter(t, op, n)
		}
	}
}

// crashAfter ends the process after n commits of what a broker does in a whole life, and reports whether there were no more.
func crashAfter(t *testing.T, op storetest.Op, n int) bool {
	file := filepath.Join(t.TempDir(), "boundary.db")
	open := func() *bolt.Store {
		s, err := bolt.Open(file)
		require.NoError(t, err)
		return s
	}
	db := open()
	w := newWorld(t, func(w *world) { w.store = db })
	tok := w.task("bot")
	dying := storetest.FailOn(db, op, errors.New("the machine is off")).After(n)
	w.store = dying
	w.restart()
	before := dying.Calls()
	l, err := w.Lease(w.ctx, asking(tok, "read"))
	if err == nil {
		_ = w.logsIn(l)
		_ = l.End(w.ctx)
	}
	_ = w.Sweep(w.ctx)
	finished := dying.Calls()-before < n && err == nil

	inBook := map[lineage.ID]bool{}
	for _, l := range w.open() {
		inBook[l.ID] = true
	}
	require.LessOrEqual(t, w.legacy.count(), len(inBook), "after %d: what there is stands in the book", n)
	if finished {
		require.Empty(t, inBook)
	}
	require.NoError(t, db.Close())
	db = open()
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	w.store = db
	w.restart()
	w.clock.Add(20 * time.Second) // the intent is over
	w.sweep()
	if len(inBook) > 0 && w.legacy.count() > 0 { // it is held, and lives on with its token
		require.Equal(t, tb.LeaseHeld, w.open()[0].State, "after %d", n)
		w.set(tok, tb.TaskCompleted)
		w.sweep()
	}
	require.Zero(t, w.legacy.count(), "after %d", n)
	require.Empty(t, w.open(), "after %d", n)
	require.NoError(t, w.logsIn(w.lease(w.task("bot"))), "control")
	return finished
}

var _ store.Store = (*bolt.Store)(nil)

// TestTenThousandLeasesOfOneTask: the end of the task ends all of them, a crash in the middle leaves the rest in the book, and
// the next process goes on with it.
func TestTenThousandLeasesOfOneTask(t *testing.T) {
	n := 10_000
	if testing.Short() {
		n = 500
	}
	w := newWorld(t)
	tok := w.task("bot")
	for range n {
		w.lease(tok)
	}
	require.Equal(t, n, w.legacy.count())
	w.set(tok, tb.TaskCompleted)
	task := lineage.Selector{Kind: lineage.SelectTask, Value: tok.TaskID.String()}
	c, err := w.gov.Closure(w.ctx, ops, task, lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, []int{n, n}, []int{c.Leases, c.Outstanding})

	healthy := w.store
	dying := storetest.FailOn(healthy, storetest.Commit, errors.New("the machine is off")).After(n)
	w.store = dying
	w.restart()
	w.sweep()
	left := len(w.open())
	require.Greater(t, left, n/4)
	require.Less(t, left, 3*n/4)
	require.LessOrEqual(t, w.legacy.count(), left, "nothing is out that is not in the book")
	c, err = w.gov.Closure(w.ctx, ops, task, lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, []int{n, left}, []int{c.Leases, c.Outstanding}, "not reported done early")

	w.store = healthy
	w.restart()
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.Empty(t, w.open())
	c, err = w.gov.Closure(w.ctx, ops, task, lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, []int{n, 0}, []int{c.Leases, c.Outstanding})
	require.True(t, c.Complete)
}

// TestAnotherProcessLeavesAnIntentAlone until its time is over; then it takes back what was made, and who comes late has
// nothing.
func TestAnotherProcessLeavesAnIntentAlone(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	intent, err := w.gov.Attach(w.ctx, w.client, asking(tok, "read"))
	require.NoError(t, err)
	_, err = w.legacy.Fetch(w.ctx, intent) // a process that stopped here
	require.NoError(t, err)
	other := w.node()
	require.NoError(t, other.Sweep(w.ctx))
	require.True(t, w.legacy.has(intent.ID))
	w.clock.Add(intent.Until.Sub(w.clock.Now()))
	_, err = w.gov.SetLease(w.ctx, w.client, intent.ID, tb.LeaseHeld, nil)
	require.ErrorContains(t, err, "the intent is over")
	require.NoError(t, other.Sweep(w.ctx))
	require.False(t, w.legacy.has(intent.ID))
	require.Empty(t, w.open())
}

// TestWhoDiesWhileItIsFetched gets nothing, and what was made is taken back.
func TestWhoDiesWhileItIsFetched(t *testing.T) {
	w := newWorld(t)
	tok := w.task("bot")
	w.legacy.onFetch = func(context.Context, *issued) error {
		w.set(tok, tb.TaskCompleted)
		return nil
	}
	_, err := w.Lease(w.ctx, asking(tok, "read"))
	require.Error(t, err)
	require.Equal(t, 1, w.legacy.count())
	w.legacy.onFetch = nil
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.Empty(t, w.open())
}
