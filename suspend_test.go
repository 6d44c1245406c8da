package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// set changes a task's state as by, and requires that this succeeds.
func (w *world) set(by string, task lineage.ID, to tb.TaskState) {
	w.Helper()
	got, err := w.SetTask(w.ctx, w.client(by), task, to)
	require.NoError(w, err)
	require.Equal(w, to, got.State)
	w.is(task, to)
}

// is requires that a task is in a state, for the client that started it and for an operator.
func (w *world) is(task lineage.ID, state tb.TaskState) {
	w.Helper()
	got, err := w.Task(w.ctx, ops, task)
	require.NoError(w, err)
	require.Equal(w, state, got.State)
}

// working is a minting world with a task of the orchestrator's for half an hour, and a token derived from its token.
func working(t *testing.T, change ...func(*world)) (w *world, task, derived tb.Token) {
	w = newWorld(t, append([]func(*world){minting}, change...)...)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: 30 * time.Minute}
	task = w.issued(req)
	return w, task, w.issued(w.exchange("researcher", bearer(task), crm, "read"))
}

func TestEveryChangeOfATaskIsOneWrite(t *testing.T) {
	w, task, _ := working(t)
	for range 40 {
		w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	}
	spy := w.spied()
	w.issued(w.exchange("researcher", bearer(task), crm, "read")) // what a new node writes first
	for _, to := range []tb.TaskState{tb.TaskSuspended, tb.TaskActive, tb.TaskSuspended, tb.TaskCompleted} {
		spy.commits, spy.txs = 0, nil
		w.set("orchestrator", task.TaskID, to)
		require.Equal(t, 1, spy.commits, to)
		require.Len(t, spy.txs, 1)
		tx := spy.txs[0]
		require.Len(t, tx.Swaps, 1)
		require.Len(t, tx.Revocations, 1)
		require.Empty(t, tx.Records)
	}
	spy.commits, spy.txs = 0, nil
	_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	for _, tx := range spy.txs {
		require.Empty(t, tx.Swaps, "ending an ended task changes nothing")
		require.Empty(t, tx.Revocations)
	}
}

func TestASuspendedTaskIsInactiveAndNotLost(t *testing.T) {
	w, task, derived := working(t)
	other := w.start("other", 10, "read")
	pending := w.decided(w.exchange("researcher", bearer(task), crm, "read"))
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	for range 2 {
		for _, tok := range []tb.Token{task, derived} {
			require.False(t, w.active(tok))
			require.Equal(t, lineage.Suspended, w.state(tok.ID))
			w.unissued(w.exchange("researcher", bearer(tok), crm, "read"), tb.CodeInvalidRequest, "the token is suspended")
		}
		child := w.exchange("orchestrator", bearer(task), crm, "read")
		child.Task = &tb.TaskSpec{Purpose: "inside"}
		w.unissued(child, tb.CodeInvalidRequest, "the token is suspended")
		w.restart()
	}
	require.ErrorIs(t, w.Record(w.ctx, pending, tb.HostToken{Handle: "h"}), tb.ErrConflict)
	require.Equal(t, lineage.Active, w.state(other.ID), "another task goes on")

	w.set("orchestrator", task.TaskID, tb.TaskActive)
	for _, tok := range []tb.Token{task, derived} {
		require.True(t, w.active(tok))
		w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	}
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, 3, got.Derivations, "what was refused is not counted, and what was spent before still is")
}

func TestResumingDecidesAnew(t *testing.T) {
	registered := func(change func(*tb.Client)) func(*world) {
		return func(w *world) {
			c := w.clients["orchestrator"]
			change(&c)
			w.clients["orchestrator"] = c
		}
	}
	for name, c := range map[string]struct {
		change func(*world)
		code   tb.Code
		why    string
	}{
		"the policy denies": {func(w *world) { w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Path: "/x"} } },
			tb.CodeInvalidTarget, "the policy denies"},
		"the policy grants less": {func(w *world) {
			w.policy = func(f tb.Facts) tb.Verdict { f.Scopes = []string{"read"}; return grantAll(f) }
		}, tb.CodeInvalidScope, "less would be granted now"},
		"the facts": {func(w *world) {
			_, err := w.Signal(w.ctx, ops, tb.Signal{Env: map[string]any{"frozen": true}})
			require.NoError(w, err)
			w.policy = func(f tb.Facts) tb.Verdict {
				require.Equal(w, true, f.Env["frozen"])
				require.Equal(w, "triage", f.Task.Purpose)
				require.Equal(w, tb.Exchange, f.Grant)
				return tb.Verdict{}
			}
		}, tb.CodeInvalidTarget, "the policy denies"},
		"the grant was taken away": {registered(func(c *tb.Client) { c.Grants = nil }),
			tb.CodeUnauthorizedClient, "may not use this grant any more"},
		"the connection was taken away": {registered(func(c *tb.Client) { c.Connections = []string{"x"} }),
			tb.CodeInvalidTarget, "not a connection of this client"},
		"the client was removed": {func(w *world) { delete(w.clients, "orchestrator") },
			tb.CodeUnauthorizedClient, "not registered any more"},
	} {
		t.Run(name, func(t *testing.T) {
			w, task, derived := working(t)
			owner, policy := w.clients["orchestrator"], w.policy
			w.set("orchestrator", task.TaskID, tb.TaskSuspended)
			c.change(w)
			for _, by := range []tb.Client{owner, ops} {
				_, err := w.SetTask(w.ctx, by, task.TaskID, tb.TaskActive)
				d := w.denies(err, c.code, c.why)
				require.Equal(t, lineage.Denied, w.state(d.ID), "recorded")
				require.Equal(t, string(c.code), w.record(d.ID).Body.Code)
			}
			w.is(task.TaskID, tb.TaskSuspended)
			require.False(t, w.active(derived))
			w.clients["orchestrator"], w.policy = owner, policy
			w.set("orchestrator", task.TaskID, tb.TaskActive)
			require.True(t, w.active(derived))
		})
	}
}

