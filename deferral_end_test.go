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

// work starts a task in which the leads must agree to "write".
func (w *world) work(budget uint64) tb.Token {
	w.Helper()
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: 4 * time.Minute, MaxDerivations: &budget}
	policy := w.policy
	w.policy = grantAll
	tok := w.issued(req)
	w.policy = policy
	return tok
}

func (w *world) setTask(id lineage.ID, to tb.TaskState) {
	w.Helper()
	_, err := w.SetTask(w.ctx, ops, id, to)
	require.NoError(w, err)
}

// TestADeferredRequestDiesWithWhatItComesFrom: before somebody agreed, and after that before the release.
func TestADeferredRequestDiesWithWhatItComesFrom(t *testing.T) {
	for name, end := range map[string]func(w *world, task tb.Token){
		"task completed": func(w *world, task tb.Token) { w.setTask(task.TaskID, tb.TaskCompleted) },
		"task revoked":   func(w *world, task tb.Token) { w.setTask(task.TaskID, tb.TaskRevoked) },
		"task token retired": func(w *world, task tb.Token) {
			require.NoError(w, w.Retire(w.ctx, w.client("orchestrator"), task.Value()))
		},
		"token":      func(w *world, task tb.Token) { w.revoke("token:"+task.ID.String(), lineage.Cut) },
		"grant":      func(w *world, task tb.Token) { w.revoke("grant:"+task.TaskID.String(), lineage.Cut) },
		"subject":    func(w *world, _ tb.Token) { w.revoke("subject:alice", lineage.Cut) },
		"session":    func(w *world, _ tb.Token) { w.revoke("session:s-alice", lineage.Cut) },
		"client":     func(w *world, _ tb.Token) { w.revoke("client:researcher", lineage.Cut) },
		"actor":      func(w *world, _ tb.Token) { w.revoke("actor:orchestrator", lineage.Block) },
		"connection": func(w *world, _ tb.Token) { w.revoke("connection:prod", lineage.Cut) },
		"path":       func(w *world, _ tb.Token) { w.revoke("path:/agents/researcher", lineage.Cut) },
		"ended": func(w *world, _ tb.Token) {
			_, err := w.Signal(w.ctx, ops, tb.Signal{Selector: lineage.Selector{Kind: "session", Value: "s-alice"}, Ended: true})
			require.NoError(w, err)
		},
	} {
		for _, agreed := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				w := newWorld(t, approving)
				task := w.work(10)
				d := w.waits(w.exchange("researcher", bearer(task), crm, "write"))
				other := w.waits(w.exchange("tool", w.human("bob"), mail, "write"))
				if agreed {
					w.approved(d)
				}
				w.clock.Add(time.Second)
				end(w, task)
				w.clock.Add(10 * time.Second) // beyond the leeway of clocks
				_, err := w.poll("researcher", d)
				w.denies(err, tb.CodeInvalidGrant, "what it was made from is revoked")
				_, err = w.Approve(w.ctx, lead, d.ID, true)
				require.ErrorIs(t, err, tb.ErrConflict)
				for _, a := range w.open(lead) {
					require.NotEqual(t, d.ID, a.ID, "nobody is asked any more")
				}
				if name != "connection" { // which is the other's too
					w.approved(other)
					w.polled("tool", other)
				}
			})
		}
	}
}

func TestADeferredRequestDiesAndLapsesWithItsActorsToken(t *testing.T) {
	for _, cut := range []bool{false, true} {
		w := newWorld(t, approving)
		actor := w.issued(tb.Request{Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{"read"}})
		w.clock.Add(3 * time.Minute)
		w.policy = grantAll
		root := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
		w.policy = obliged(grantAll, approvalBy("leads", "write"))
		req := w.exchange("tool", bearer(root), crm, "write")
		req.Actor = bearer(actor)
		d := w.waits(req)
		require.Equal(t, 2*time.Minute, d.Deferral.ExpiresIn)
		w.approved(d)
		if cut {
			w.revoke("token:"+actor.ID.String(), lineage.Cut)
			_, err := w.poll("tool", d)
			w.denies(err, tb.CodeInvalidGrant, "what it was made from is revoked")
			continue
		}
		tok := w.polled("tool", d)
		require.Equal(t, []string{"tool", "orchestrator"}, ids(w.record(tok.ID).Body.Actors))
		w.revoke("token:"+actor.ID.String(), lineage.Cut)
		require.Equal(t, lineage.Revoked, w.state(tok.ID))
	}
}

