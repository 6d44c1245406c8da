package tokenboundary_test

import (
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// boundChecks are about how long what is released lives. What bounds it does not refuse it: the life is what it may be.
func boundChecks() []check {
	says := func(d time.Duration) func(*try) {
		return func(x *try) { x.answers(x.who(), func(_ tb.Facts, v *tb.Verdict) { v.Lifetime = d }) }
	}
	jwt := func(life time.Duration) func(*try) {
		return func(x *try) {
			x.req.Subject = x.idToken(object{"exp": x.clock.Now().Add(life).Unix()})
			x.req.Subject.Type = tb.TypeJWT
		}
	}
	short := func(x *try) { x.passes(4*time.Minute + 30*time.Second) } // the researcher's token lives for five minutes
	return []check{
		{"life_by_policy", []cell{
			{on: requests, wrong: says(time.Minute), want: lives(time.Minute)},
		}, []exempt{settled, noToken}},
		{"life_by_request", []cell{
			{on: but(requests, "deferred"), wrong: asks(func(r *tb.Request) { r.Lifetime = time.Minute }),
				want: lives(time.Minute)},
		}, []exempt{settled, noToken, repeats}},
		{"life_by_configuration", []cell{
			{on: requests, wrong: func(x *try) {
				x.cfg.Lifetimes.AccessToken = time.Minute
				x.restart()
			}, want: lives(time.Minute)},
		}, []exempt{settled, noToken}},
		{"life_by_parent", []cell{
			{on: below, wrong: short, want: lives(30 * time.Second)},
			{on: on("login"), given: jwt(10 * time.Minute), wrong: jwt(30 * time.Second), want: lives(30 * time.Second)},
		}, []exempt{settled, noToken, {"it is made from nothing that ends", alone}}},
		{"life_by_actor", []cell{
			{on: but(exchanges, "login"), given: func(x *try) { x.accompanied() }, wrong: func(x *try) {
				x.accompanied(30 * time.Second)
			}, want: lives(30 * time.Second)},
		}, []exempt{settled, noToken, {"it has no actor token of ours", on(alone, "login", renewals, "deferred")}}},
		{"time_left", []cell{
			{on: exchanges, wrong: says(time.Second / 2), want: subjectNo("no time is left$")},
			{on: alone, wrong: says(time.Second / 2), want: refused(tb.CodeInvalidRequest, "client_id", "no time is left$")},
			{on: renewals, wrong: says(time.Second / 2), want: refused(tb.CodeInvalidGrant, "refresh_token", "no time is left$")},
			{on: on("deferred"), wrong: says(time.Second / 2),
				want: refused(tb.CodeInvalidGrant, "deferral_code", "no time is left$")},
		}, []exempt{settled, noToken}},
	}
}

// accompanied makes the tool act with a token of its own, of the same task.
func (x *try) accompanied(life ...time.Duration) {
	req := x.asking(tb.Exchange, bearer(x.derived))
	if len(life) > 0 {
		req.Lifetime = life[0]
	}
	x.accompanying = x.issued(req)
	x.req.Actor = bearer(x.accompanying)
}

// ancestryChecks are about what a request, or a token that is shown, comes from: all of it lives.
func ancestryChecks() []check {
	parent := func(x *try) { x.kills("token:" + x.above.String()) }
	ancestor := func(x *try) { x.kills("token:" + x.task.ID.String()) }
	named := func(sel string) func(*try) { return func(x *try) { x.kills(sel) } }
	over := func(x *try) { x.passes(5 * time.Minute) }
	ends := func(x *try) { x.passes(10 * time.Minute) } // a request that waits
	tasks := func(x *try) { x.passes(time.Hour) }
	dead := func(what string, wrong func(*try)) []cell {
		return []cell{
			{on: fromToken, wrong: wrong, want: refused(tb.CodeInvalidRequest, "subject_token", "the token is "+what)},
			{on: renewals, wrong: wrong, want: refused(tb.CodeInvalidGrant, "refresh_token", "the refresh family is "+what)},
			{on: on("introspect", "active"), wrong: wrong, want: nothing},
			{on: on("lineage", "descendants", "read_lease", "leases"), wrong: wrong, want: shown(what)},
			{on: on("attach"), wrong: wrong, want: refused(tb.CodeInvalidRequest, "token", "the token is "+what)},
			{on: on("set_lease"), wrong: wrong, want: fails(tb.ErrConflict, "what the lease comes from is "+what)},
		}
	}
	cut := func(wrong func(*try)) []cell {
		return append(dead(string(lineage.Revoked), wrong),
			cell{on: on("deferred"), wrong: wrong,
				want: refused(tb.CodeInvalidGrant, "deferral_code", "what it was made from is revoked")},
			cell{on: on("record"), wrong: wrong, want: fails(tb.ErrConflict, "what the decision was made from is revoked")},
			cell{on: on("approvals"), wrong: wrong, want: nothing},
			cell{on: on("approve"), wrong: wrong, want: fails(tb.ErrConflict, "has lapsed")},
		)
	}
	moves := func(what string, wrong func(*try)) []cell {
		return []cell{
			{on: on("suspend", "resume"), wrong: wrong, want: fails(tb.ErrConflict, "the task is "+what)},
			{on: on("complete", "read_task"), wrong: wrong, want: shown(what)},
		}
	}
	root := exempt{"nothing of ours is above a root", on(alone, "login")}
	whatever := exempt{"it is about whatever there is, dead or alive", on(retires, signals, "revoke", "renew_feed", "prune", "erase", "report", "closure", "feed", "keep", "kept")}
	roots := exempt{"the task is a root; one below a token is like a token", on(taskMoves, "read_task")}
	return []check{
		{"parent_alive", append(cut(parent), moves("revoked", parent)...), []exempt{root, whatever}},
		{"ancestor_alive", cut(ancestor), []exempt{root, whatever, roots}},
		{"ancestor_client", cut(named("client:orchestrator")), []exempt{root, whatever, roots}},
		{"ancestor_session", cut(named("session:s-alice")), []exempt{root, whatever, roots}},
		{"unexpired", append(append(dead(string(lineage.Expired), over), moves("expired", tasks)...),
			cell{on: on("deferred"), wrong: ends, want: refused(tb.CodeExpiredToken, "deferral_code", "nobody agreed in time")},
			cell{on: on("approve"), wrong: ends, want: fails(tb.ErrConflict, "has lapsed")},
			cell{on: on("approvals"), wrong: ends, want: nothing},
		), []exempt{root, whatever, {"a decision lapses earlier: see decision_age", on("record")}}},
	}
}
