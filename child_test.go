package tokenboundary_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// inside asks for a task that lives inside the one that a token belongs to.
func (w *world) inside(client string, tok tb.Token, purpose string, scopes ...string) tb.Request {
	req := w.exchange(client, bearer(tok), crm, scopes...)
	req.Task = &tb.TaskSpec{Purpose: purpose, ExpiresIn: time.Hour}
	return req
}

// children starts two tasks inside one: from its token, and from a token derived from that.
func (w *world) children(task, derived tb.Token) map[string]tb.Token {
	w.Helper()
	return map[string]tb.Token{
		"orchestrator": w.issued(w.inside("orchestrator", task, "from the task token", "read")),
		"researcher":   w.issued(w.inside("researcher", derived, "from a derived token", "read")),
	}
}

func TestAChildTaskEndsWithTheTokenItIsStartedFrom(t *testing.T) {
	w, task, _ := working(t)
	start := w.clock.Now()
	w.clock.Add(time.Minute)
	derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	require.Equal(t, 4*time.Minute, derived.ExpiresIn)
	for client, child := range w.children(task, derived) {
		require.NotEqual(t, task.TaskID, child.TaskID)
		got, err := w.Task(w.ctx, w.client(client), child.TaskID)
		require.NoError(t, err)
		require.Equal(t, start.Add(5*time.Minute), got.ExpiresAt, "when the token does, and not when the task does")
		require.Equal(t, tb.TaskActive, got.State)

		chain := w.chain(child.ID)
		require.NoError(t, lineage.VerifyChain(child.ID, chain))
		require.Equal(t, task.TaskID, chain[0].ID(), "one lineage")
		leaf := w.issued(w.exchange("tool", bearer(child), crm, "read"))
		require.Equal(t, child.TaskID, leaf.TaskID)
	}
	req := w.inside("orchestrator", task, "short", "read")
	req.Task.ExpiresIn = time.Minute
	short := w.issued(req)
	require.Equal(t, time.Minute, short.ExpiresIn)
	w.clock.Add(time.Minute)
	w.is(short.TaskID, tb.TaskExpired)
	w.is(task.TaskID, tb.TaskActive)
}

func TestAChildTaskHasNoMoreThanTheTokenItIsStartedFrom(t *testing.T) {
	w, task, derived := working(t) // the task may write, the derived token may not
	const outside, nothing = "outside what it is made from", "nothing is left"
	w.unissued(w.inside("researcher", derived, "more", "write"), tb.CodeInvalidScope, nothing)
	w.unissued(w.inside("orchestrator", task, "more", "admin"), tb.CodeInvalidScope, nothing)
	child := w.issued(w.inside("orchestrator", task, "less", "read"))
	w.unissued(w.exchange("orchestrator", bearer(child), crm, "write"), tb.CodeInvalidScope, nothing)
	w.unissued(w.inside("orchestrator", child, "less", "write"), tb.CodeInvalidScope, nothing)
	w.issued(w.inside("orchestrator", task, "as much", "read", "write"))

	whole := w.exchange("orchestrator", bearer(task), "")
	for _, c := range []struct {
		authority []lineage.Access
		code      tb.Code
		why       string
	}{
		{[]lineage.Access{{Resource: crm, Scopes: []string{"read"}}, {Resource: mail, Scopes: []string{"read"}}}, tb.CodeInvalidTarget, outside},
		{[]lineage.Access{{Resource: crm, Scopes: []string{"admin", "read"}}}, tb.CodeInvalidScope, "whole or not at all"},
		{[]lineage.Access{{Resource: crm, Scopes: []string{"write"}}}, "", ""},
	} {
		whole.Task = &tb.TaskSpec{Purpose: "listed", Authority: c.authority}
		if c.code != "" {
			w.unissued(whole, c.code, c.why)
			continue
		}
		w.issued(w.exchange("orchestrator", bearer(w.issued(whole)), crm, "write"))
	}
	w.unissued(w.inside("stranger", task, "theirs", "read"), tb.CodeInvalidRequest, "not delegable to this client")
}

