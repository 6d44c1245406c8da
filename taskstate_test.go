package tokenboundary_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func TestATaskThatHasEndedStaysEnded(t *testing.T) {
	for _, end := range []tb.TaskState{tb.TaskCompleted, tb.TaskRevoked} {
		w, task, derived := working(t)
		w.set("orchestrator", task.TaskID, tb.TaskSuspended)
		w.set("orchestrator", task.TaskID, end)
		for _, to := range []tb.TaskState{tb.TaskActive, tb.TaskSuspended} {
			for _, by := range []string{"orchestrator", "ops"} {
				_, err := w.SetTask(w.ctx, w.client(by), task.TaskID, to)
				require.ErrorIs(t, err, tb.ErrConflict)
			}
		}
		w.is(task.TaskID, end)
		require.Equal(t, lineage.Revoked, w.state(derived.ID))
	}
	w, task, derived := working(t) // cut from above while it was suspended
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.revoke("subject:alice", lineage.Cut)
	w.is(task.TaskID, tb.TaskRevoked)
	_, err := w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrConflict)
	require.False(t, w.active(derived))
}

func TestATaskIsItsClientsAlone(t *testing.T) {
	w, task, derived := working(t)
	states := []tb.TaskState{tb.TaskSuspended, tb.TaskActive, tb.TaskCompleted, tb.TaskRevoked}
	for _, to := range states {
		_, err := w.SetTask(w.ctx, w.client("researcher"), task.TaskID, to)
		require.ErrorIs(t, err, tb.ErrNotFound)
		for _, by := range []tb.Client{{}, w.client("crm")} {
			_, err = w.SetTask(w.ctx, by, task.TaskID, to)
			require.ErrorIs(t, err, tb.ErrForbidden)
		}
		for _, id := range []lineage.ID{{}, {1}, task.ID, derived.ID} {
			_, err = w.SetTask(w.ctx, ops, id, to)
			require.ErrorIs(t, err, tb.ErrNotFound)
		}
	}
	for _, to := range []tb.TaskState{"", tb.TaskExpired, "Active", "paused"} {
		_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, to)
		require.ErrorIs(t, err, tb.ErrInvalid)
	}
	require.True(t, w.active(derived))
	require.Empty(t, w.feed(ops))
}

func TestAnUnknownStateIsNotActive(t *testing.T) {
	for _, unknown := range []string{"paused", "Active", "", "active "} {
		w, task, derived := working(t)
		key := lineage.Selector{Kind: lineage.SelectTask, Value: task.TaskID.String()}.String()
		heads, err := w.store.Heads(w.ctx, issuer, []string{key})
		require.NoError(t, err)
		write := func(version uint64, state string) {
			require.NoError(t, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{
				{Key: key, Version: version, State: state, Value: heads[0].Value},
			}}})[0])
		}
		write(1, unknown)
		for _, tok := range []tb.Token{task, derived} {
			require.False(t, w.active(tok))
			require.NotEqual(t, lineage.Active, w.state(tok.ID))
			w.unissued(w.exchange("researcher", bearer(tok), crm, "read"), tb.CodeInvalidRequest, "the token is revoked")
		}
		got, err := w.Task(w.ctx, ops, task.TaskID)
		require.NoError(t, err)
		require.NotEqual(t, tb.TaskActive, got.State)
		_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskActive)
		require.ErrorIs(t, err, tb.ErrConflict)
		write(2, "active")
		require.True(t, w.active(derived), "positive control")
	}
}

func TestAnAssertionIsSpentOnAChangeAlsoWhereThatIsRefused(t *testing.T) {
	w, task, _ := working(t)
	as := func(jti string) tb.Client {
		by, err := w.Authenticate(w.ctx, w.once("orchestrator", jti))
		require.NoError(t, err)
		return by
	}
	one := as("a")
	_, err := w.SetTask(w.ctx, one, task.TaskID, tb.TaskSuspended)
	require.NoError(t, err)
	policy := w.policy
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	_, err = w.SetTask(w.ctx, one, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	two := as("b")
	_, err = w.SetTask(w.ctx, two, task.TaskID, tb.TaskActive)
	w.denies(err, tb.CodeInvalidTarget, "the policy denies")
	w.policy = policy
	_, err = w.SetTask(w.ctx, two, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	w.is(task.TaskID, tb.TaskSuspended)
	_, err = w.SetTask(w.ctx, as("c"), task.TaskID, tb.TaskActive)
	require.NoError(t, err)
}

// TestWhoeverIsLastATaskThatWasCompletedIsOver races changes of one task at two nodes.
func TestWhoeverIsLastATaskThatWasCompletedIsOver(t *testing.T) {
	to := []tb.TaskState{tb.TaskSuspended, tb.TaskActive, tb.TaskCompleted, tb.TaskSuspended, tb.TaskActive}
	for range 20 {
		w, task, derived := working(t)
		nodes := []*world{w, w.node()}
		errs := make([]error, len(to))
		var all sync.WaitGroup
		for i := range to {
			n := nodes[i%2]
			all.Go(func() { _, errs[i] = n.SetTask(n.ctx, n.client("orchestrator"), task.TaskID, to[i]) })
		}
		all.Wait()
		for i, err := range errs {
			if to[i] == tb.TaskCompleted || err == nil {
				require.NoError(t, err)
			} else {
				require.ErrorIs(t, err, tb.ErrConflict)
			}
		}
		w.is(task.TaskID, tb.TaskCompleted)
		require.Equal(t, lineage.Revoked, w.state(derived.ID))
	}
}

// TestAChangeThatFailsChangesNothing fails every call that suspending and resuming make of the store, one after the other.
func TestAChangeThatFailsChangesNothing(t *testing.T) {
	for _, to := range []tb.TaskState{tb.TaskSuspended, tb.TaskActive} {
		for _, op := range []storetest.Op{storetest.Commit, storetest.Get, storetest.Heads, storetest.Revoked} {
			failures := 0
			for n := 0; ; n++ {
				w, task, derived := working(t)
				before := tb.TaskActive
				if to == tb.TaskActive {
					before = tb.TaskSuspended
					w.set("orchestrator", task.TaskID, before)
				}
				faulty := storetest.FailOn(w.store, op, errors.New("boom"))
				w.store = faulty
				w.restart()
				calls := faulty.Calls()
				faulty.After(n)
				_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, to)
				failed := faulty.Calls()-calls > n
				faulty.Set(false)
				if !failed {
					require.NoError(t, err)
					break
				}
				failures++
				require.ErrorIs(t, err, tb.ErrUnavailable)
				w.is(task.TaskID, before)
				w.set("orchestrator", task.TaskID, to)
				require.Equal(t, to == tb.TaskActive, w.active(derived))
			}
			if op == storetest.Commit || op == storetest.Get {
				require.Positive(t, failures, "%s %s", to, op)
			}
		}
	}
}