func TestADeferredRequestLapsesWithWhatItComesFrom(t *testing.T) {
	w := newWorld(t, approving)
	task := w.work(10) // ends after four minutes, the task token too
	w.policy = grantAll
	parent := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read", "write")) // ends after five
	outside := w.outside(party("mid", idp))                                              // ends after ten
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
	w.clock.Add(3 * time.Minute)
	waiting := map[time.Duration]tb.Decision{
		time.Minute:      w.waits(w.exchange("researcher", bearer(task), crm, "write")),
		2 * time.Minute:  w.waits(w.exchange("researcher", bearer(parent), crm, "write")),
		7 * time.Minute:  w.waits(w.exchange("researcher", outside, crm, "write")),
		10 * time.Minute: w.waits(w.exchange("researcher", w.human("carol"), crm, "write")), // a login bounds nothing
	}
	start := w.clock.Now()
	for _, after := range []time.Duration{time.Minute, 2 * time.Minute, 7 * time.Minute, 10 * time.Minute} {
		d := waiting[after]
		require.Equal(t, after, d.Deferral.ExpiresIn)
		w.clock.Set(start.Add(after - time.Millisecond))
		_, err := w.poll("researcher", d)
		w.denies(err, tb.CodeAuthorizationPending, "not yet")
		w.clock.Set(start.Add(after))
		_, err = w.poll("researcher", d)
		w.denies(err, tb.CodeExpiredToken, "nobody agreed in time")
	}
	require.Empty(t, w.open(lead))
	req := w.exchange("researcher", w.human("carol"), crm, "write")
	req.Task = &tb.TaskSpec{Purpose: "short", ExpiresIn: 30 * time.Second}
	require.Equal(t, 30*time.Second, w.waits(req).Deferral.ExpiresIn, "the task would be over")
}

func TestWhileItsTaskIsSuspendedARequestGoesOnWaiting(t *testing.T) {
	w := newWorld(t, approving)
	guarded := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { // the task itself needs no approval, and can be resumed
		if f.Client.ID == "orchestrator" {
			return grantAll(f)
		}
		return guarded(f)
	}
	task := w.work(10)
	pending, agreed := w.waits(w.exchange("researcher", bearer(task), crm, "write")), w.waits(w.exchange("tool", bearer(task), crm, "write"))
	w.approved(agreed)
	w.setTask(task.TaskID, tb.TaskSuspended)
	for range 2 {
		w.stillWaits("researcher", pending)
		_, err := w.poll("tool", agreed)
		w.denies(err, tb.CodeAuthorizationPending, "not yet")
	}
	w.setTask(task.TaskID, tb.TaskActive)
	w.polled("tool", agreed)
	w.stillWaits("researcher", pending)
	w.approved(pending)
	w.polled("researcher", pending)
}

// asks asks as a client that accepts to wait; again where the state had changed too often in between.
func (w *world) asks(req tb.Request) (tb.Decision, error) {
	req.Deferrable = true
	for {
		_, err := w.Issue(w.ctx, req)
		var no *tb.DeniedError
		if errors.As(err, &no) {
			return no.Decision, nil
		}
		if !errors.Is(err, tb.ErrUnavailable) {
			return tb.Decision{}, err
		}
	}
}

func TestTheQuotaOfPendingRequestsIsExactUnderConcurrency(t *testing.T) {
	const quota = 3
	w := newWorld(t, approving, func(w *world) { w.cfg.Deferrals = quota })
	var waiting, over atomic.Int64
	var all sync.WaitGroup
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	for range 64 {
		all.Go(func() {
			switch d, err := w.asks(req); {
			case err == nil && d.Code == tb.CodeAuthorizationPending:
				waiting.Add(1)
			case err == nil && d.Code == tb.CodeInvalidRequest && d.Reasons[len(d.Reasons)-1].Why == "too many requests wait already":
				over.Add(1)
			default:
				t.Errorf("%+v %v", d, err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, quota, waiting.Load())
	require.EqualValues(t, 64-quota, over.Load())
	require.Len(t, w.open(lead), quota)
}

func TestWhatFreesAPlaceAmongThePendingRequests(t *testing.T) {
	w := newWorld(t, approving, func(w *world) { w.cfg.Deferrals = 2 })
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	full := func() {
		t.Helper()
		d, err := w.asks(req)
		require.NoError(t, err)
		require.Equal(t, tb.CodeInvalidRequest, d.Code)
		require.Equal(t, "completion_mode", d.Parameter)
		require.Nil(t, d.Deferral)
	}
	one, two := w.waits(req), w.waits(req)
	full()
	w.waits(w.exchange("tool", w.human("alice"), crm, "write")) // of another client

	_, err := w.Approve(w.ctx, lead, one.ID, false)
	require.NoError(t, err)
	three := w.waits(req)
	full()
	w.approved(two)
	full() // it is not released yet
	w.polled("orchestrator", two)
	four := w.waits(req)
	full()
	w.restart()
	full()
	require.Less(t, time.Duration(0), four.Deferral.ExpiresIn)
	w.clock.Add(three.Deferral.ExpiresIn - time.Millisecond)
	full()
	w.clock.Add(time.Millisecond)
	req.Subject = w.human("alice")
	w.waits(req)
	w.waits(req)
	full()
}

func TestADeadRequestTakesNoPlace(t *testing.T) {
	w := newWorld(t, approving, func(w *world) { w.cfg.Deferrals = 1 })
	task := w.work(10)
	w.waits(w.exchange("researcher", bearer(task), crm, "write"))
	w.setTask(task.TaskID, tb.TaskCompleted)
	w.waits(w.exchange("researcher", w.human("bob"), crm, "write"))
}
