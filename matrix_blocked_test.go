package tokenboundary_test

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// blockChecks are about names that are blocked, or that were cut after the evidence was made. What the result only takes
// over from what it is made from is there too: then the token above is dead, and that is the reason.
func blockChecks() []check {
	blocks := func(sel string) func(*try) { return func(x *try) { x.revokes(sel, lineage.Block) } }
	side := func(x *try) {
		x.req.Connection = "side"
		if x.entry.name == "record" {
			x.hold()
		}
	}
	blocked := func(code tb.Code, param, kind string) reply { return refused(code, param, "revoked: "+kind+"$") }
	stale, forbidden := fails(tb.ErrConflict, "the decision no longer holds"), fails(tb.ErrForbidden, "")
	family := exempt{"its family, or the request that waits, has the name and is dead with it: see parent_alive", on(renewals, "deferred")}
	inherits := exempt{"what it is made from has the name and is dead with it: see ancestor_session", on(fromToken, "record")}
	older := func(x *try) { // the credential is from a minute ago
		x.kills("subject:alice")
		x.passes(10 * time.Second)
	}
	asserts := func(x *try) { // ten seconds before and ten after the time at which it would be cut
		*x.caller() = x.assertion(x.who())
		x.passes(20 * time.Second)
	}
	since := func(x *try) {
		x.clock.Add(-10 * time.Second)
		x.kills("client:" + x.who())
		x.passes(20 * time.Second)
	}
	return []check{
		{"blocked_client", []cell{
			{on: requests, wrong: blocks("client:tool"), want: blocked(tb.CodeUnauthorizedClient, "client_id", "client")},
			{on: on("record"), wrong: blocks("client:tool"), want: stale},
			{on: but(verbsAll, taskMoves...), wrong: func(x *try) { x.revokes("client:"+x.who(), lineage.Block) }, want: forbidden},
			{on: taskMoves, given: asOperator, wrong: blocks("client:ops"), want: forbidden}, // its own task would be dead
		}, nil},
		{"blocked_first", []cell{
			{on: taskMoves, given: asOperator, wrong: both(blocks("client:ops"), func(x *try) { x.to = tb.TaskExpired }), want: forbidden},
			{on: on("revoke"), wrong: both(blocks("client:ops"), func(x *try) { x.cut.Selector.Kind = "colour" }), want: forbidden},
			{on: on("approve"), wrong: both(blocks("client:"+lead.ID), func(x *try) { x.id = x.task.TaskID }), want: forbidden},
			{on: on("report"), wrong: both(blocks("client:crm"), func(x *try) { x.uses = nil }), want: forbidden},
			{on: on("attach"), wrong: both(blocks("client:crm"), func(x *try) { x.lease.Lifetime = -1 }), want: forbidden},
			{on: on("set_lease"), wrong: both(blocks("client:crm"), func(x *try) { x.leaseTo = tb.LeaseIntent }), want: forbidden},
			{on: on("keep"), wrong: both(blocks("client:crm"), func(x *try) { x.value.Version = 7 }), want: forbidden},
			{on: signals, wrong: both(blocks("client:ops"), func(x *try) { x.signal.Env, x.signal.Reloaded = map[string]any{}, true }),
				want: forbidden},
		}, []exempt{{"what is refused is answered by one code: see blocked_client", tokens},
			{"it is asked before anything else", reading}, {"nothing else is wrong with it", on(retires, "renew_feed", "prune", "erase")}}},
		{"blocked_connection", []cell{
			{on: on(alone, exchanges), given: side, wrong: blocks("connection:side"),
				want: blocked(tb.CodeInvalidTarget, "resource", "connection")},
			{on: on("record"), given: side, wrong: blocks("connection:side"), want: stale},
		}, []exempt{family, noToken}},
		{"blocked_path", []cell{
			{on: on(alone, exchanges), wrong: blocks("path:/agents/tool"), want: blocked(tb.CodeInvalidTarget, "resource", "path")},
			{on: on("record"), wrong: blocks("path:/agents/tool"), want: stale},
		}, []exempt{family, noToken}},
		{"blocked_actor", []cell{
			{on: alone, wrong: blocks("actor:tool"), want: blocked(tb.CodeInvalidRequest, "client_id", "actor")},
			{on: exchanges, wrong: blocks("actor:tool"), want: blocked(tb.CodeInvalidRequest, "subject_token", "actor")},
			{on: on("record"), wrong: blocks("actor:tool"), want: stale},
		}, []exempt{family, noToken}},
		{"blocked_subject", []cell{
			{on: alone, wrong: blocks("subject:tool"), want: blocked(tb.CodeInvalidRequest, "client_id", "subject")},
			{on: on("login"), wrong: blocks("subject:alice"), want: blocked(tb.CodeInvalidRequest, "subject_token", "subject")},
			{on: on("approve"), wrong: blocks("subject:" + lead.Person), want: forbidden},
		}, []exempt{family, inherits, {"it grants nothing", but(verbsAll, "approve")}}},
		{"blocked_session", []cell{
			{on: on("login"), wrong: func(x *try) { x.kills("session:s-alice") },
				want: blocked(tb.CodeInvalidRequest, "subject_token", "session")},
		}, []exempt{family, inherits, noToken, {"it has no session", alone}}},
		{"blocked_key", []cell{
			{on: on(but(byIssue, below...)), wrong: func(x *try) { x.kills("key:" + x.record(x.issued(x.req).ID).Body.Key) },
				want: fails(tb.ErrUnavailable, "the signing key was just revoked")},
		}, []exempt{settled, noToken, {"what it is made from has the name and is dead with it: see ancestor_session", below}}},
		{"evidence_age", []cell{
			{on: on("login"), wrong: older, want: blocked(tb.CodeInvalidRequest, "subject_token", "subject")},
			{on: alone, given: asserts, wrong: since, want: blocked(tb.CodeInvalidRequest, "client_assertion", "client")},
			{on: verbsAll, given: asserts, wrong: since, want: fails(tb.ErrUnauthenticated, "")},
		}, []exempt{settled, {"it is made from a token of ours, which is dead", below}}},
		{"approver_alive", []cell{
			{on: on("deferred"), wrong: func(x *try) {
				x.kills("client:" + lead.ID)
				x.passes(10 * time.Second)
			}, want: blocked(tb.CodeInvalidGrant, "deferral_code", "client")},
		}, []exempt{noToken, {"nobody has agreed to it", but(tokens, "deferred")}}},
	}
}

