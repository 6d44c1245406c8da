package tokenboundary_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// deciding lets p decide.
func (w *world) deciding(p tb.PolicyFunc) {
	w.Helper()
	cfg := w.cfg
	cfg.Store, cfg.Policy = w.store, p
	g, err := tb.New(cfg)
	require.NoError(w, err)
	w.Governor = g
}

// alices issues n tokens of alice's, each a millisecond younger than the one before.
func (w *world) alices(n int, scope string) (out []tb.Token) {
	w.Helper()
	for range n {
		out = append(out, w.issued(w.exchange("orchestrator", w.human("alice"), crm, scope)))
		w.clock.Add(time.Millisecond)
	}
	return out
}

// within sends a signal whose time is over with the nth decision, by a policy that is wary.
func (w *world) within(n int, s tb.Signal) tb.Outcome {
	w.Helper()
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	asked := 0
	w.policy = func(f tb.Facts) tb.Verdict {
		if asked++; asked == n {
			cancel()
		}
		return wary(f)
	}
	out, err := w.Signal(ctx, ops, s)
	require.NoError(w, err)
	return out
}

// TestASignalGetsToItsEndHoweverLittleFitsIntoItsTime: sent again from where its answer ended, it passes what it has kept.
func TestASignalGetsToItsEndHoweverLittleFitsIntoItsTime(t *testing.T) {
	w := newWorld(t, minting)
	w.alices(10, "read")
	bad := w.alices(1, "write")[0]
	s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
	for n := 0; n < 10; n += 2 {
		out := w.within(2, s)
		require.Equal(t, tb.Outcome{Examined: 2, Kept: 2, Next: out.Next}, out)
		s.After = out.Next
	}
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.within(2, s))
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

// TestWhatWasFoundBeforeTheTimeEndedIsRevoked: not with the next answer.
func TestWhatWasFoundBeforeTheTimeEndedIsRevoked(t *testing.T) {
	w := newWorld(t, minting)
	bad := w.alices(1, "write")[0]
	w.alices(5, "read")
	out := w.within(4, tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"})
	require.False(t, out.Complete)
	require.Equal(t, 1, out.Revoked)
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

// TestWhatCannotBeDecidedShieldsNothingBehindIt: the signal fails all the same, until that is decided too.
func TestWhatCannotBeDecidedShieldsNothingBehindIt(t *testing.T) {
	w := newWorld(t, minting)
	poison := w.issued(w.exchange("orchestrator", w.human("mallory"), crm, "write"))
	w.clock.Add(time.Millisecond)
	bad := w.alices(1, "write")[0]
	broken := true
	w.deciding(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
		if f.Subject.ID == "mallory" && broken {
			return tb.Verdict{}, errors.New("boom")
		}
		return wary(f), nil
	})
	s := tb.Signal{Env: map[string]any{"frozen": true}}
	for _, revoked := range []int{1, 0} {
		out, err := w.Signal(w.ctx, ops, s)
		require.ErrorIs(t, err, tb.ErrUnavailable)
		require.False(t, out.Complete)
		require.Equal(t, revoked, out.Revoked)
		require.Equal(t, lineage.Revoked, w.state(bad.ID))
		require.Equal(t, lineage.Active, w.state(poison.ID))
	}
	broken = false
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.signal(s))
	require.Equal(t, lineage.Revoked, w.state(poison.ID))
}

// TestWhoeverGoesOnPassesNothingThatWasNotDecided: neither what was under way when the time ended, nor what could not be
// decided; else a signal would be complete, and something live that nobody has looked at.
func TestWhoeverGoesOnPassesNothingThatWasNotDecided(t *testing.T) {
	for name, cause := range map[string]error{"the time ended": nil, "the policy failed": errors.New("boom")} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			all := w.alices(5, "write")
			ctx, cancel := context.WithCancel(w.ctx)
			defer cancel()
			asked := 0
			w.deciding(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
				if asked++; asked != 3 {
					return wary(f), nil
				}
				if cause == nil {
					cancel()
				}
				return wary(f), errors.Join(ctx.Err(), cause)
			})
			s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
			out, err := w.Signal(ctx, ops, s)
			require.False(t, out.Complete)
			require.Equal(t, cause == nil, err == nil)
			require.Equal(t, lineage.Active, w.state(all[2].ID))

			s.After = out.Next
			require.True(t, w.signal(s).Complete)
			for i, tok := range all {
				require.Equal(t, lineage.Revoked, w.state(tok.ID), "%d", i)
			}
		})
	}
}

// TestWhatASlowPolicyHasFoundIsRevoked: though the store has gone on meanwhile, further than clocks may differ.
func TestWhatASlowPolicyHasFoundIsRevoked(t *testing.T) {
	w := newWorld(t, minting)
	bad := w.alices(1, "write")[0]
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Subject.ID == "alice" {
			w.clock.Add(6 * time.Second)
			w.issued(w.exchange("tool", w.human("bob"), crm, "read"))
		}
		return wary(f)
	}
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	require.Equal(t, lineage.Revoked, w.state(bad.ID))
}

// TestATaskWithDetailsOfSeveralResourcesIsResumed: each entry is granted at its own resource, and all of them together.
func TestATaskWithDetailsOfSeveralResourcesIsResumed(t *testing.T) {
	w := newWorld(t, paying)
	amounts := map[string]string{crm: `{"amount":9,"type":"payment"}`, mail: `{"amount":4,"type":"payment"}`}
	w.policy = func(f tb.Facts) tb.Verdict {
		return withDetails(grantAll(f), json.RawMessage("["+amounts[f.Resources[0]]+"]"))
	}
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Details = json.RawMessage("[" + amounts[crm] + "," + amounts[mail] + "]")
	req.Task = &tb.TaskSpec{Purpose: "work", Authority: []lineage.Access{
		{Resource: crm, Scopes: []string{"read"}}, {Resource: mail, Scopes: []string{"read"}},
	}}
	task := w.issued(req).TaskID
	require.Len(t, w.record(task).Body.Granted.Details, 2)
	w.setTask(task, tb.TaskSuspended)
	w.setTask(task, tb.TaskActive)

	w.setTask(task, tb.TaskSuspended)
	amounts[mail] = amounts[crm] // and nobody grants the other one any more
	_, err := w.SetTask(w.ctx, ops, task, tb.TaskActive)
	w.denies(err, tb.CodeInvalidDetails, "less would be granted now")
}
