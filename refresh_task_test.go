package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// longTask is a task of half an hour over crm and mail whose token is good for deriving only.
func (w *world) longTask() tb.Token {
	w.Helper()
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Task = &tb.TaskSpec{Purpose: "work", ExpiresIn: 30 * time.Minute, Authority: []lineage.Access{
		{Resource: crm, Scopes: []string{"once", "read"}}, {Resource: mail, Scopes: []string{"send"}},
	}}
	tok := w.issued(req)
	require.Equal(w, []string{issuer}, tok.Audience)
	require.NotEmpty(w, tok.RefreshValue())
	return tok
}

func TestARefreshedTaskTokenStandsForTheTask(t *testing.T) {
	w := newWorld(t, refreshing)
	task := w.longTask()
	w.issued(w.exchange("researcher", bearer(task), crm, "once"))
	for range 4 {
		w.clock.Add(4 * time.Minute)
		next := w.issued(w.again("orchestrator", task.RefreshValue()))
		require.Equal(t, task.TaskID, next.TaskID)
		require.Equal(t, []string{issuer}, next.Audience)
		require.Empty(t, next.Scopes)
		task = next
	}
	for resource, scope := range map[string]string{crm: "read", mail: "send"} {
		d := w.issued(w.exchange("researcher", bearer(task), resource, scope))
		require.Equal(t, task.TaskID, d.TaskID)
	}
	w.unissued(w.exchange("researcher", bearer(task), crm, "once"), tb.CodeInvalidScope, "nothing is left")
	w.unissued(w.exchange("researcher", bearer(task), mail, "read"), tb.CodeInvalidScope, "nothing is left")
	for _, scopes := range [][]string{{"read"}, {"admin"}} { // the token itself was good for nothing
		w.unissued(w.again("orchestrator", task.RefreshValue(), scopes...), tb.CodeInvalidTarget, "outside what it is made from")
	}
	require.NoError(t, lineage.VerifyChain(task.ID, w.chain(task.ID)))

	child := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	child = w.issued(w.again("researcher", child.RefreshValue()))
	w.unissued(w.exchange("researcher", bearer(child), mail, "send"), tb.CodeInvalidTarget, "outside what it is made from")
	require.Equal(t, task.TaskID, child.TaskID, "what is derived stays in the task, and does not stand for it")
	require.NoError(t, w.Retire(w.ctx, w.client("researcher"), child.RefreshValue()))
	require.False(t, w.active(child))
	w.issued(w.exchange("researcher", bearer(task), crm, "read"))
}

func TestRetiringATaskTokenOrItsRefreshTokenEndsTheTask(t *testing.T) {
	for name, what := range map[string]func(first, second tb.Token) string{
		"the first token":          func(first, _ tb.Token) string { return first.Value() },
		"a refreshed token":        func(_, second tb.Token) string { return second.Value() },
		"the refresh token":        func(_, second tb.Token) string { return second.RefreshValue() },
		"a refresh token used up":  func(first, _ tb.Token) string { return first.RefreshValue() },
		"nothing (the control)":    func(_, _ tb.Token) string { return "tbr_" },
		"another client's attempt": nil,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			first := w.longTask()
			second := w.issued(w.again("orchestrator", first.RefreshValue()))
			derived := w.issued(w.exchange("researcher", bearer(second), crm, "read"))
			lives := name == "nothing (the control)"
			if what == nil {
				for _, value := range []string{first.Value(), second.Value(), second.RefreshValue()} {
					var no *tb.DeniedError
					require.ErrorAs(t, w.Retire(w.ctx, w.client("researcher"), value), &no)
					require.Equal(t, tb.CodeUnauthorizedClient, no.Decision.Code)
				}
				lives = true
			} else {
				require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), what(first, second)))
			}
			got, err := w.Task(w.ctx, ops, first.TaskID)
			require.NoError(t, err)
			if lives {
				require.Equal(t, tb.TaskActive, got.State)
				require.True(t, w.active(derived))
				w.issued(w.again("orchestrator", second.RefreshValue()))
				return
			}
			require.Equal(t, tb.TaskRevoked, got.State)
			for _, tok := range []tb.Token{first, second, derived} {
				require.Equal(t, lineage.Revoked, w.state(tok.ID))
			}
			w.unissued(w.again("orchestrator", second.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
			w.unissued(w.again("researcher", derived.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
		})
	}
}

