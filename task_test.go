package tokenboundary_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var ops = tb.Client{ID: "ops", Kind: tb.KindOperator}

func (w *world) client(id string) tb.Client { return w.clients[id] }

func (w *world) start(purpose string, budget uint64, scopes ...string) tb.Decision {
	w.Helper()
	req := w.exchange("orchestrator", w.human("alice"), crm, scopes...)
	req.Task = &tb.TaskSpec{Purpose: purpose, ExpiresIn: 30 * time.Minute, MaxDerivations: &budget}
	return w.granted(req)
}

func (w *world) state(id lineage.ID) lineage.State {
	w.Helper()
	nodes, err := w.Lineage(w.ctx, ops, id)
	require.NoError(w, err)
	return nodes[len(nodes)-1].State
}

func TestCompletingATaskKillsWhatItMadeAndNothingElse(t *testing.T) {
	w := newWorld(t)
	task, sibling := w.start("triage", 10, "read", "write"), w.start("refund", 10, "read")
	derived := w.granted(w.exchange("researcher", host(task), crm, "read"))
	deeper := w.granted(w.exchange("tool", host(derived), crm, "read"))
	other := w.granted(w.exchange("researcher", host(sibling), crm, "read"))

	before, err := w.Task(w.ctx, w.client("orchestrator"), task.TaskID)
	require.NoError(t, err)
	require.Equal(t, tb.TaskActive, before.State)
	require.EqualValues(t, 2, before.Derivations)
	require.Equal(t, "triage", before.Purpose)

	_, err = w.SetTask(w.ctx, w.client("researcher"), task.TaskID, tb.TaskCompleted)
	require.ErrorIs(t, err, tb.ErrNotFound, "somebody else's task")
	done, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	require.Equal(t, tb.TaskCompleted, done.State)

	for _, d := range []tb.Decision{task, derived, deeper} {
		require.Equal(t, lineage.Revoked, w.state(d.ID))
		w.refused(w.exchange("tool", host(d), crm, "read"), tb.CodeInvalidRequest, "the token is revoked")
	}
	require.Equal(t, lineage.Active, w.state(other.ID))
	w.granted(w.exchange("tool", host(other), crm, "read"))

	again, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskRevoked)
	require.NoError(t, err)
	require.Equal(t, tb.TaskCompleted, again.State, "ending an ended task changes nothing")
	w.restart()
	require.Equal(t, lineage.Revoked, w.state(deeper.ID), "a restart revives nothing")
}

func TestTaskBudgetIsExactUnderConcurrency(t *testing.T) {
	w := newWorld(t)
	const budget = 10
	task := w.start("triage", budget, "read")
	var allowed, spent atomic.Int64
	var all sync.WaitGroup
	for range budget + 15 {
		all.Go(func() {
			req := w.exchange("researcher", host(task), crm, "read")
			req.Enforce = everything &^ tb.CapRecord // Decide commits at once
			d, err := w.Decide(w.ctx, req)
			switch {
			case err != nil:
				t.Error(err)
			case d.Effect == tb.Allow:
				allowed.Add(1)
			case d.Code == tb.CodeInvalidRequest && d.Reasons[len(d.Reasons)-1].Why == "the task has no derivation left":
				spent.Add(1)
			default:
				t.Errorf("unexpected %+v", d)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, budget, allowed.Load())
	require.EqualValues(t, 15, spent.Load())
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, budget, got.Derivations, "failures are not counted")
}

func TestTaskDeadlineAndAuthorityBoundEverythingBelow(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 10, "read")
	w.refused(w.exchange("researcher", host(task), mail, "read"), tb.CodeInvalidTarget, "outside what it is made from")
	w.refused(w.exchange("researcher", host(task), crm, "write"), tb.CodeInvalidScope, "nothing is left")

	w.clock.Add(4*time.Minute + 30*time.Second)
	late := w.granted(w.exchange("researcher", host(task), crm, "read"))
	require.False(t, late.ExpiresAt.After(task.ExpiresAt), "a child never outlives its parent")
	w.clock.Add(time.Minute)
	w.refused(w.exchange("researcher", host(task), crm, "read"), tb.CodeInvalidRequest, "the token is expired")
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.Equal(t, tb.TaskActive, got.State)
	w.clock.Add(time.Hour)
	got, err = w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.Equal(t, tb.TaskExpired, got.State)
}

func TestTaskOverSeveralResourcesIsGrantedWholeOrNotAtAll(t *testing.T) {
	w := newWorld(t)
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Task = &tb.TaskSpec{Purpose: "triage", Authority: []lineage.Access{
		{Resource: crm, Scopes: []string{"read", "write"}}, {Resource: mail, Scopes: []string{"send"}},
	}}
	task := w.granted(req)
	require.Equal(t, []string{issuer}, task.Audience, "the token is good for deriving only")
	require.True(t, task.Granted.Empty())
	w.granted(w.exchange("researcher", host(task), crm, "write"))
	w.granted(w.exchange("researcher", host(task), mail, "send"))
	w.refused(w.exchange("researcher", host(task), mail, "write"), tb.CodeInvalidScope, "nothing is left")

	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		if f.Resources[0] == mail {
			v.Effect = tb.Deny
			v.Code = tb.CodeInvalidScope
		}
		return v
	}
	w.refused(req, tb.CodeInvalidScope, "no rule allows")
}
