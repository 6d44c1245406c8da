package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

func (w *world) revoke(sel string, action lineage.Action) {
	w.Helper()
	s, err := lineage.ParseSelector(sel)
	require.NoError(w, err)
	_, err = w.Revoke(w.ctx, ops, lineage.Revocation{Selector: s, Action: action, Reason: "test"})
	require.NoError(w, err)
}

func TestEverySelectorCutsTheWholeChainInOneWrite(t *testing.T) {
	for name, sel := range map[string]func(root, mid tb.Decision) string{
		"token":       func(r, _ tb.Decision) string { return "token:" + r.ID.String() },
		"token below": func(_, m tb.Decision) string { return "token:" + m.ID.String() },
		"task":        func(r, _ tb.Decision) string { return "task:" + r.TaskID.String() },
		"grant":       func(r, _ tb.Decision) string { return "grant:" + r.TaskID.String() },
		"session":     func(tb.Decision, tb.Decision) string { return "session:s-alice" },
		"subject":     func(tb.Decision, tb.Decision) string { return "subject:alice" },
		"actor":       func(tb.Decision, tb.Decision) string { return "actor:orchestrator" },
		"client":      func(tb.Decision, tb.Decision) string { return "client:orchestrator" },
		"connection":  func(tb.Decision, tb.Decision) string { return "connection:prod" },
		"path":        func(tb.Decision, tb.Decision) string { return "path:/agents/orchestrator" },
		"path above":  func(tb.Decision, tb.Decision) string { return "path:/agents" },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			root := w.start("triage", 10, "read")
			mid := w.granted(w.exchange("researcher", host(root), crm, "read"))
			leaf := w.granted(w.exchange("tool", host(mid), crm, "read"))
			require.Equal(t, lineage.Active, w.state(leaf.ID), "positive control")

			w.revoke(sel(root, mid), lineage.Cut)
			require.Equal(t, lineage.Revoked, w.state(leaf.ID))
			w.refused(w.exchange("tool", host(leaf), crm, "read"), tb.CodeInvalidRequest, "the token is revoked")
			entries := 0
			for _, err := range w.Revocations(w.ctx, ops, 0) {
				require.NoError(t, err)
				entries++
			}
			require.Equal(t, 1, entries, "one write, whatever the number of descendants")
		})
	}
}

func TestADatedRevocationSparesWhatComesLater(t *testing.T) {
	w := newWorld(t)
	old := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	stale := w.human("alice") // logged in before the revocation
	w.revoke("subject:alice", lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(old.ID))

	w.clock.Add(2 * time.Minute)
	w.refused(w.exchange("orchestrator", stale, crm, "read"), tb.CodeInvalidRequest, "revoked: subject")
	fresh := w.human("alice")
	fresh.Verified.Session.ID = "s2"
	later := w.granted(w.exchange("orchestrator", fresh, crm, "read"))
	require.Equal(t, lineage.Active, w.state(later.ID))
}

func TestWhatWouldBeBornDeadIsRefusedForNow(t *testing.T) {
	w := newWorld(t)
	req := tb.Request{
		Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{"read"}, Enforce: everything,
	}
	w.granted(req)
	w.clock.Add(time.Minute)
	w.revoke("client:tool", lineage.Cut)
	_, err := w.Decide(w.ctx, req)
	var un *tb.UnavailableError
	require.ErrorAs(t, err, &un)
	require.Positive(t, un.RetryAfter)
	w.clock.Add(un.RetryAfter)
	w.granted(req)
}

func TestABlockStopsIssuanceUntilItIsLifted(t *testing.T) {
	for sel, code := range map[string]tb.Code{
		"client:tool":      tb.CodeUnauthorizedClient,
		"connection:prod":  tb.CodeInvalidTarget,
		"path:/agents":     tb.CodeInvalidTarget,
		"subject:tool":     tb.CodeInvalidRequest,
		"path:/agents/too": "", // names nothing of this request
	} {
		t.Run(sel, func(t *testing.T) {
			w := newWorld(t)
			req := tb.Request{Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{"read"}}
			old := w.granted(req)
			w.clock.Add(time.Minute)
			w.revoke(sel, lineage.Block)
			if code == "" {
				w.granted(req)
				return
			}
			w.clock.Add(time.Hour)
			w.refused(req, code, "revoked: ")
			w.revoke(sel, lineage.Lift)
			require.NotEqual(t, lineage.Active, w.state(old.ID), "what was dead stays dead")
			w.clock.Add(time.Minute)
			w.granted(req)
		})
	}
}

