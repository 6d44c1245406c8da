package tokenboundary_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestWhatIsDecidedWhenTheTimeEndsIsNotPassedBy: the policy honours its context, and the record comes again.
func TestWhatIsDecidedWhenTheTimeEndsIsNotPassedBy(t *testing.T) {
	w := newWorld(t, minting)
	bad := w.alices(1, "write")[0]
	w.alices(3, "read")
	ctx, cancel := context.WithCancel(w.ctx)
	first := true
	w.deciding(func(c context.Context, f tb.Facts) (tb.Verdict, error) {
		if first {
			first = false
			cancel()
		}
		if c.Err() != nil {
			return tb.Verdict{}, c.Err()
		}
		return wary(f), nil
	})
	s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
	out, err := w.Signal(ctx, ops, s)
	require.NoError(t, err)
	require.False(t, out.Complete)
	s.After = out.Next
	out = w.signal(s)
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

func TestWhatCouldNotBeDecidedIsNotPassedBy(t *testing.T) {
	w := newWorld(t, minting)
	bad := w.alices(1, "write")[0]
	w.alices(3, "read")
	ctx, cancel := context.WithCancel(w.ctx)
	n := 0
	w.deciding(func(c context.Context, f tb.Facts) (tb.Verdict, error) {
		n++
		if n == 1 {
			return tb.Verdict{}, errors.New("boom")
		}
		if n == 2 {
			cancel()
		}
		return wary(f), nil
	})
	s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
	out, err := w.Signal(ctx, ops, s)
	require.NoError(t, err)
	require.False(t, out.Complete)
	s.After = out.Next
	w.signal(s)
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

// TestASignalJudgedByTheSetBeforeIsJudgedAgain: while policies are rolled out, a node that is behind takes a signal.
func TestASignalJudgedByTheSetBeforeIsJudgedAgain(t *testing.T) {
	w := newWorld(t, minting)
	p := w.versioned(true)
	strict := wary
	lax := func(f tb.Facts) tb.Verdict { return grantAll(f) }
	// node A has v2 already (strict)
	p.in, w.policy = "v2", strict
	w.risk("subject:alice", "low")
	bad := w.alices(1, "write")[0]
	// node B still has v1 (lax), and gets the signal
	p.in, w.policy = "v1", lax
	w.risk("subject:alice", "high")
	require.Equal(t, lineage.Active, w.state(bad.ID))
	// node B reloads
	p.in, w.policy = "v2", strict
	w.signal(tb.Signal{Reloaded: true})
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

func TestWhatANodeBehindHasResumedIsJudgedAgain(t *testing.T) {
	w := newWorld(t, minting)
	p := w.versioned(true)
	p.in, w.policy = "v2", wary
	w.risk("subject:alice", "low")
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage", ExpiresIn: 30 * time.Minute}
	task := w.issued(req)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	w.risk("subject:alice", "high")
	p.in, w.policy = "v1", grantAll
	w.set("orchestrator", task.TaskID, tb.TaskActive)
	p.in, w.policy = "v2", wary
	w.signal(tb.Signal{Reloaded: true})
	require.Equal(t, lineage.Revoked, w.state(task.ID))
}

func TestAReplayedAssertionResumesAndEndsNothing(t *testing.T) {
	w, task, derived := working(t)
	w.set("orchestrator", task.TaskID, tb.TaskSuspended)
	cred := w.once("orchestrator", "a")
	by, err := w.Authenticate(w.ctx, cred)
	require.NoError(t, err)
	w.issued(asked(cred)) // spent
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Client.ID == "researcher" {
			return tb.Verdict{Path: "/x"}
		}
		return grantAll(f)
	}
	w.risk("subject:alice", "high")
	require.Equal(t, lineage.Suspended, w.state(derived.ID))
	_, err = w.SetTask(w.ctx, by, task.TaskID, tb.TaskActive)
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	require.Equal(t, lineage.Suspended, w.state(derived.ID))
}

func TestADelegateIsNamedAtTheReleaseToo(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Client.ID == "researcher" {
			return obliged(grantAll, approvalBy("leads", "write"))(f)
		}
		return grantAll(f)
	}
	owner := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	d := w.waits(w.exchange("researcher", bearer(owner), crm, "write"))
	w.approved(d)
	old := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := old(f)
		for i := range v.Reasons {
			v.Reasons[i].Delegates = nil
		}
		return v
	}
	_, err := w.Issue(w.ctx, w.exchange("researcher", bearer(owner), crm, "read"))
	require.Error(t, err) // control
	_, err = w.poll("researcher", d)
	require.Error(t, err)
}

func TestAnApproverThatIsCutBeforeTheDecisionIsRecorded(t *testing.T) {
	for _, before := range []bool{true, false} {
		w := newWorld(t, approving)
		d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		w.approved(d)
		w.clock.Add(10 * time.Second)
		cut := func() {
			_, err := w.Revoke(w.ctx, ops, lineage.Revocation{Selector: selector(w, "client:"+lead.ID), Action: lineage.Block})
			require.NoError(t, err)
		}
		if before {
			cut()
		}
		req := polling(w.as("orchestrator"), d.Deferral.Value())
		req.Enforce = everything
		dec, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		if before {
			require.Equal(t, tb.Deny, dec.Effect)
			continue
		}
		require.Equal(t, tb.Allow, dec.Effect)
		cut()
		require.ErrorIs(t, w.Record(w.ctx, dec, tb.HostToken{Handle: "h"}), tb.ErrConflict)
	}
}
