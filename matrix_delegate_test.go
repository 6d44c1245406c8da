package tokenboundary_test

import (
	"slices"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

func subjectNo(why string) reply { return refused(tb.CodeInvalidRequest, "subject_token", why) }
func actorNo(why string) reply   { return refused(tb.CodeInvalidRequest, "actor_token", why) }

// taskChecks are about the task that a token belongs to.
func taskChecks() []check {
	suspend := func(x *try) { x.turn(tb.TaskSuspended) }
	end := func(x *try) { x.turn(tb.TaskCompleted) }
	exhaust := func(x *try) {
		for range 2 * x.budget {
			if _, err := x.Issue(x.ctx, x.proved(x.asking(tb.Exchange, bearer(x.derived)))); err != nil {
				x.denies(err, tb.CodeInvalidRequest, "no derivation left")
				return
			}
		}
	}
	free := exempt{"no task is above it", on(alone, "login")}
	whatever := exempt{"it is about whatever there is", on(retires, signals, "revoke", "renew_feed", "prune", "erase", "report", "closure", "feed", "keep", "kept")}
	moved := exempt{"it is what is changed: see task_open", taskMoves}
	return []check{
		{"task_active", []cell{
			{on: fromToken, wrong: suspend, want: subjectNo("the token is suspended")},
			{on: renewals, wrong: suspend, want: refused(tb.CodeInvalidGrant, "refresh_token", "the refresh family is suspended")},
			{on: on("deferred"), wrong: suspend, want: refused(tb.CodeAuthorizationPending, "deferral_code", "not yet")},
			{on: on("record"), wrong: suspend, want: fails(tb.ErrConflict, "what the decision was made from is suspended")},
			{on: on("introspect", "active"), wrong: suspend, want: nothing},
			{on: on("lineage", "descendants", "read_task", "read_lease", "leases"), wrong: suspend, want: shown("suspended")},
			{on: on("attach"), wrong: suspend, want: refused(tb.CodeInvalidRequest, "token", "the token is suspended")},
			{on: on("set_lease"), wrong: suspend, want: fails(tb.ErrConflict, "what the lease comes from is suspended")},
		}, []exempt{free, whatever, moved, {"who is asked may agree while the task rests", on("approve", "approvals")}}},
		{"task_over", []cell{
			{on: fromToken, wrong: end, want: subjectNo("the token is revoked")},
			{on: renewals, wrong: end, want: refused(tb.CodeInvalidGrant, "refresh_token", "the refresh family is revoked")},
			{on: on("deferred"), wrong: end,
				want: refused(tb.CodeInvalidGrant, "deferral_code", "what it was made from is revoked")},
			{on: on("record"), wrong: end, want: fails(tb.ErrConflict, "what the decision was made from is revoked")},
			{on: on("introspect", "active", "approvals"), wrong: end, want: nothing},
			{on: on("approve"), wrong: end, want: fails(tb.ErrConflict, "has lapsed")},
			{on: on("lineage", "descendants", "read_lease", "leases"), wrong: end, want: shown("revoked")},
			{on: on("attach"), wrong: end, want: refused(tb.CodeInvalidRequest, "token", "the token is revoked")},
			{on: on("set_lease"), wrong: end, want: fails(tb.ErrConflict, "what the lease comes from is revoked")},
		}, []exempt{free, whatever, moved, {"its head says how it ended", on("read_task")}}},
		{"task_budget", []cell{
			{on: fromToken, before: (*try).little, wrong: exhaust, want: subjectNo("the task has no derivation left")},
			{on: on("deferred"), before: (*try).little, wrong: exhaust,
				want: refused(tb.CodeInvalidGrant, "deferral_code", "the task has no derivation left")},
			{on: on("record"), before: (*try).little, wrong: exhaust, want: fails(tb.ErrConflict, "the decision no longer holds")},
		}, []exempt{free, noToken, {"a refresh is no derivation", renewals}}},
	}
}

func (x *try) little() { x.budget = 3 }

func (x *try) turn(to tb.TaskState) {
	_, err := x.SetTask(x.ctx, ops, x.task.TaskID, to)
	require.NoError(x, err)
}

// delegateChecks are about who may derive from a token, and by which actor.
func delegateChecks() []check {
	stranger := func(x *try) { x.req.Client = bySecret("stranger") }
	names := func(client string) func(*try) {
		return func(x *try) {
			x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) {
				for i := range v.Reasons {
					v.Reasons[i].Delegates = []string{client}
				}
			})
		}
	}
	acts := func(c func(*try) tb.Credential) func(*try) { return func(x *try) { x.req.Actor = c(x) } }
	svid := func(name string) func(*try) { return acts(func(x *try) tb.Credential { return x.svid(name) }) }
	own := func(x *try) { x.accompanied() }
	notOurs := exempt{"it has no actor token", on(alone, renewals, "deferred")}
	noParent := exempt{"it is made from no token of ours", on(alone, "login")}
	outsider := exempt{"an actor token of ours belongs beside a subject token of ours", on("login")}
	return []check{
		{"delegable", []cell{
			{on: fromToken, given: names("tool"), wrong: func(x *try) {
				stranger(x)
				names("stranger")(x) // too late: the token was granted before
			}, want: subjectNo("not delegable to this client")},
		}, []exempt{settled, noToken, noParent, {"only who it was issued to may use it: see issued_to", on(renewals, "deferred")}}},
		{"delegable_now", []cell{
			{on: fromToken, wrong: names("researcher"), want: subjectNo("not delegable to this client")},
			{on: on("deferred"), wrong: names("researcher"),
				want: refused(tb.CodeInvalidGrant, "deferral_code", "not delegable to this client")},
		}, []exempt{settled, noToken, noParent, {"a refresh is no derivation", renewals}}},
		{"issued_to", []cell{
			{on: renewals, wrong: func(x *try) {
				x.registered("stranger", func(c *tb.Client) { c.Grants = append(slices.Clone(c.Grants), tb.Refresh) })
				stranger(x)
			}, want: refused(tb.CodeInvalidGrant, "refresh_token", "issued to another client")},
			{on: on("deferred"), wrong: stranger, want: refused(tb.CodeInvalidGrant, "deferral_code", "issued to another client")},
			{on: retires, wrong: func(x *try) { x.cred = bySecret("stranger") },
				want: refused(tb.CodeUnauthorizedClient, "token", "issued to another client")},
			{on: on(taskMoves, "read_task"), wrong: func(x *try) { x.cred = bySecret("stranger") },
				want: fails(tb.ErrNotFound, "task")},
			{on: on("set_lease", "read_lease"), wrong: func(x *try) { x.cred = bySecret("mail") }, want: fails(tb.ErrNotFound, "lease")},
			{on: on("leases"), wrong: func(x *try) { x.cred = bySecret("mail") }, want: nothing},
			{on: on("kept"), wrong: keeper("mail"), want: nothing},
		}, []exempt{settled, noParent, {"it is whoever the token is for: see lease_audience", on("attach")}, {"others may be named: see delegable", fromToken},
			{"it is for operators, and not about tokens of theirs", forOperators},
			{"see audience", on("introspect", "active", "report")}, {"it is about everything", on("feed")},
			{"each has its own: see kept", on("keep")}}},
		{"actor_bound", []cell{
			{on: exchanges, given: svid("tool"), wrong: svid("researcher"), want: actorNo("not an identity of this client")},
		}, []exempt{settled, noToken, notOurs}},
		{"actor_token_bound", []cell{
			{on: fromToken, given: own, wrong: acts(func(x *try) tb.Credential { return bearer(x.derived) }),
				want: actorNo("not a token of this client for itself")},
		}, []exempt{settled, noToken, notOurs, outsider}},
		{"actor_alive", []cell{
			{on: fromToken, given: own, wrong: func(x *try) {
				x.accompanied()
				x.kills("token:" + x.accompanying.ID.String())
			}, want: actorNo("the token is revoked")},
		}, []exempt{settled, noToken, notOurs, outsider}},
		{"actor_task", []cell{
			{on: fromToken, given: own, wrong: acts(func(x *try) tb.Credential {
				return bearer(x.issued(x.asking(tb.Exchange, bearer(x.derive(x.start())))))
			}), want: actorNo("subject and actor are not of one task")},
		}, []exempt{settled, noToken, notOurs, outsider}},
	}
}
