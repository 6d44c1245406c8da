package tokenboundary_test

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// mayRecheck lets the researcher's token be relied on for a minute only, and late is when it is over.
func mayRecheck(x *try) {
	x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) { v.Recheck = time.Minute })
}

func late(x *try)       { x.passes(time.Minute) }
func asOperator(x *try) { x.cred = bySecret("ops") }

// onFire lets the policy fail.
func onFire(x *try) {
	x.rebuild(func(c *tb.Config) {
		c.Policy = tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) {
			return grantAll(tb.Facts{}), errors.New("the rules are on fire")
		})
	})
}

// policyChecks are about what policy says, and what may be made of it.
func policyChecks() []check {
	says := func(change func(tb.Facts, *tb.Verdict)) func(*try) {
		return func(x *try) { x.answers(x.who(), change) }
	}
	left := refused(tb.CodeInvalidScope, "scope", "nothing is left after narrowing")
	beyond := fails(tb.ErrUnavailable, "grants a scope outside the ceiling at /agents/tool")
	greedy := func(f tb.Facts, v *tb.Verdict) {
		v.Access = []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}}
	}
	return []check{
		{"connection", []cell{
			{on: requests,
				wrong: func(x *try) { x.registered("tool", func(c *tb.Client) { c.Connections = []string{"side", "other"} }) },
				want:  refused(tb.CodeInvalidTarget, "connection", "not a connection of this client")},
			{on: on("resume"), given: asOperator, wrong: func(x *try) {
				x.registered("orchestrator", func(c *tb.Client) { c.Connections = []string{"side", "other"} })
			},
				want: refused(tb.CodeInvalidTarget, "connection", "not a connection of this client")},
			{on: on("introspect", "active"), before: mayRecheck, given: late,
				wrong: func(x *try) { x.registered("researcher", func(c *tb.Client) { c.Connections = []string{"side"} }) }, want: nothing},
		}, []exempt{settled, decidesNothing}},
		{"policy_denies", []cell{
			{on: requests, wrong: says(func(_ tb.Facts, v *tb.Verdict) { *v = tb.Verdict{} }),
				want: refused(tb.CodeInvalidTarget, "resource", "the policy denies the target")},
			{on: on("resume"), wrong: says(func(_ tb.Facts, v *tb.Verdict) { *v = tb.Verdict{} }),
				want: refused(tb.CodeInvalidTarget, "resource", "the policy denies the target")},
			{on: on("introspect", "active"), before: mayRecheck, given: late, wrong: func(x *try) {
				x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) { *v = tb.Verdict{} })
			}, want: nothing},
		}, []exempt{settled, decidesNothing}},
		{"policy_fails", []cell{
			{on: on(requests, "resume"), wrong: onFire, want: fails(tb.ErrUnavailable, "policy: the rules are on fire")},
			{on: on("introspect", "active"), before: mayRecheck, given: late, wrong: onFire,
				want: fails(tb.ErrUnavailable, "policy: the rules are on fire")},
		}, []exempt{settled, decidesNothing}},
		{"scope", []cell{
			{on: exchanges, wrong: asks(func(r *tb.Request) { r.Scopes = []string{"root"} }), want: left},
			{on: alone, wrong: asks(func(r *tb.Request) { r.Scopes = []string{"root"} }), want: left},
			{on: renewals, wrong: asks(func(r *tb.Request) { r.Scopes = []string{"root"} }),
				want: refused(tb.CodeInvalidScope, "scope", "more than was granted")},
		}, []exempt{settled, noToken, repeats}},
		{"ceiling", []cell{
			{on: fromToken, wrong: func(x *try) {
				x.req.Scopes = []string{"admin", "read"}
				x.answers("tool", greedy)
			}, want: beyond},
		}, []exempt{settled, noToken, unbounded, {"it can ask for nothing beyond: see scope", on(renewals, "deferred")}}},
		{"verdict_bounds", []cell{
			{on: requests,
				wrong: says(func(_ tb.Facts, v *tb.Verdict) { v.Access[0].Scopes = append(v.Access[0].Scopes, "unasked") }),
				want:  beyond},
		}, []exempt{settled, noToken}},
		{"verdict_resources", []cell{
			{on: requests, wrong: says(func(_ tb.Facts, v *tb.Verdict) { v.Resources = []string{mail} }),
				want: fails(tb.ErrUnavailable, "decides other resources than those asked for")},
		}, []exempt{settled, noToken}},
		{"verdict_path", []cell{
			{on: requests, wrong: says(func(_ tb.Facts, v *tb.Verdict) { v.Path = "" }),
				want: fails(tb.ErrUnavailable, "allows without a policy path")},
		}, []exempt{settled, noToken}},
		{"verdict_lifetime", []cell{
			{on: requests, wrong: says(func(_ tb.Facts, v *tb.Verdict) { v.Lifetime = 0 }),
				want: fails(tb.ErrUnavailable, "allows no lifetime")},
		}, []exempt{settled, noToken}},
		{"resource", []cell{
			{on: on(fromToken, renewals), wrong: asks(func(r *tb.Request) { r.Resource = []string{mail} }),
				want: refused(tb.CodeInvalidTarget, "resource", "outside what it is made from")},
		}, []exempt{settled, noToken, unbounded, repeats}},
		{"details_covered", []cell{
			{on: fromToken, given: asks(func(r *tb.Request) { r.Details = json.RawMessage(tenEuros) }),
				wrong: asks(func(r *tb.Request) { r.Details = json.RawMessage(`[{"amount":11,"type":"payment"}]`) }),
				want:  refused(tb.CodeInvalidDetails, "authorization_details", "none is granted")},
		}, []exempt{settled, noToken, unbounded, {"policy is asked for what was granted and no more", renewals}, repeats}},
		{"one_scope_set", []cell{
			{on: on(alone, "login"), given: asks(func(r *tb.Request) { r.Resource = []string{crm, mail} }),
				wrong: says(func(_ tb.Facts, v *tb.Verdict) { v.Access = v.Access[:1] }),
				want:  refused(tb.CodeInvalidTarget, "resource", "the resources do not grant the same scopes")},
		}, []exempt{settled, noToken, {"what it is made from holds one resource", below}}},
	}
}