func TestResumingFollowsFactsThatChangeMeanwhile(t *testing.T) {
	w, task, derived := working(t)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	var seen []any
	w.policy = func(f tb.Facts) tb.Verdict {
		if seen = append(seen, f.Env["frozen"]); len(seen) == 1 {
			w.changeFact(`{"frozen":true}`)
		}
		if f.Env["frozen"] == true {
			return tb.Verdict{}
		}
		return grantAll(f)
	}
	_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskActive)
	w.denies(err, tb.CodeInvalidTarget, "the policy denies")
	require.Equal(t, false, seen[0], "the task, before")
	require.Equal(t, true, seen[len(seen)-1], "and again, after")
	require.False(t, w.active(derived))
}

// changeFact writes the facts that policies see as env, as another node would.
func (w *world) changeFact(env string) {
	w.Helper()
	heads, err := w.store.Heads(w.ctx, issuer, []string{"fact:env"})
	require.NoError(w, err)
	require.NoError(w, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{
		{Key: "fact:env", Version: heads[0].Version, State: "set", Value: []byte(env)},
	}}})[0])
}

func TestWhatAnOperatorHasSuspendedOnlyAnOperatorResumes(t *testing.T) {
	for _, first := range []string{"ops", "orchestrator"} { // the client may have suspended it before
		w, task, derived := working(t)
		w.set(first, task.TaskID, tb.TaskSuspended)
		w.set("ops", task.TaskID, tb.TaskSuspended)
		w.set("orchestrator", task.TaskID, tb.TaskSuspended) // which takes nothing over
		_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskActive)
		require.ErrorIs(t, err, tb.ErrForbidden)
		w.is(task.TaskID, tb.TaskSuspended)
		w.set("ops", task.TaskID, tb.TaskActive)
		require.True(t, w.active(derived))
		w.set("orchestrator", task.TaskID, tb.TaskSuspended)
		w.set("orchestrator", task.TaskID, tb.TaskActive) // its own
		w.set("ops", task.TaskID, tb.TaskSuspended)
		w.set("orchestrator", task.TaskID, tb.TaskCompleted) // a held task may be ended
	}
}

func TestTheFeedSaysThatATaskIsSuspendedAndResumed(t *testing.T) {
	w, task, _ := working(t)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.set("ops", task.TaskID, tb.TaskActive)
	w.set("orchestrator", task.TaskID, tb.TaskCompleted)
	sel := lineage.Selector{Kind: lineage.SelectTask, Value: task.TaskID.String()}
	for _, by := range []tb.Client{ops, w.client("crm")} {
		entries := w.feed(by)
		require.Len(t, entries, 3)
		for i, want := range []lineage.Action{lineage.Suspend, lineage.Resume, lineage.Cut} {
			require.Equal(t, sel, entries[i].Selector)
			require.Equal(t, want, entries[i].Action)
			require.Equal(t, entries[0].Seq+uint64(i), entries[i].Seq)
			require.Equal(t, by.Kind == tb.KindOperator, entries[i].By != "", "by whom is not for resources")
		}
	}
}

func TestTimeGoesOnWhileATaskIsSuspended(t *testing.T) {
	w, task, derived := working(t)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.clock.Add(5 * time.Minute)
	require.Equal(t, lineage.Expired, w.state(derived.ID))
	w.set("orchestrator", task.TaskID, tb.TaskActive)
	require.Equal(t, lineage.Expired, w.state(derived.ID), "resuming extends nothing")
	require.False(t, w.active(derived))
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.clock.Add(25 * time.Minute)
	w.is(task.TaskID, tb.TaskExpired)
	_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrConflict)
}