// TestWhatIsDerivedInAChildTaskCountsInBoth derives under a task and its child at once.
func TestWhatIsDerivedInAChildTaskCountsInBoth(t *testing.T) {
	w := newWorld(t, minting, onDisk)
	const budget, own = 12, 3
	most, less := uint64(budget+1), uint64(own)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work", MaxDerivations: &most}
	task := w.issued(req)
	child := w.issued(w.inside("orchestrator", task, "part", "read")) // which is the first derivation
	nodes := []*world{w.node(), w.node()}
	var made [2]atomic.Int64
	var spent atomic.Int64
	var all sync.WaitGroup
	for i := range budget + 5 {
		n, from := nodes[i/2%2], []tb.Token{task, child}[i%2]
		all.Go(func() {
			tok, err := n.Issue(n.ctx, n.exchange("researcher", bearer(from), crm, "read"))
			var no *tb.DeniedError
			switch {
			case err == nil && tok.TaskID == from.TaskID:
				made[i%2].Add(1)
			case errors.As(err, &no) && no.Decision.Reasons[len(no.Decision.Reasons)-1].Why == "the task has no derivation left":
				spent.Add(1)
			default:
				t.Errorf("unexpected %v", err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, budget, made[0].Load()+made[1].Load())
	require.EqualValues(t, 5, spent.Load())
	for id, want := range map[lineage.ID]int64{task.TaskID: budget + 1, child.TaskID: made[1].Load()} {
		got, err := w.Task(w.ctx, ops, id)
		require.NoError(t, err)
		require.EqualValues(t, want, got.Derivations)
	}

	most = 100
	req.Task.MaxDerivations = &most
	inner := w.inside("orchestrator", w.issued(req), "part", "read")
	inner.Task.MaxDerivations = &less
	child = w.issued(inner)
	for range own {
		w.issued(w.exchange("researcher", bearer(child), crm, "read"))
	}
	w.unissued(w.exchange("researcher", bearer(child), crm, "read"), tb.CodeInvalidRequest, "the task has no derivation left")
}

func TestAChildTaskDiesWithItsParentAndNotTheOtherWayRound(t *testing.T) {
	for name, end := range map[string]func(w *world, task tb.Token){
		"completed": func(w *world, task tb.Token) { w.set("orchestrator", task.TaskID, tb.TaskCompleted) },
		"revoked":   func(w *world, task tb.Token) { w.set("ops", task.TaskID, tb.TaskRevoked) },
		"retired": func(w *world, task tb.Token) {
			require.NoError(w, w.Retire(w.ctx, w.client("orchestrator"), task.Value()))
		},
		"cut":        func(w *world, task tb.Token) { w.revoke("task:"+task.TaskID.String(), lineage.Cut) },
		"root grant": func(w *world, task tb.Token) { w.revoke("grant:"+task.TaskID.String(), lineage.Cut) },
	} {
		t.Run(name, func(t *testing.T) {
			w, task, derived := working(t)
			children := w.children(task, derived)
			first := children["orchestrator"]
			grandchild := w.issued(w.inside("orchestrator", first, "deeper", "read"))
			w.set("orchestrator", grandchild.TaskID, tb.TaskSuspended)
			leaf := w.issued(w.exchange("tool", bearer(children["researcher"]), crm, "read"))
			end(w, task)
			for _, tok := range []tb.Token{first, children["researcher"], grandchild, leaf} {
				require.Equal(t, lineage.Revoked, w.state(tok.ID))
				require.False(t, w.active(tok))
				w.is(tok.TaskID, tb.TaskRevoked)
			}
			_, err := w.SetTask(w.ctx, ops, grandchild.TaskID, tb.TaskActive)
			require.ErrorIs(t, err, tb.ErrConflict)
			w.unissued(w.exchange("tool", bearer(first), crm, "read"), tb.CodeInvalidRequest, "the token is revoked")
		})
	}
	w, task, derived := working(t)
	children := w.children(task, derived)
	_, err := w.SetTask(w.ctx, w.client("researcher"), children["orchestrator"].TaskID, tb.TaskCompleted)
	require.ErrorIs(t, err, tb.ErrNotFound, "somebody else's")
	w.set("researcher", children["researcher"].TaskID, tb.TaskCompleted)
	require.False(t, w.active(children["researcher"]))
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), children["orchestrator"].Value()))
	w.is(children["orchestrator"].TaskID, tb.TaskRevoked)
	w.is(task.TaskID, tb.TaskActive)
	for _, tok := range []tb.Token{task, derived} {
		require.True(t, w.active(tok))
		w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	}
}

func TestAChildTaskIsSuspendedWithItsParent(t *testing.T) {
	w, task, derived := working(t)
	for client, child := range w.children(task, derived) {
		resume := func() error {
			_, err := w.SetTask(w.ctx, w.client(client), child.TaskID, tb.TaskActive)
			return err
		}
		w.set(client, child.TaskID, tb.TaskSuspended)
		require.False(t, w.active(child))
		require.True(t, w.active(derived), "the parent goes on")
		w.set("orchestrator", task.TaskID, tb.TaskSuspended)
		require.ErrorIs(t, resume(), tb.ErrConflict)
		w.set("orchestrator", task.TaskID, tb.TaskActive)
		w.is(child.TaskID, tb.TaskSuspended)
		require.False(t, w.active(child), "it was suspended itself")
		require.NoError(t, resume())
		require.True(t, w.active(child))

		w.set("orchestrator", task.TaskID, tb.TaskSuspended)
		w.is(child.TaskID, tb.TaskSuspended)
		w.unissued(w.exchange("tool", bearer(child), crm, "read"), tb.CodeInvalidRequest, "the token is suspended")
		w.set("orchestrator", task.TaskID, tb.TaskActive)
		w.issued(w.exchange("tool", bearer(child), crm, "read"))
	}
}

// TestResumingBelowASuspendedTaskIsAConflict: a caller that resumes a task must not be told that it did while nothing in it
// can go on, whether the task was suspended itself or with the one it lives in.
func TestResumingBelowASuspendedTaskIsAConflict(t *testing.T) {
	w, task, _ := working(t)
	child := w.issued(w.inside("orchestrator", task, "inside", "read"))
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.is(child.TaskID, tb.TaskSuspended)
	_, err := w.SetTask(w.ctx, w.client("orchestrator"), child.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrConflict)
}

func TestAPolicySeesWhatTheChildTaskIsStartedFrom(t *testing.T) {
	w, task, derived := working(t)
	var seen []tb.Facts
	w.policy = func(f tb.Facts) tb.Verdict { seen = append(seen, f); return grantAll(f) }
	child := w.children(task, derived)["researcher"]
	require.Len(t, seen, 2)
	for _, f := range seen {
		require.Equal(t, "triage", f.Parent.Purpose)
		require.Contains(t, []string{"from the task token", "from a derived token"}, f.Task.Purpose)
		require.Empty(t, f.Task.ID, "it is being started")
	}
	w.issued(w.exchange("tool", bearer(child), crm, "read"))
	last := seen[len(seen)-1]
	require.Equal(t, "from a derived token", last.Task.Purpose)
	require.Equal(t, child.TaskID.String(), last.Task.ID)
	require.Equal(t, "from a derived token", last.Parent.Purpose)

	w.set("researcher", child.TaskID, tb.TaskSuspended)
	resumed := len(seen)
	w.set("researcher", child.TaskID, tb.TaskActive)
	last = seen[resumed]
	require.Equal(t, "triage", last.Parent.Purpose, "resuming decides on the same")
	require.Equal(t, "from a derived token", last.Task.Purpose)
}

func TestTasksInsideTasksEndAtTheLimits(t *testing.T) {
	w, tok, _ := working(t)
	depth := 1
	for ; depth < 20; depth++ {
		req := w.inside("orchestrator", tok, "deeper", "read")
		next, err := w.Issue(w.ctx, req)
		if err != nil {
			w.denies(err, tb.CodeInvalidRequest, "too many ancestors")
			break
		}
		tok = next
	}
	require.Equal(t, 8, depth, "two records each, and sixteen at most")
	chain := w.chain(tok.ID)
	require.Len(t, chain, 16)
	require.NoError(t, lineage.VerifyChain(tok.ID, chain))
	w.issued(w.exchange("orchestrator", bearer(tok), crm, "read"))
	w.set("orchestrator", chain[0].ID(), tb.TaskCompleted)
	require.Equal(t, lineage.Revoked, w.state(tok.ID), "the whole of it dies with the first")

	w, task, derived := working(t) // at most three actors
	third := w.issued(w.inside("tool", derived, "third", "read"))
	w.clients["fourth"] = w.clients["researcher"]
	fourth := w.clients["fourth"]
	fourth.ID, fourth.Actors = "fourth", nil
	w.clients["fourth"] = fourth
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		for i := range v.Reasons {
			v.Reasons[i].Delegates = append(v.Reasons[i].Delegates, "fourth")
		}
		return v
	}
	w.unissued(w.inside("researcher", third, "back", "read"), tb.CodeInvalidRequest, "deeper in the chain")
	third = w.issued(w.inside("tool", derived, "third", "read"))
	w.unissued(w.inside("fourth", third, "fourth", "read"), tb.CodeInvalidRequest, "may not grow")
	w.issued(w.inside("tool", task, "second", "read"))
}
