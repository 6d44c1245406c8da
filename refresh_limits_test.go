package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestARefreshIsNeverDeferred: what it would have to wait for is left out, and one token keeps one successor.
func TestARefreshIsNeverDeferred(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("read", "write")
	w.policy = obliged(w.policy, approvalBy("leads", "write"))
	ask := func(scopes ...string) tb.Request {
		req := w.again("orchestrator", tok.RefreshValue(), scopes...)
		req.Deferrable = true
		return req
	}
	d := w.unissued(ask("write"), tb.CodeInvalidScope, "nothing is left")
	require.Nil(t, d.Deferral)
	require.Empty(t, w.open(lead))
	require.Equal(t, []string{"read"}, w.issued(ask()).Scopes)
	w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write")) // positive control
}

// TestAHostThatCannotNarrowIsToldNoByARefresh: it would grant again all that it granted.
func TestAHostThatCannotNarrowIsToldNoByARefresh(t *testing.T) {
	w := newWorld(t, refreshing, func(w *world) { w.cfg.Minter = nil })
	ask := func(family lineage.ID, caps tb.Caps) tb.Decision {
		req := w.again("orchestrator", "")
		req.Subject, req.Enforce = kept(family), caps
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		return d
	}
	mixed := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "once", "read")).Family
	whole := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read", "write")).Family
	d := ask(mixed, everything&^tb.CapScopes)
	require.Equal(t, tb.Deny, d.Effect)
	require.Equal(t, tb.CodeInvalidScope, d.Code)
	d = ask(mixed, everything)
	require.Equal(t, tb.Allow, d.Effect)
	require.Equal(t, []string{"read"}, d.Granted.Scopes(crm))
	d = ask(whole, everything&^tb.CapScopes)
	require.Equal(t, tb.Allow, d.Effect)
	require.Equal(t, []string{"read", "write"}, d.Granted.Scopes(crm))
}

// TestReuseCountsWhileTheTaskIsSuspended: resuming the task does not resume the family.
func TestReuseCountsWhileTheTaskIsSuspended(t *testing.T) {
	for _, reused := range []bool{false, true} {
		w := newWorld(t, refreshing)
		req := w.exchange("orchestrator", w.human("alice"), crm, "read")
		req.Task = &tb.TaskSpec{Purpose: "work"}
		tok := w.issued(req)
		next := w.issued(w.again("orchestrator", tok.RefreshValue()))
		w.setTask(tok.TaskID, tb.TaskSuspended)
		if reused {
			w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "used before")
		}
		w.unissued(w.again("researcher", tok.RefreshValue()), tb.CodeInvalidGrant, "issued to another client")
		w.setTask(tok.TaskID, tb.TaskActive)
		if reused {
			w.unissued(w.again("orchestrator", next.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
			continue
		}
		w.issued(w.again("orchestrator", next.RefreshValue()))
	}
}

// TestAReplayedProofChangesNothing: whoever has seen a request has no key. It neither ends a family nor polls.
func TestAReplayedProofChangesNothing(t *testing.T) {
	w := newWorld(t, binding)
	tok := w.issued(bound(w.exchange("orchestrator", w.human("alice"), crm, "read"), w.proves("k")))
	req := bound(w.again("orchestrator", tok.RefreshValue()), w.proves("k"))
	next := w.issued(req)
	for range 2 {
		w.unissued(req, tb.CodeInvalidProof, "the proof was used before")
		require.True(t, w.active(next))
	}
	w.unissued(bound(w.again("orchestrator", tok.RefreshValue()), w.proves("k")), tb.CodeInvalidGrant, "used before")
	require.False(t, w.active(next), "who has the key has used it twice")

	w.policy = obliged(w.policy, approvalBy("leads", "write"))
	d := w.waits(bound(w.exchange("orchestrator", w.human("alice"), crm, "write"), w.proves("k")))
	poll := func(proof tb.Credential) tb.Request {
		return bound(polling(w.as("orchestrator"), d.Deferral.Value()), proof)
	}
	seen := w.proves("k")
	w.unissued(poll(seen), tb.CodeAuthorizationPending, "not yet")
	w.unissued(poll(seen), tb.CodeInvalidProof, "the proof was used before")
	w.clock.Add(5 * time.Second)
	w.unissued(poll(w.proves("k")), tb.CodeAuthorizationPending, "not yet") // and not too fast
}
