package tokenboundary_test

import (
	"context"
	"errors"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	// alike: what the check is about was settled when the family began, or the request was deferred.
	alike = exempt{"it keeps the chain as it is", on(renewals, "deferred")}
	// itself: the client acts in its own right.
	itself = exempt{"it has no chain", alone}
)

// chainChecks are about who acts for whom.
func chainChecks() []check {
	no := func(x *try) {
		x.cfg.Chain = refusing{}
		x.restart()
	}
	mayAct := func(id string) func(*try) {
		return func(x *try) {
			if x.req.Subject.Verified != nil {
				x.req.Subject.Verified.MayAct = &lineage.Party{ID: id}
			} else {
				x.req.Subject = x.idToken(object{"may_act": object{"sub": id}})
			}
		}
	}
	deeper := func(x *try) { // the researcher's may hand nothing on
		x.depth = 2
		x.host("researcher", x.task, "may not be handed on")
		x.req.Subject = x.subject("may not be handed on", x.derive(x.task))
		x.depth = 3
	}
	return []check{
		{"depth", []cell{
			{on: fromToken, wrong: deeper, want: subjectNo("the chain may not grow")},
		}, []exempt{settled, noToken, unbounded, alike}},
		{"depth_by_policy", []cell{
			{on: fromToken, wrong: func(x *try) { x.depth = 2 }, want: subjectNo("the chain is longer than the policy allows")},
			{on: on("login"), wrong: func(x *try) { x.depth = 0 }, want: subjectNo("the chain is longer than the policy allows")},
			{on: renewals, wrong: func(x *try) { x.depth = 2 },
				want: refused(tb.CodeInvalidGrant, "refresh_token", "the chain is longer than the policy allows")},
			{on: on("deferred"), wrong: func(x *try) { x.depth = 2 },
				want: refused(tb.CodeInvalidGrant, "deferral_code", "the chain is longer than the policy allows")},
		}, []exempt{settled, noToken, itself}},
		{"loop", []cell{
			{on: fromToken, wrong: func(x *try) { x.req.Client = bySecret("orchestrator") },
				want: subjectNo("the actor stands deeper in the chain already")},
		}, []exempt{settled, noToken, itself, alike, {"nobody of ours is in it: see chain_names", on("login")}}},
		{"chain_length", []cell{
			{on: fromToken, given: func(x *try) { x.deep(13) }, wrong: func(x *try) { x.deep(14) },
				want: subjectNo("too many ancestors")},
		}, []exempt{settled, noToken, unbounded, alike}},
		{"may_act", []cell{
			{on: on("login", "hosted"), given: mayAct("tool"), wrong: mayAct("researcher"),
				want: subjectNo("may_act names another party")},
		}, []exempt{settled, noToken, itself, alike, {"our own tokens have none", fromOurs}}},
		{"chain_rule", []cell{
			{on: exchanges, wrong: no, want: subjectNo("chain rule: not these two")},
		}, []exempt{settled, noToken, itself, alike}},
	}
}

type refusing struct{}

func (refusing) Extend(context.Context, []lineage.Party, tb.Principal) error {
	return errors.New("not these two")
}

// subject is how the entry point is given a token: by the host's handle, or as it is.
func (x *try) subject(handle string, tok tb.Token) tb.Credential {
	if x.req.Subject.Verified != nil {
		c := x.req.Subject
		c.Verified.Handle = handle
		return c
	}
	return bearer(tok)
}

// deep makes the tool hold a token that comes from n of its own, each made from the one before.
func (x *try) deep(n int) {
	x.derived = x.derive(x.task)
	tok := x.derived
	x.registered("tool", func(c *tb.Client) { c.Grants = []tb.Grant{tb.ClientCredentials, tb.Exchange} }) // without families
	for range n - 1 {
		tok = x.issued(x.asking(tb.Exchange, bearer(tok)))
	}
	handle := "deep " + tok.ID.String()
	x.host("tool", tok, handle)
	x.req.Subject = x.subject(handle, tok)
	if x.entry.name != "hosted" { // which stands one deeper already
		x.req.Subject = bearer(x.issued(x.asking(tb.Exchange, bearer(tok))))
	}
	if x.entry.name == "task_below" && n == 13 { // whose task is an ancestor too
		x.req.Subject = bearer(tok)
	}
}
