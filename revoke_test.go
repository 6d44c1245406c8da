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

// TestABlockedClientIsToldSoOfItsOwnToken: not what its token amounts to because of that. One that was cut is.
func TestABlockedClientIsToldSoOfItsOwnToken(t *testing.T) {
	for action, want := range map[lineage.Action]tb.Code{
		lineage.Block: tb.CodeUnauthorizedClient, lineage.Cut: tb.CodeInvalidRequest, lineage.Lift: "",
	} {
		w := newWorld(t)
		own := w.granted(w.exchange("tool", w.human("alice"), crm, "read"))
		w.revoke("client:tool", action)
		req := w.exchange("tool", host(own), crm, "read")
		if want == "" {
			w.granted(req)
			continue
		}
		d := w.refused(req, want, map[lineage.Action]string{lineage.Block: "revoked: client", lineage.Cut: "the token is revoked"}[action])
		require.Equal(t, map[lineage.Action]string{lineage.Block: "client_id", lineage.Cut: "subject_token"}[action], d.Parameter)
	}
}

// TestABlockedCallerIsToldNothing: not what there is, nor what is wrong with what it asks; and nothing comes of it.
func TestABlockedCallerIsToldNothing(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 10, "read")
	calls := map[string]func(tb.Client) error{
		"retire nothing of ours": func(by tb.Client) error { return w.Retire(w.ctx, by, "no token of ours") },
		"an unknown task":        func(by tb.Client) error { _, err := w.SetTask(w.ctx, by, lineage.ID{1}, tb.TaskActive); return err },
		"no state":               func(by tb.Client) error { _, err := w.SetTask(w.ctx, by, task.TaskID, "?"); return err },
		"its task":               func(by tb.Client) error { _, err := w.SetTask(w.ctx, by, task.TaskID, tb.TaskSuspended); return err },
		"read its task":          func(by tb.Client) error { _, err := w.Task(w.ctx, by, task.TaskID); return err },
		"read an unknown task":   func(by tb.Client) error { _, err := w.Task(w.ctx, by, lineage.ID{1}); return err },
	}
	w.revoke("client:orchestrator", lineage.Block)
	for name, call := range calls {
		require.ErrorIs(t, call(w.client("orchestrator")), tb.ErrForbidden, name)
	}
	w.revoke("client:orchestrator", lineage.Lift)
	require.NoError(t, calls["read its task"](w.client("orchestrator")), "a secret is as good as before, at once")
	require.ErrorIs(t, calls["an unknown task"](w.client("orchestrator")), tb.ErrNotFound)
}

// TestTheAssertionOfABlockedCallerIsSpent: it is told no once.
func TestTheAssertionOfABlockedCallerIsSpent(t *testing.T) {
	w := newWorld(t)
	w.revoke("client:ops", lineage.Block)
	by, err := w.Authenticate(w.ctx, w.once("ops", "a"))
	require.NoError(t, err)
	lift := lineage.Revocation{Selector: selector(w, "client:ops"), Action: lineage.Lift}
	for _, want := range []error{tb.ErrForbidden, tb.ErrUnauthenticated} {
		_, err = w.Revoke(w.ctx, by, lift)
		require.ErrorIs(t, err, want)
	}
	require.Len(t, w.feed(tb.Client{ID: "another", Kind: tb.KindOperator}), 1, "the block alone")
	_, err = w.Revoke(w.ctx, tb.Client{ID: "another", Kind: tb.KindOperator}, lift)
	require.NoError(t, err, "a new operator is the way out")
	w.clock.Add(6 * time.Second)
	by, err = w.Authenticate(w.ctx, w.once("ops", "b"))
	require.NoError(t, err)
	_, err = w.Revoke(w.ctx, by, lineage.Revocation{Selector: selector(w, "client:tool")})
	require.NoError(t, err)
}

// TestACutOfACallerEndsWhatItProvedBefore: an assertion from before it is no proof of anything, one from just after it
// cannot be told from those, and a secret has no age.
func TestACutOfACallerEndsWhatItProvedBefore(t *testing.T) {
	w := newWorld(t)
	verbs := map[string]func(tb.Client) error{
		"changes": func(by tb.Client) error { return w.Retire(w.ctx, by, "no token of ours") },
		"reads":   func(by tb.Client) error { _, err := w.Introspect(w.ctx, by, "no token of ours"); return err },
	}
	for name, verb := range verbs {
		client := func(when string) tb.Client {
			c, err := w.Authenticate(w.ctx, w.once("ops", name+when))
			require.NoError(t, err)
			return c
		}
		before := client("before")
		w.clock.Add(10 * time.Second)
		w.revoke("client:ops", lineage.Cut)
		require.NoError(t, verb(ops), name)
		w.clock.Add(time.Second)
		require.ErrorIs(t, verb(before), tb.ErrUnauthenticated, name)
		var un *tb.UnavailableError
		require.ErrorAs(t, verb(client("just after")), &un, name)
		w.clock.Add(un.RetryAfter)
		require.NoError(t, verb(client("after")), name)
	}
}

// TestTheRefusalToRetireStandsBelowTheToken: it is a record like that of any other refusal of a client, once a minute.
func TestTheRefusalToRetireStandsBelowTheToken(t *testing.T) {
	w := newWorld(t, minting)
	task := w.work(10)
	for range 3 {
		w.denies(w.Retire(w.ctx, w.client("stranger"), task.Value()), tb.CodeUnauthorizedClient, "issued to another client")
	}
	denials := 0
	for n, err := range w.Descendants(w.ctx, ops, task.ID) {
		require.NoError(t, err)
		if n.State == lineage.Denied {
			denials++
			require.Equal(t, "stranger", n.Record.Body.Client)
		}
	}
	require.Equal(t, 1, denials)
	require.Equal(t, lineage.Active, w.state(task.ID))
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), task.Value()))
	require.Equal(t, lineage.Revoked, w.state(task.ID))
}