func TestRetiringARefreshTokenEndsItsFamily(t *testing.T) {
	w := newWorld(t, refreshing)
	tok, other := w.begun("read"), w.begun("read")
	next := w.issued(w.again("orchestrator", tok.RefreshValue()))
	derived := w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	require.NoError(t, w.Retire(w.ctx, w.client("orchestrator"), next.RefreshValue()))
	for _, x := range []tb.Token{tok, next, derived} {
		require.False(t, w.active(x))
	}
	w.unissued(w.again("orchestrator", next.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is revoked")
	require.Len(t, w.feed(ops), 1)
	w.issued(w.again("orchestrator", other.RefreshValue()))
}

func TestARefreshFollowsTheStateOfTheTask(t *testing.T) {
	w := newWorld(t, refreshing)
	task := w.longTask()
	child := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	set := func(to tb.TaskState) {
		_, err := w.SetTask(w.ctx, w.client("orchestrator"), task.TaskID, to)
		require.NoError(t, err)
	}
	refuse := func(why string) {
		w.unissued(w.again("orchestrator", task.RefreshValue()), tb.CodeInvalidGrant, why)
		w.unissued(w.again("researcher", child.RefreshValue()), tb.CodeInvalidGrant, why)
	}
	set(tb.TaskSuspended)
	refuse("the refresh family is suspended")
	set(tb.TaskActive)
	task = w.issued(w.again("orchestrator", task.RefreshValue()))
	child = w.issued(w.again("researcher", child.RefreshValue()))
	set(tb.TaskCompleted)
	refuse("the refresh family is revoked")
}

func TestARefreshSpendsNoDerivation(t *testing.T) {
	w := newWorld(t, refreshing)
	budget := uint64(1)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Task = &tb.TaskSpec{Purpose: "work", MaxDerivations: &budget}
	task := w.issued(req)
	child := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	for range 3 {
		task = w.issued(w.again("orchestrator", task.RefreshValue()))
		child = w.issued(w.again("researcher", child.RefreshValue()))
	}
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Derivations)
	w.unissued(w.exchange("researcher", bearer(task), crm, "read"), tb.CodeInvalidRequest, "no derivation left")
}

// kept is the refresh token that a host keeps for a family.
func kept(family lineage.ID) tb.Credential {
	return tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{Lineage: family}}
}

func TestAHostRefreshesByTheFamily(t *testing.T) {
	w := newWorld(t, refreshing, func(w *world) { w.cfg.Minter = nil })
	first := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	require.False(t, first.Family.IsZero())
	require.True(t, w.granted(w.exchange("orchestrator", w.human("alice"), crm, "once")).Family.IsZero(), "no rule lets it")
	ask := func(client string, family lineage.ID, scopes ...string) tb.Request {
		req := w.again(client, "", scopes...)
		req.Subject = kept(family)
		return req
	}
	w.clock.Add(time.Hour)
	for range 2 { // the host rotates its own refresh tokens
		again := w.granted(ask("orchestrator", first.Family))
		require.Equal(t, first.Family, again.Family)
		require.Equal(t, []lineage.ID{first.Family}, w.chain(again.ID)[1].Parents)
		require.Equal(t, []string{"read", "write"}, again.Granted.Scopes(crm))
		w.clock.Add(time.Second)
	}
	require.Equal(t, []string{"read"}, w.granted(ask("orchestrator", first.Family, "read")).Granted.Scopes(crm))
	w.refused(ask("researcher", first.Family), tb.CodeInvalidGrant, "issued to another client")
	w.refused(ask("orchestrator", first.ID), tb.CodeInvalidGrant, "not a refresh token of this boundary")
	w.refused(ask("orchestrator", lineage.ID{}), tb.CodeInvalidGrant, "not a refresh token of this boundary")
	w.refused(ask("orchestrator", lineage.ID{1}), tb.CodeInvalidGrant, "not a refresh token of this boundary")
	w.refused(ask("orchestrator", first.Family, "admin"), tb.CodeInvalidScope, "more than was granted")

	late := w.decided(ask("orchestrator", first.Family))
	w.revoke("token:"+first.Family.String(), lineage.Cut)
	require.ErrorIs(t, w.Record(w.ctx, late, tb.HostToken{Handle: "late"}), tb.ErrConflict)
	w.refused(ask("orchestrator", first.Family), tb.CodeInvalidGrant, "the refresh family is revoked")
	require.Equal(t, lineage.Revoked, w.state(first.ID))
}

func TestAHostsFamilyOfATaskFollowsTheTask(t *testing.T) {
	w := newWorld(t, refreshing, func(w *world) { w.cfg.Minter = nil })
	task := w.start("work", 1, "read")
	req := w.again("orchestrator", "")
	req.Subject = kept(task.Family)
	again := w.granted(req)
	require.Equal(t, task.TaskID, again.TaskID)
	w.granted(w.exchange("researcher", host(again), crm, "read"))
	got, err := w.Task(w.ctx, ops, task.TaskID)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.Derivations)
	_, err = w.SetTask(w.ctx, ops, task.TaskID, tb.TaskCompleted)
	require.NoError(t, err)
	w.refused(req, tb.CodeInvalidGrant, "the refresh family is revoked")
}

// TestARefreshTokenOfOursIsNoneOfAHosts: where a boundary both mints and decides, nothing that is decided for a host could
// hand out the successor.
func TestARefreshTokenOfOursIsNoneOfAHosts(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("read")
	for _, caps := range []tb.Caps{everything, everything &^ tb.CapRecord} {
		req := w.again("orchestrator", tok.RefreshValue())
		req.Enforce = caps
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		require.Equal(t, tb.CodeInvalidGrant, d.Code)
		require.Contains(t, d.Reasons[len(d.Reasons)-1].Why, "not a refresh token of this boundary")
	}
	w.issued(w.again("orchestrator", tok.RefreshValue()))
}
