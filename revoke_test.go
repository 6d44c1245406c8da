package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
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
			require.Len(t, w.feed(ops), 1, "one write, whatever the number of descendants")
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
	seen := w.feed(w.client("crm"))
	require.Len(t, seen, 1)
	require.Equal(t, sel, seen[0].Selector)
	require.Empty(t, seen[0].Reason+seen[0].By)
	seen = w.feed(ops)
	require.Len(t, seen, 1)
	require.Equal(t, "test", seen[0].Reason)
	first := seen[0].Seq
	for _, after := range []uint64{1, first - 2, first + 1} {
		w.gone(after)
	}
	again, err := w.Revoke(w.ctx, ops, lineage.Revocation{Selector: sel})
	require.NoError(t, err)
	require.Equal(t, first+1, again.Seq)
	require.Equal(t, w.clock.Now().Add(5*time.Second), again.Before)
	_, err = w.Revoke(w.ctx, ops, lineage.Revocation{Selector: lineage.Selector{Kind: "key", Value: "k"}, Action: lineage.Block})
	require.ErrorIs(t, err, tb.ErrInvalid, "what never comes back cannot be blocked")
}
