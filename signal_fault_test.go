package tokenboundary_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// TestASignalFailsAtEveryStoreCallAndCompletesWhenItIsRepeated: an error leaves open what was decided anew; the repeat does
// the rest, and what has to die is dead then.
func TestASignalFailsAtEveryStoreCallAndCompletesWhenItIsRepeated(t *testing.T) {
	session := lineage.Selector{Kind: "session", Value: "s-alice"}
	failures := 0
	for name, s := range map[string]tb.Signal{
		"risk":     {Selector: session, Risk: "high"},
		"env":      {Env: map[string]any{"x": 1}},
		"reloaded": {Reloaded: true},
		"ended":    {Selector: session, Ended: true},
	} {
		for _, op := range storetest.Ops {
			t.Run(fmt.Sprint(name, "/", op), func(t *testing.T) {
				for n := 0; ; n++ {
					w := newWorld(t, minting)
					task := w.work(10)
					writing := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
					reading := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read"))
					w.policy = wary
					faulty := storetest.FailOn(w.store, op, errors.New("boom"))
					w.store = faulty
					w.restart()
					calls := faulty.Calls()
					faulty.After(n)
					out, err := w.Signal(w.ctx, ops, s)
					faulty.Set(false)
					failed := faulty.Calls()-calls > n
					if failed {
						failures++
						require.ErrorIs(t, err, tb.ErrUnavailable, "call %d", n)
						require.False(t, out.Complete)
						out, err = w.Signal(w.ctx, ops, s)
					}
					require.NoError(t, err)
					require.True(t, out.Complete)
					for _, id := range []lineage.ID{task.ID, task.TaskID, writing.ID} {
						require.Equal(t, lineage.Revoked, w.state(id), "call %d", n)
					}
					require.Equal(t, lineage.Active, w.state(reading.ID))
					if !failed {
						return
					}
				}
			})
		}
	}
	require.Greater(t, failures, 20)
}

// TestWhatWasIssuedForLongUnderAnotherConfigurationIsStillFound: how far back a signal looks follows from the longest life
// that was ever issued, not from the present configuration.
func TestWhatWasIssuedForLongUnderAnotherConfigurationIsStillFound(t *testing.T) {
	long := func(w *world) { w.cfg.Lifetimes.Task = 48 * time.Hour }
	w := newWorld(t, minting, long)
	start := func(name string) tb.Token {
		req := w.exchange("orchestrator", w.human(name), crm, "write")
		req.Task = &tb.TaskSpec{Purpose: "migration"}
		return w.issued(req)
	}
	one, two := start("alice"), start("bob")
	w.cfg.Lifetimes.Task = time.Hour
	w.restart()
	w.clock.Add(40 * time.Hour)
	start("alice") // under the present configuration
	w.policy = wary
	require.Equal(t, tb.Outcome{Examined: 3, Revoked: 3, Complete: true}, w.risk("subject:alice", "high"), "two tasks, and the token of one")
	require.Equal(t, lineage.Revoked, w.state(one.TaskID))
	require.Equal(t, lineage.Active, w.state(two.TaskID))

	w.revoke("subject:bob", lineage.Cut)
	c, err := w.Closure(w.ctx, ops, selector(w, "subject:bob"), lineage.ID{})
	require.NoError(t, err)
	require.Equal(t, tb.Closure{Tasks: 1, Complete: true}, c)
}

// TestASignalAtOneNodeReachesTheOthers: facts are in the store.
func TestASignalAtOneNodeReachesTheOthers(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = wary
	w.risk("subject:alice", "low")
	other := w.node()
	tok := other.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, 1, w.risk("subject:alice", "high").Revoked)
	s, err := other.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.False(t, s.Active)
	_, err = other.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.denies(err, tb.CodeInvalidScope, "no rule allows")
	other.signal(tb.Signal{Env: map[string]any{"frozen": true}})
	var seen any
	w.policy = func(f tb.Facts) tb.Verdict { seen = f.Env["frozen"]; return grantAll(f) }
	w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	require.Equal(t, true, seen)
}

// TestAHostCannotRecordWhatASignalHasOvertaken: between Decide and Record too, the facts are those that were read.
func TestAHostCannotRecordWhatASignalHasOvertaken(t *testing.T) {
	w := newWorld(t)
	for sel, holds := range map[string]bool{
		"subject:alice": false, "session:s-alice": false, "actor:orchestrator": false, "client:orchestrator": false,
		"subject:bob": true, "actor:tool": true,
	} {
		w.clock.Add(time.Second)
		d := w.decided(w.exchange("orchestrator", w.human("alice"), crm, "read"))
		w.risk(sel, "high")
		err := w.Record(w.ctx, d, tb.HostToken{Handle: sel})
		if holds {
			require.NoError(t, err, sel)
			continue
		}
		require.ErrorIs(t, err, tb.ErrConflict, sel)
	}
}

// TestATaskThatChangesWhileItIsDecidedAnewIsRevokedAllTheSame: whatever happens to a task in the meantime.
func TestATaskThatChangesWhileItIsDecidedAnewIsRevokedAllTheSame(t *testing.T) {
	for _, to := range []tb.TaskState{tb.TaskSuspended, tb.TaskCompleted} {
		w := newWorld(t, minting)
		task := w.work(10)
		changed := false
		w.policy = func(f tb.Facts) tb.Verdict {
			if !changed {
				changed = true
				w.setTask(task.TaskID, to)
			}
			return wary(f)
		}
		w.risk("subject:alice", "high")
		require.True(t, changed)
		got, err := w.Task(w.ctx, ops, task.TaskID)
		require.NoError(t, err)
		want := tb.TaskRevoked
		if to == tb.TaskCompleted {
			want = to // the first end counts
		}
		require.Equal(t, want, got.State)
		require.Equal(t, lineage.Revoked, w.state(task.ID))
	}
}
