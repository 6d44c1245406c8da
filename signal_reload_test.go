package tokenboundary_test

import (
	"context"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// versions is a policy that says which version of it is in force.
type versions struct {
	w  *world
	in string
}

func (p *versions) Version() string { return p.in }

func (p *versions) Evaluate(_ context.Context, f tb.Facts) (tb.Verdict, error) {
	version := p.in // before the test changes it
	v := p.w.policy(f)
	v.Version = version
	return v, nil
}

// versioned gives a world a policy that says its version, if it does.
func (w *world) versioned(says bool) *versions {
	w.Helper()
	p := &versions{w, "v1"}
	cfg := w.cfg
	cfg.Store, cfg.Policy = w.store, p
	if !says {
		cfg.Policy = tb.PolicyFunc(p.Evaluate)
	}
	g, err := tb.New(cfg)
	require.NoError(w, err)
	w.Governor = g
	return p
}

func TestAReloadDecidesAnewWhatAnotherSetDecided(t *testing.T) {
	for _, says := range []bool{true, false} {
		w := newWorld(t, minting)
		p := w.versioned(says)
		writing, reading := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write")), w.issued(w.exchange("tool", w.human("bob"), mail, "read"))
		p.in = "v2"
		fresh := w.issued(w.exchange("tool", w.human("carol"), crm, "read"))
		w.policy = wary
		want := tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}
		if !says { // then any may be of another set
			want.Examined, want.Kept = 3, 2
		}
		require.Equal(t, want, w.signal(tb.Signal{Reloaded: true}))
		require.Equal(t, lineage.Revoked, w.state(writing.ID))
		require.Equal(t, lineage.Active, w.state(reading.ID))
		require.Equal(t, lineage.Active, w.state(fresh.ID))
		require.Contains(t, w.feed(ops)[0].Reason, "another policy set is in force: no rule allows")
		p.in = "v1"
		if says {
			require.Equal(t, tb.Outcome{Examined: 1, Kept: 1, Complete: true}, w.signal(tb.Signal{Reloaded: true}))
		}
	}
}

// underWay begins to issue a token and returns when the policy is being asked; it answers once let is closed.
func (w *world) underWay(req tb.Request) (let chan struct{}, done chan tb.Token) {
	asked, let, done := make(chan struct{}), make(chan struct{}), make(chan tb.Token)
	w.policy = func(f tb.Facts) tb.Verdict {
		close(asked)
		<-let
		return grantAll(f)
	}
	go func() {
		tok, err := w.Issue(w.ctx, req)
		if err != nil {
			w.Error(err)
		}
		done <- tok
	}()
	<-asked
	return let, done
}

// TestAReloadReachesTheDecisionsUnderWay: what the set before decides is not recorded behind the signal's back.
func TestAReloadReachesTheDecisionsUnderWay(t *testing.T) {
	w := newWorld(t, minting)
	p := w.versioned(true)
	let, done := w.underWay(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy, p.in = wary, "v2"
	short, cancel := context.WithCancel(w.ctx)
	cancel()
	out, err := w.Signal(short, ops, tb.Signal{Reloaded: true})
	require.False(t, out.Complete && err == nil, "it is not over while one is under way")

	outcome := make(chan tb.Outcome)
	go func() {
		out, err := w.Signal(w.ctx, ops, tb.Signal{Reloaded: true})
		if err != nil {
			t.Error(err)
		}
		outcome <- out
	}()
	close(let)
	tok := <-done
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, <-outcome)
	require.Equal(t, lineage.Revoked, w.state(tok.ID))
}

// TestAHostCannotRecordWhatAReloadHasOvertaken: a decision that waits for Record is under way as well.
func TestAHostCannotRecordWhatAReloadHasOvertaken(t *testing.T) {
	for _, reload := range []bool{false, true} {
		w := newWorld(t)
		p := w.versioned(true)
		d := w.decided(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		if !reload {
			require.NoError(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}))
			continue
		}
		p.in, w.policy = "v2", wary
		w.signal(tb.Signal{Reloaded: true})
		w.clock.Add(time.Second)
		err := w.Record(w.ctx, d, tb.HostToken{Handle: "a"})
		require.ErrorIs(t, err, tb.ErrConflict)
		w.refused(w.exchange("orchestrator", w.human("alice"), crm, "write"), tb.CodeInvalidScope, "no rule allows")
	}
}

// TestResumingDecidesAnewWhatCanHaveChanged: with nothing new since it was suspended, the task alone is decided anew.
func TestResumingDecidesAnewWhatCanHaveChanged(t *testing.T) {
	for name, c := range map[string]struct {
		meanwhile func(*world, *versions)
		asked     int // of the task, and of two tokens
	}{
		"nothing":               {func(*world, *versions) {}, 1},
		"a signal":              {func(w *world, _ *versions) { w.risk("subject:alice", "low") }, 3},
		"a signal of another":   {func(w *world, _ *versions) { w.risk("subject:bob", "low") }, 3},
		"another policy set":    {func(_ *world, p *versions) { p.in = "v2" }, 3},
		"a signal, a reload":    {func(w *world, p *versions) { p.in = "v2"; w.signal(tb.Signal{Reloaded: true}) }, 3},
		"a signal known before": {func(w *world, _ *versions) { w.risk("subject:carol", "low") }, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			p := w.versioned(true)
			w.risk("subject:carol", "low")
			req := w.exchange("orchestrator", w.human("alice"), crm, "read")
			req.Task = &tb.TaskSpec{Purpose: "triage"}
			task := w.issued(req)
			derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
			w.setTask(task.TaskID, tb.TaskSuspended)
			c.meanwhile(w, p)
			asked := 0
			w.policy = func(f tb.Facts) tb.Verdict { asked++; return grantAll(f) }
			w.setTask(task.TaskID, tb.TaskActive)
			require.Equal(t, c.asked, asked)
			require.Equal(t, lineage.Active, w.state(derived.ID))
		})
	}
}

// scanning is a store that calls before, once, when a scan begins.
type scanning struct {
	store.Store
	before func()
}

func (s *scanning) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	if f := s.before; f != nil {
		s.before = nil
		f()
	}
	return s.Store.Scan(ctx, issuer, sel, from)
}

// TestWhatIsSuspendedDuringASignalIsNotMissed: a task that is suspended when the signal counts already, and before it is
// looked at, is decided anew by the signal. Otherwise it would come back with nothing new since it was suspended.
func TestWhatIsSuspendedDuringASignalIsNotMissed(t *testing.T) {
	w := newWorld(t, minting)
	hook := &scanning{Store: w.store}
	w.store = hook
	w.versioned(true)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "triage", Authority: []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}}
	task := w.issued(req)
	w.risk("actor:researcher", "low")
	w.policy = wary
	derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Client.ID == "researcher" && f.Risk == "high" {
			return tb.Verdict{}
		}
		return grantAll(f)
	}
	hook.before = func() { w.setTask(task.TaskID, tb.TaskSuspended) }
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("actor:researcher", "high"))
	w.setTask(task.TaskID, tb.TaskActive)
	require.Equal(t, lineage.Active, w.state(task.ID))
	require.Equal(t, lineage.Revoked, w.state(derived.ID))
}