func TestRevocationIsForOperatorsAndReasonsStayInside(t *testing.T) {
	w := newWorld(t)
	sel := lineage.Selector{Kind: lineage.SelectClient, Value: "tool"}
	for _, by := range []tb.Client{{}, w.client("tool"), w.client("crm")} {
		_, err := w.Revoke(w.ctx, by, lineage.Revocation{Selector: sel})
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	w.revoke("client:tool", lineage.Cut)
	for r, err := range w.Revocations(w.ctx, w.client("crm"), 0) {
		require.NoError(t, err)
		require.Empty(t, r.Reason+r.By)
		require.Equal(t, sel, r.Selector)
	}
	var first uint64
	for r, err := range w.Revocations(w.ctx, ops, 0) {
		require.NoError(t, err)
		require.Equal(t, "test", r.Reason)
		first = r.Seq
	}
	for _, after := range []uint64{1, first - 2, first + 1} {
		gone := false
		for _, err := range w.Revocations(w.ctx, ops, after) {
			require.ErrorIs(t, err, tb.ErrGone)
			gone = true
		}
		require.True(t, gone, "after %d", after-first)
	}
	again, err := w.Revoke(w.ctx, ops, lineage.Revocation{Selector: sel})
	require.NoError(t, err)
	require.Equal(t, first+1, again.Seq)
	require.Equal(t, w.clock.Now().Add(5*time.Second), again.Before)
	_, err = w.Revoke(w.ctx, ops, lineage.Revocation{Selector: lineage.Selector{Kind: "key", Value: "k"}, Action: lineage.Block})
	require.ErrorIs(t, err, tb.ErrInvalid, "what never comes back cannot be blocked")
}

func TestAPositionInAStoreIsNoneInTheOneThatReplacedIt(t *testing.T) {
	w := newWorld(t)
	last := func() (seq uint64) {
		for r, err := range w.Revocations(w.ctx, ops, 0) {
			require.NoError(t, err)
			seq = r.Seq
		}
		return seq
	}
	w.revoke("client:tool", lineage.Cut)
	w.revoke("client:tool", lineage.Cut)
	before := last()
	w.restart()
	require.Equal(t, before, last(), "a restart on the same store goes on")

	w.clock.Add(time.Second)
	w.store = memory.New()
	w.restart()
	for range 5 {
		w.revoke("client:tool", lineage.Cut)
	}
	require.Greater(t, last(), before)
	for _, err := range w.Revocations(w.ctx, ops, before) {
		require.ErrorIs(t, err, tb.ErrGone, "what the new store has is not what the reader has missed")
	}
	require.NoError(t, w.AwaitRevocation(w.ctx, before), "and the wait ends at once")
}

func TestARenewedFeedKnowsNoEarlierPosition(t *testing.T) {
	w := newWorld(t)
	w.revoke("client:tool", lineage.Cut)
	var before uint64
	for r, err := range w.Revocations(w.ctx, ops, 0) {
		require.NoError(t, err)
		before = r.Seq
	}
	require.ErrorIs(t, w.RenewFeed(w.ctx, w.client("crm")), tb.ErrForbidden)
	w.clock.Add(time.Second)
	require.NoError(t, w.RenewFeed(w.ctx, ops))
	for _, err := range w.Revocations(w.ctx, ops, before) {
		require.ErrorIs(t, err, tb.ErrGone)
	}
	n := 0
	for r, err := range w.Revocations(w.ctx, ops, 0) {
		require.NoError(t, err)
		require.Greater(t, r.Seq, before)
		n++
	}
	require.Equal(t, 1, n, "nothing is lost to a reader that begins anew")
}
