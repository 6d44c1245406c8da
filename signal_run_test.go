package tokenboundary_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestADecisionUnderWayFollowsTheSignal: what was decided on the facts before is not released.
func TestADecisionUnderWayFollowsTheSignal(t *testing.T) {
	for name, change := range map[string]func(w *world){
		"risk":        func(w *world) { w.risk("subject:alice", "high") },
		"of a client": func(w *world) { w.risk("client:orchestrator", "high") },
		"env":         func(w *world) { w.signal(tb.Signal{Env: map[string]any{"frozen": true}}) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			for _, sel := range []string{"subject:alice", "client:orchestrator"} {
				w.risk(sel, "low")
			}
			asked := 0
			w.policy = func(f tb.Facts) tb.Verdict {
				if asked++; asked == 1 {
					change(w)
				}
				if f.Env["frozen"] != false {
					return tb.Verdict{Path: "/x"}
				}
				return wary(f)
			}
			tok, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
			require.ErrorIs(t, err, tb.ErrDenied)
			require.Empty(t, tok.Value())
			require.Equal(t, 2, asked)
		})
	}
	w := newWorld(t, minting)
	asked := 0
	w.policy = func(f tb.Facts) tb.Verdict {
		if asked++; asked == 1 {
			w.risk("subject:bob", "high") // which is not about this
		}
		return grantAll(f)
	}
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.Equal(t, 1, asked)
}

