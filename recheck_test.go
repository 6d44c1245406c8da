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

// rechecked returns a policy that lets what it grants be relied on for so long.
func rechecked(policy func(tb.Facts) tb.Verdict, d time.Duration) func(tb.Facts) tb.Verdict {
	return func(f tb.Facts) tb.Verdict {
		v := policy(f)
		v.Recheck = d
		return v
	}
}

func (w *world) introspected(by tb.Client, tok tb.Token) tb.State {
	w.Helper()
	s, err := w.Introspect(w.ctx, by, tok.Value())
	require.NoError(w, err)
	return s
}

func TestATokenIsDecidedAnewAfterItsRecheckInterval(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = rechecked(grantAll, 30*time.Second)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy = grantAll
	free := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	asked := 0
	w.policy = func(f tb.Facts) tb.Verdict { asked++; return wary(f) } // which would not issue either now
	for _, by := range []string{"crm", "ops"} {
		require.EqualValues(t, 30, w.introspected(w.client(by), tok).Claims.Recheck)
		require.Zero(t, w.introspected(w.client(by), free).Claims.Recheck)
	}
	w.clock.Add(30*time.Second - time.Millisecond)
	require.True(t, w.introspected(w.client("crm"), tok).Active)
	require.Zero(t, asked, "before the interval is over it is relied on")
	w.clock.Add(time.Millisecond)
	for _, by := range []string{"crm", "ops"} {
		require.Equal(t, tb.State{}, w.introspected(w.client(by), tok))
		require.True(t, w.introspected(w.client(by), free).Active, "one without an interval is")
	}
	require.Equal(t, 2, asked)
	require.Equal(t, lineage.Active, w.state(tok.ID), "a read changes nothing")
	w.policy = grantAll
	require.True(t, w.introspected(w.client("crm"), tok).Active, "it would be issued again")
	w.clock.Add(5 * time.Minute)
	require.False(t, w.introspected(w.client("crm"), tok).Active)
}

func TestARecheckSeesFactsAndRegistrations(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = rechecked(wary, 30*time.Second)
	w.risk("subject:alice", "low")
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.clock.Add(30 * time.Second)
	require.True(t, w.introspected(ops, tok).Active)
	c := w.clients["orchestrator"]
	delete(w.clients, "orchestrator")
	require.False(t, w.introspected(ops, tok).Active)
	w.clients["orchestrator"] = c
	require.True(t, w.introspected(ops, tok).Active)

	faulty := storetest.FailOn(w.store, storetest.Heads, errors.New("boom"))
	w.store = faulty
	w.restart()
	_, err := w.Introspect(w.ctx, ops, tok.Value())
	require.ErrorIs(t, err, tb.ErrUnavailable, "what cannot be decided is neither")
	faulty.Set(false)
	require.True(t, w.introspected(ops, tok).Active)
}

func TestAChildIsReliedOnForNoLongerThanItsParent(t *testing.T) {
	w := newWorld(t, refreshing)
	grant := w.policy
	recheck := func(tok tb.Token) time.Duration {
		d := w.record(tok.ID).Body.Recheck
		require.EqualValues(t, d/time.Second, w.introspected(ops, tok).Claims.Recheck)
		return d
	}
	for _, c := range []struct{ parent, own, child time.Duration }{
		{0, 0, 0}, {0, 30 * time.Second, 30 * time.Second}, {30 * time.Second, 0, 30 * time.Second},
		{30 * time.Second, time.Minute, 30 * time.Second}, {time.Minute, 30 * time.Second, 30 * time.Second},
	} {
		w.clock.Add(time.Second)
		w.policy = rechecked(grant, c.parent)
		parent := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
		require.Equal(t, c.parent, recheck(parent))
		w.policy = rechecked(grant, c.own)
		require.Equal(t, c.child, recheck(w.issued(w.exchange("researcher", bearer(parent), crm, "read"))))
		require.Equal(t, c.child, recheck(w.issued(w.again("orchestrator", parent.RefreshValue()))), "refreshed")
	}
}

func TestTheShortestRecheckOfATaskCounts(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		if len(f.Resources) > 0 && f.Resources[0] == mail {
			v.Recheck = 20 * time.Second
		} else {
			v.Recheck = time.Minute
		}
		return v
	}
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Task = &tb.TaskSpec{Purpose: "triage", Authority: []lineage.Access{
		{Resource: crm, Scopes: []string{"read"}}, {Resource: mail, Scopes: []string{"send"}},
	}}
	task := w.issued(req)
	require.Equal(t, 20*time.Second, w.record(task.ID).Body.Recheck)
	require.Equal(t, 20*time.Second, w.record(w.issued(w.exchange("researcher", bearer(task), crm, "read")).ID).Body.Recheck)
}

// TestAnIntervalBelowASecondIsNotNone: the claim counts seconds, and none means that there is no interval.
func TestAnIntervalBelowASecondIsNotNone(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = rechecked(grantAll, 500*time.Millisecond)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.NotZero(t, w.introspected(ops, tok).Claims.Recheck)
	w.policy = wary
	w.clock.Add(time.Second)
	require.True(t, w.introspected(ops, tok).Active, "positive control: reading needs no known risk")
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	require.False(t, w.introspected(ops, tok).Active)
}
