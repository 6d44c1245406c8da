package tokenboundary_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func (w *world) closure(sel string) tb.Closure {
	w.Helper()
	c, err := w.Closure(w.ctx, ops, selector(w, sel), lineage.ID{})
	require.NoError(w, err)
	require.True(w, c.Complete)
	require.True(w, c.Next.IsZero())
	c.Complete = false
	return c
}

func TestAClosureCountsWhatASelectorHasCut(t *testing.T) {
	for name, sel := range map[string]func(task tb.Token) string{
		"task":       func(task tb.Token) string { return "task:" + task.TaskID.String() },
		"grant":      func(task tb.Token) string { return "grant:" + task.TaskID.String() },
		"token":      func(task tb.Token) string { return "token:" + task.TaskID.String() },
		"session":    func(tb.Token) string { return "session:s-alice" },
		"subject":    func(tb.Token) string { return "subject:alice" },
		"actor":      func(tb.Token) string { return "actor:orchestrator" },
		"client":     func(tb.Token) string { return "client:orchestrator" },
		"connection": func(tb.Token) string { return "connection:prod" },
		"path":       func(tb.Token) string { return "path:/agents/orchestrator" },
		"path above": func(tb.Token) string { return "path:/agents" },
		"key":        func(task tb.Token) string { return "key:" + task.Client },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
			req.Task = &tb.TaskSpec{Purpose: "triage"}
			task := w.issued(req)
			derived := w.issued(w.exchange("researcher", bearer(task), crm, "read", "write"))
			w.issued(w.exchange("tool", bearer(derived), crm, "read"))
			w.policy = obliged(w.policy, approvalBy("leads", "write"))
			w.waits(w.exchange("researcher", bearer(derived), crm, "write"))
			text, want := sel(task), tb.Closure{Tokens: 3, Tasks: 1, Families: 3, Approvals: 1}
			if name == "key" { // which signed the tokens, and neither the task nor the family that is as old as it
				text = "key:" + w.record(task.ID).Body.Key
				want = tb.Closure{Tokens: 3, Families: 2, Approvals: 1}
			}
			c, err := w.Closure(w.ctx, ops, selector(w, text), lineage.ID{})
			require.NoError(t, err)
			require.Equal(t, tb.Closure{Complete: true}, c, "nothing is cut yet")
			w.clock.Add(time.Second)
			w.revoke(text, lineage.Cut)
			require.Equal(t, want, w.closure(text))
			require.Equal(t, want, w.closure(text), "it changes nothing")
			require.Zero(t, w.closure("subject:bob"))
			w.clock.Add(time.Hour)
			require.Zero(t, w.closure(text), "it would be over by itself")
		})
	}
}

func TestAClosureCountsWhatEndingATaskHasCut(t *testing.T) {
	for _, to := range []tb.TaskState{tb.TaskCompleted, tb.TaskRevoked} {
		for _, suspended := range []bool{false, true} {
			w := newWorld(t, approving)
			task, other := w.work(10), w.work(10)
			w.issued(w.exchange("researcher", bearer(task), crm, "read"))
			w.issued(w.exchange("researcher", bearer(other), crm, "read"))
			w.waits(w.exchange("researcher", bearer(task), crm, "write"))
			if suspended {
				w.setTask(task.TaskID, tb.TaskSuspended)
			}
			sel := "task:" + task.TaskID.String()
			require.Zero(t, w.closure(sel), "what is suspended is not cut")
			w.setTask(task.TaskID, to)
			require.Equal(t, tb.Closure{Tokens: 2, Tasks: 1, Approvals: 1}, w.closure(sel))
			require.Zero(t, w.closure("task:"+other.TaskID.String()))
		}
	}
}

func TestAClosureLeavesOutWhatWasDeadOtherwise(t *testing.T) {
	w := newWorld(t, approving)
	live := func() tb.Token { return w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read")) }
	live()
	w.clock.Add(5 * time.Minute)                       // has expired
	w.revoke("token:"+live().ID.String(), lineage.Cut) // was revoked by itself
	task := w.work(10)
	w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	w.setTask(task.TaskID, tb.TaskCompleted) // has ended, with its tokens
	refused, released := w.waits(w.exchange("tool", w.human("alice"), crm, "write")), w.waits(w.exchange("tool", w.human("alice"), crm, "write"))
	_, err := w.Approve(w.ctx, lead, refused.ID, false)
	require.NoError(t, err)
	w.approved(released)
	w.polled("tool", released)                                              // counts as a token
	w.waits(w.exchange("tool", w.human("alice"), crm, "write"))             // counts
	w.approved(w.waits(w.exchange("tool", w.human("alice"), crm, "write"))) // counts: agreed to, and not released
	live()                                                                  // counts
	_, err = w.Issue(w.ctx, w.exchange("stranger", bearer(task), crm, "read"))
	require.ErrorIs(t, err, tb.ErrDenied) // is a record, but of nothing
	w.clock.Add(time.Second)
	w.revoke("subject:alice", lineage.Cut)
	require.Equal(t, tb.Closure{Tokens: 2, Approvals: 2}, w.closure("subject:alice"))
	w.clock.Add(10 * time.Minute)
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.Zero(t, w.closure("subject:alice"), "what came later was not cut")

	w.revoke("client:orchestrator", lineage.Block)
	require.Equal(t, tb.Closure{Tokens: 1}, w.closure("client:orchestrator"))
	w.revoke("client:orchestrator", lineage.Lift)
	require.Equal(t, tb.Closure{Tokens: 1}, w.closure("client:orchestrator"), "what was dead stays dead")
}

// TestWhatTwoRevocationsHaveCutWouldNotBeLiveButForOne: without either of them the other keeps it dead.
func TestWhatTwoRevocationsHaveCutWouldNotBeLiveButForOne(t *testing.T) {
	w := newWorld(t, minting)
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.clock.Add(time.Second)
	w.revoke("subject:alice", lineage.Cut)
	require.Equal(t, tb.Closure{Tokens: 1}, w.closure("subject:alice"))
	w.revoke("session:s-alice", lineage.Cut)
	require.Zero(t, w.closure("subject:alice"))
	require.Zero(t, w.closure("session:s-alice"))
}

func TestAClosureIsForOperators(t *testing.T) {
	w := newWorld(t)
	for _, by := range []tb.Client{{}, w.client("tool"), w.client("crm")} {
		_, err := w.Closure(w.ctx, by, selector(w, "subject:alice"), lineage.ID{})
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	for _, sel := range []lineage.Selector{{}, {Kind: "tenant", Value: "x"}, {Kind: "subject"}, {Kind: "token", Value: "x"}} {
		_, err := w.Closure(w.ctx, ops, sel, lineage.ID{})
		require.ErrorIs(t, err, tb.ErrInvalid)
	}
	for _, op := range []storetest.Op{storetest.Heads, storetest.Revoked, storetest.Scan} {
		w := newWorld(t)
		w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
		w.store = storetest.FailOn(w.store, op, errors.New("boom"))
		w.restart()
		c, err := w.Closure(w.ctx, ops, selector(w, "subject:alice"), lineage.ID{})
		require.ErrorIs(t, err, tb.ErrUnavailable, op)
		require.False(t, c.Complete)
	}
}
