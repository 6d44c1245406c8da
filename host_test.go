package tokenboundary_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func (w *world) decided(req tb.Request) tb.Decision {
	w.Helper()
	req.Enforce = everything
	d, err := w.Decide(w.ctx, req)
	require.NoError(w, err)
	require.Equal(w, tb.Allow, d.Effect)
	return d
}

func TestRecordBindsOneHandleToADecision(t *testing.T) {
	w := newWorld(t)
	d := w.decided(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	_, err := w.Lineage(w.ctx, ops, d.ID)
	require.ErrorIs(t, err, tb.ErrNotFound, "an allow writes nothing before Record")

	plain, err := json.Marshal(d)
	require.NoError(t, err)
	var kept tb.Decision
	require.NoError(t, json.Unmarshal(plain, &kept), "a host keeps it with its session")
	require.NoError(t, w.Record(w.ctx, kept, tb.HostToken{Handle: "a"}))
	require.NoError(t, w.Record(w.ctx, kept, tb.HostToken{Handle: "a"}), "the repeat of a lost answer")
	require.ErrorIs(t, w.Record(w.ctx, kept, tb.HostToken{Handle: "b"}), tb.ErrConflict)
	require.ErrorIs(t, w.Record(w.ctx, kept, tb.HostToken{}), tb.ErrInvalid)

	byHandle := tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{Party: d.Subject, Handle: "a"}}
	w.granted(w.exchange("orchestrator", byHandle, crm, "read"))
	byHandle.Verified.Handle = "b"
	w.refused(w.exchange("orchestrator", byHandle, crm, "read"), tb.CodeInvalidRequest, "no decision has this handle")
}

func TestRecordChecksEveryConditionAgain(t *testing.T) {
	for name, between := range map[string]func(*world, tb.Decision){
		"the task was completed": func(w *world, task tb.Decision) {
			_, err := w.SetTask(w.ctx, ops, task.TaskID, tb.TaskCompleted)
			require.NoError(w, err)
		},
		"the subject was revoked": func(w *world, _ tb.Decision) { w.revoke("subject:alice", lineage.Cut) },
		"the client was blocked":  func(w *world, _ tb.Decision) { w.revoke("client:researcher", lineage.Block) },
		"it is too old":           func(w *world, _ tb.Decision) { w.clock.Add(61 * time.Second) },
		"the facts changed": func(w *world, _ tb.Decision) {
			heads, err := w.store.Heads(w.ctx, issuer, []string{"fact:env"})
			require.NoError(w, err)
			require.NoError(w, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{
				{Key: "fact:env", Version: heads[0].Version, State: "set", Value: []byte(`{"frozen":true}`)},
			}}})[0])
		},
		"the budget was spent": func(w *world, task tb.Decision) {
			w.granted(w.exchange("researcher", host(task), crm, "read"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			task := w.start("triage", 1, "read")
			d := w.decided(w.exchange("researcher", host(task), crm, "read"))
			between(w, task)
			require.ErrorIs(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}), tb.ErrConflict)
			_, err := w.Lineage(w.ctx, ops, d.ID)
			require.ErrorIs(t, err, tb.ErrNotFound)
		})
	}
}

// TestASpentBudgetIsADenialOfTheDecision: the host learns it before it mints, and the client why.
func TestASpentBudgetIsADenialOfTheDecision(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 1, "read")
	first, second := w.exchange("researcher", host(task), crm, "read"), w.exchange("researcher", host(task), crm, "read")
	d := w.decided(first)
	require.NoError(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}), "control")
	second.Enforce = tb.CapRecord | first.Enforce
	denied, err := w.Decide(w.ctx, second)
	require.NoError(t, err)
	require.Equal(t, tb.Deny, denied.Effect)
	require.Equal(t, tb.CodeInvalidRequest, denied.Code)
	require.Nil(t, denied.Pending)
}

func TestADecisionFollowsChangedFacts(t *testing.T) {
	w := newWorld(t)
	var seen []any
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { seen = append(seen, f.Env["frozen"]); return grant(f) }
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Enforce = everything &^ tb.CapRecord
	_, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.NoError(t, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{
		{Key: "fact:env", Version: 1, State: "set", Value: []byte(`{"frozen":true}`)},
	}}})[0])
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.Equal(t, tb.Allow, d.Effect)
	require.Equal(t, []any{false, true}, seen)
	nodes, err := w.Lineage(w.ctx, ops, d.ID)
	require.NoError(t, err)
	require.Equal(t, map[string]uint64{"fact:env": 2}, nodes[0].Record.Body.Facts)
}

func TestWhatAHostCannotEnforceIsADenial(t *testing.T) {
	w := newWorld(t)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		f.Scopes = f.Scopes[:1]
		return grant(f)
	}
	try := func(caps tb.Caps, lifetime time.Duration, scopes ...string) tb.Decision {
		req := w.exchange("orchestrator", w.human("alice"), crm, scopes...)
		req.Enforce, req.Lifetime = caps, lifetime
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		return d
	}
	require.Equal(t, tb.Allow, try(everything, 0, "read", "write").Effect)
	require.Equal(t, tb.CodeInvalidScope, try(everything&^tb.CapScopes, 0, "read", "write").Code)
	require.Equal(t, tb.Allow, try(everything&^tb.CapScopes, 0, "read").Effect)
	require.Equal(t, tb.CodeInvalidRequest, try(everything&^tb.CapLifetime, time.Hour, "read").Code)
	require.Equal(t, tb.CodeInvalidRequest, try(everything&^tb.CapLifetime, 0, "read").Code)
	require.Equal(t, tb.Allow, try(everything&^tb.CapLifetime, time.Minute, "read").Effect)

	d := try(everything&^tb.CapRecord, 0, "read")
	require.Nil(t, d.Pending)
	nodes, err := w.Lineage(w.ctx, ops, d.ID)
	require.NoError(t, err)
	require.True(t, nodes[0].Record.Body.Unconfirmed)
}

func TestRecordRefusesADecisionThatIsNotWhole(t *testing.T) {
	w := newWorld(t)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work"}
	other := w.decided(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	for name, damage := range map[string]func(*tb.Decision){
		"denied":           func(d *tb.Decision) { d.Effect = tb.Deny },
		"nothing pending":  func(d *tb.Decision) { d.Pending = nil },
		"no records":       func(d *tb.Decision) { d.Pending.Records = nil },
		"a body is erased": func(d *tb.Decision) { d.Pending.Records[0] = d.Pending.Records[0].Erase() },
		"another's record": func(d *tb.Decision) { d.Pending.Records = other.Pending.Records },
		"another's id":     func(d *tb.Decision) { d.ID = other.ID },
	} {
		d := w.decided(req)
		damage(&d)
		require.ErrorIs(t, w.Record(w.ctx, d, tb.HostToken{Handle: "a"}), tb.ErrInvalid, name)
	}
	require.NoError(t, w.Record(w.ctx, w.decided(req), tb.HostToken{Handle: "a"}), "positive control")
}