func TestASignalAgainChangesNothing(t *testing.T) {
	w := newWorld(t, minting)
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	kept := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.policy = wary
	require.Equal(t, tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	entries := w.feed(ops)
	for range 2 {
		again := w.risk("subject:alice", "high")
		require.Zero(t, again.Revoked)
		require.LessOrEqual(t, again.Examined, 1, "what is dead is not looked at again")
		require.True(t, again.Complete)
	}
	require.Equal(t, entries, w.feed(ops))
	late := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.EqualValues(t, 1, w.record(late.ID).Body.Facts["subject:alice"], "a repeat is no other fact")
	require.LessOrEqual(t, w.risk("subject:alice", "high").Examined, 1, "it was decided on that fact")
	require.Equal(t, lineage.Active, w.state(kept.ID))
}

func TestASignalThatIsCutShortGoesOnWhenItIsSentAgain(t *testing.T) {
	w := newWorld(t, minting)
	const n = 20
	for range n {
		w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	}
	ctx, cancel := context.WithCancel(w.ctx)
	asked := 0
	w.policy = func(f tb.Facts) tb.Verdict {
		if asked++; asked == n/2 {
			cancel()
		}
		return wary(f)
	}
	s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
	out, err := w.Signal(ctx, ops, s)
	require.NoError(t, err, "it is no error")
	require.False(t, out.Complete)
	require.Less(t, out.Revoked, n)
	again := w.signal(s)
	require.Equal(t, n, out.Revoked+again.Revoked)
	require.Len(t, w.feed(ops), n)
	_, err = w.Signal(ctx, ops, tb.Signal{Selector: selector(w, "subject:bob"), Risk: "high"})
	require.ErrorIs(t, err, tb.ErrUnavailable, "where not even the fact is recorded")
}

func TestASignalSaysOneThingAndIsForOperators(t *testing.T) {
	w := newWorld(t)
	session, subject := selector(w, "session:s"), selector(w, "subject:alice")
	good := tb.Signal{Selector: session, Risk: "low", Attributes: map[string]any{"a": 1}, Assurance: &tb.Assurance{ACR: "aal2"}}
	w.signal(good)
	for _, by := range []tb.Client{{}, {Kind: tb.KindOperator}, w.client("tool"), w.client("crm")} {
		_, err := w.Signal(w.ctx, by, good)
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	long := strings.Repeat("x", 40<<10)
	for name, s := range map[string]tb.Signal{
		"nothing":                  {},
		"a selector alone":         {Selector: session},
		"no selector":              {Risk: "low"},
		"attributes of nobody":     {Attributes: map[string]any{"a": 1}},
		"assurance of nothing":     {Assurance: &tb.Assurance{ACR: "aal2"}},
		"end of nothing":           {Ended: true},
		"env and more":             {Env: map[string]any{"a": 1}, Selector: session, Risk: "low"},
		"reloaded and more":        {Reloaded: true, Env: map[string]any{"a": 1}},
		"reloaded of somebody":     {Reloaded: true, Selector: session},
		"an unknown level":         {Selector: session, Risk: "extreme"},
		"a level of another case":  {Selector: session, Risk: "High"},
		"of an empty name":         {Selector: lineage.Selector{Kind: "subject"}, Risk: "low"},
		"of an unknown kind":       {Selector: lineage.Selector{Kind: "tenant", Value: "x"}, Risk: "low"},
		"about a token":            {Selector: selector(w, "token:"+lineage.IDOf([]byte("x")).String()), Risk: "low"},
		"about a connection":       {Selector: selector(w, "connection:prod"), Risk: "low"},
		"about a path":             {Selector: selector(w, "path:/agents"), Risk: "low"},
		"assurance of a subject":   {Selector: subject, Assurance: &tb.Assurance{ACR: "aal2"}},
		"end of a subject":         {Selector: subject, Ended: true},
		"end of a client":          {Selector: selector(w, "client:tool"), Ended: true},
		"an end and more":          {Selector: session, Ended: true, Risk: "high"},
		"an unusable acr":          {Selector: session, Assurance: &tb.Assurance{ACR: "a\nb"}},
		"an unusable amr":          {Selector: session, Assurance: &tb.Assurance{AMR: []string{"a\nb"}}},
		"what is no data":          {Env: map[string]any{"f": func() {}}},
		"attributes that are none": {Selector: subject, Attributes: map[string]any{"c": make(chan int)}},
		"too much":                 {Env: map[string]any{"x": long}},
		"too much of somebody":     {Selector: subject, Attributes: map[string]any{"x": long}},
	} {
		_, err := w.Signal(w.ctx, ops, s)
		require.ErrorIs(t, err, tb.ErrInvalid, name)
	}
	w.clients["ops"] = ops
	by, err := w.Authenticate(w.ctx, w.once("ops", "a"))
	require.NoError(t, err)
	_, err = w.Signal(w.ctx, by, good)
	require.NoError(t, err)
	_, err = w.Signal(w.ctx, by, good)
	require.ErrorIs(t, err, tb.ErrUnauthenticated, "its assertion is spent, though it changes no fact")
}

func TestTheEndOfASessionCutsAllThatCameFromIt(t *testing.T) {
	w := newWorld(t, refreshing)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "triage"}
	task := w.issued(req)
	below := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	other := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	out := w.signal(tb.Signal{Selector: selector(w, "session:s-alice"), Ended: true})
	require.Equal(t, tb.Outcome{Examined: 5, Revoked: 5, Complete: true}, out, "a task, two tokens, two families")
	require.Equal(t, lineage.Revoked, w.state(below.ID))
	require.Equal(t, lineage.Active, w.state(other.ID))
	entries := w.feed(ops)
	require.Len(t, entries, 1, "one write")
	require.Equal(t, "session:s-alice", entries[0].Selector.String())
	require.Equal(t, "the session has ended", entries[0].Reason)
	_, err := w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.denies(err, tb.CodeInvalidRequest, "revoked: session")
	require.Equal(t, out, w.signal(tb.Signal{Selector: selector(w, "session:s-alice"), Ended: true}), "and again")
	again := w.human("alice")
	again.Verified.Session.ID = "s2"
	w.issued(w.exchange("orchestrator", again, crm, "read"))
}

func TestASignalLeavesTheDeadAlone(t *testing.T) {
	w := newWorld(t, minting)
	expired := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.clock.Add(5 * time.Minute)
	retired := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	require.NoError(t, w.Retire(w.ctx, ops, retired.Value()))
	below := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
	pending := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy = wary
	entries := len(w.feed(ops))
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	require.Equal(t, lineage.Revoked, w.state(below.ID))
	require.Equal(t, lineage.Expired, w.state(expired.ID))
	require.Len(t, w.feed(ops), entries+1)
	require.Len(t, w.open(lead), 1, "a request that waits is decided anew when it is released")
	w.stillWaits("orchestrator", pending)
}

func TestWhatAClientHasLostIsRevokedAtTheNextSignal(t *testing.T) {
	for name, c := range map[string]struct {
		change func(w *world)
		why    string
	}{
		"registration": {func(w *world) { delete(w.clients, "tool") }, "the client is not registered any more"},
		"grant": {func(w *world) {
			w.clients["tool"] = tb.Client{ID: "tool", Kind: tb.KindAgent, Grants: []tb.Grant{tb.ClientCredentials}, Connections: []string{"prod"}}
		}, "may not use this grant any more"},
		"kind":       {func(w *world) { w.clients["tool"] = tb.Client{ID: "tool", Kind: tb.KindOperator} }, "may not use this grant any more"},
		"connection": {func(w *world) { w.connect("tool", "other") }, "not a connection of this client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			lost := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
			other := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
			c.change(w)
			require.Equal(t, tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "low"))
			require.Equal(t, lineage.Revoked, w.state(lost.ID))
			require.Equal(t, lineage.Active, w.state(other.ID))
			require.Contains(t, w.feed(ops)[0].Reason, c.why)
		})
	}
}