// both is wrong in two ways.
func both(one, other func(*try)) func(*try) {
	return func(x *try) {
		one(x)
		other(x)
	}
}

// meddling does something to the world once, just before a transaction with records, or one that changes a head, is
// committed: after all was read.
type meddling struct {
	store.Store
	at func(store.Tx) bool
	do func()
}

func (m *meddling) Commit(ctx context.Context, txs []store.Tx) []error {
	if m.do != nil && slices.ContainsFunc(txs, m.at) {
		do := m.do
		m.do = nil
		do()
	}
	return m.Store.Commit(ctx, txs)
}

// raceChecks are about what changes after it was read and before the commit: the commit is conditional on it, and what is
// decided again sees it.
func raceChecks() []check {
	meanwhile := func(do func(*try)) func(*try) {
		return func(x *try) {
			m := &meddling{Store: x.store, at: func(tx store.Tx) bool { return len(tx.Records) > 0 || x.req.Grant == "" }}
			other := x.node()
			y := *x
			y.world = other
			m.do = func() { do(&y) }
			x.store = m
			x.restart()
		}
	}
	cut := meanwhile(func(x *try) { x.kills("token:" + x.above.String()) })
	block := func(sel string) func(*try) {
		return meanwhile(func(x *try) { x.revokes(sel, lineage.Block) })
	}
	suspend := meanwhile(func(x *try) { x.turn(tb.TaskSuspended) })
	freeze := meanwhile(func(x *try) {
		_, err := x.Signal(x.ctx, ops, tb.Signal{Env: map[string]any{"frozen": x.who()}})
		require.NoError(x, err)
	})
	denied := refused(tb.CodeInvalidTarget, "resource", "the policy denies the target")
	stale := fails(tb.ErrConflict, "the decision no longer holds")
	own := func(x *try) { block("client:" + x.who())(x) }
	idle := exempt{"what it does rests on nothing that was read", but(verbsAll, "approve", "resume")}
	return []check{
		{"cut_meanwhile", []cell{
			{on: fromToken, wrong: cut, want: subjectNo("the token is revoked")},
			{on: renewals, wrong: cut, want: refused(tb.CodeInvalidGrant, "refresh_token", "the refresh family is revoked")},
			{on: on("deferred"), wrong: cut,
				want: refused(tb.CodeInvalidGrant, "deferral_code", "what it was made from is revoked")},
			{on: on("record"), wrong: cut, want: stale},
			{on: alone, wrong: block("client:tool"), want: refused(tb.CodeUnauthorizedClient, "client_id", "revoked: client")},
			{on: on("login"), wrong: block("subject:alice"), want: subjectNo("revoked: subject")},
			{on: on("approve"), wrong: block("client:" + lead.ID), want: fails(tb.ErrForbidden, "")},
			{on: on("resume"), wrong: cut, want: fails(tb.ErrConflict, "the task is revoked")},
		}, []exempt{idle}},
		{"blocked_meanwhile", []cell{
			{on: requests, wrong: own, want: refused(tb.CodeUnauthorizedClient, "client_id", "revoked: client$")},
			{on: on("record"), wrong: own, want: stale},
			{on: but(changers, taskMoves...), wrong: own, want: fails(tb.ErrForbidden, "")},
			{on: taskMoves, given: asOperator, wrong: block("client:ops"), want: fails(tb.ErrForbidden, "")},
		}, []exempt{{"it commits nothing", reading}}},
		{"suspended_meanwhile", []cell{
			{on: fromToken, wrong: suspend, want: subjectNo("the token is suspended")},
			{on: renewals, wrong: suspend, want: refused(tb.CodeInvalidGrant, "refresh_token", "the refresh family is suspended")},
			{on: on("deferred"), wrong: suspend, want: refused(tb.CodeAuthorizationPending, "deferral_code", "not yet")},
			{on: on("record"), wrong: suspend, want: stale},
		}, []exempt{{"no task is above it", on(alone, "login")}, idle, {"the task rests, or may", on("approve", "resume")}}},
		{"facts_meanwhile", []cell{
			{on: requests, wrong: freeze, want: denied},
			{on: on("record"), wrong: freeze, want: stale},
			{on: on("resume"), wrong: freeze, want: denied},
		}, []exempt{idle, {"it decides nothing by policy", on("approve")}}},
	}
}
