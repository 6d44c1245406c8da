package tokenboundary_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	// noToken: the entry point grants nothing, so that there is nothing to ask for.
	noToken = exempt{"it grants nothing", verbsAll}
	// settled: what Record commits was decided and sealed before.
	settled = exempt{"Decide has checked it, and the decision cannot be changed: see decision_mac", on("record")}
	// repeats: a poll asks for what was asked for when the request was deferred.
	repeats = exempt{"a poll asks for nothing by itself: see poll_alone", on("deferred")}
	// unbounded: above it is nothing of ours.
	unbounded = exempt{"it is made from no token: policy alone bounds it", on(alone, "login")}

	// decidesNothing: what the verb is about stays as it was decided.
	decidesNothing = exempt{"it decides nothing anew", but(verbsAll, "resume", "introspect", "active")}
)

func asks(change func(*tb.Request)) func(*try) { return func(x *try) { change(&x.req) } }

// requestChecks are about the request itself.
func requestChecks() []check {
	asking := but(requests, "deferred")
	many := func(n int) (out []string) {
		for i := range n {
			out = append(out, fmt.Sprint("s", i))
		}
		return out
	}
	hosts := func(r *tb.Request) {
		for i := range 17 {
			r.Resource = append(r.Resource, fmt.Sprintf("https://r%d.example.com/", i))
		}
	}
	return []check{
		{"grant_permission", []cell{
			{on: asking, wrong: func(x *try) { x.registered("tool", func(c *tb.Client) { c.Grants = nil }) },
				want: refused(tb.CodeUnauthorizedClient, "grant_type", "the client may not use this grant$")},
			{on: on("deferred"), wrong: func(x *try) { x.registered("tool", func(c *tb.Client) { c.Grants = nil }) },
				want: refused(tb.CodeUnauthorizedClient, "grant_type", "the client may not use this grant any more")},
			{on: on("resume"), given: asOperator,
				wrong: func(x *try) { x.registered("orchestrator", func(c *tb.Client) { c.Grants = nil }) },
				want:  refused(tb.CodeUnauthorizedClient, "grant_type", "the client may not use this grant any more")},
			{on: on("introspect", "active"), before: mayRecheck, given: late,
				wrong: func(x *try) { x.registered("researcher", func(c *tb.Client) { c.Grants = nil }) }, want: nothing},
		}, []exempt{settled, decidesNothing}},
		{"grant_known", []cell{
			{on: requests, given: func(x *try) { x.registered("tool", func(c *tb.Client) { c.Grants = append(c.Grants, "password") }) },
				wrong: asks(func(r *tb.Request) { r.Grant = "password" }),
				want:  refused(tb.CodeUnauthorizedClient, "grant_type", "the client may not use this grant$")},
		}, []exempt{settled, noToken}},
		{"malformed", []cell{
			{on: requests, wrong: asks(func(r *tb.Request) { r.Malformed = tb.CodeInvalidRequest }),
				want: refused(tb.CodeInvalidRequest, "", "malformed")},
		}, []exempt{settled, noToken}},
		{"no_subject", []cell{
			{on: alone, wrong: func(x *try) { x.req.Subject = x.idToken() },
				want: refused(tb.CodeInvalidRequest, "subject_token", "this grant has no subject")},
		}, []exempt{settled, noToken, {"it has a subject", but(requests, alone...)}}},
		{"no_actor", []cell{
			{on: alone, wrong: func(x *try) { x.req.Actor = x.svid("tool") },
				want: refused(tb.CodeInvalidRequest, "actor_token", "this grant has no actor")},
			{on: renewals, wrong: func(x *try) { x.req.Actor = x.svid("tool") },
				want: refused(tb.CodeInvalidRequest, "", "a refresh has neither an actor nor a new task")},
		}, []exempt{settled, noToken, {"it may have an actor: see actor_bound", exchanges}, repeats}},
		{"no_task", []cell{
			{on: renewals, wrong: asks(func(r *tb.Request) { r.Task = &tb.TaskSpec{Purpose: "more"} }),
				want: refused(tb.CodeInvalidRequest, "", "a refresh has neither an actor nor a new task")},
		}, []exempt{settled, noToken, {"it may start a task", on(alone, exchanges)}, repeats}},
		{"poll_alone", []cell{
			{on: on("deferred"), wrong: asks(func(r *tb.Request) { r.Scopes = []string{"read"} }),
				want: refused(tb.CodeInvalidRequest, "", "a poll asks for nothing but the answer")},
		}, []exempt{settled, noToken, {"it asks for something", asking}}},
		{"scope_count", []cell{
			{on: asking, wrong: asks(func(r *tb.Request) { r.Scopes = many(129) }),
				want: refused(tb.CodeInvalidScope, "scope", "too many scopes")},
		}, []exempt{settled, noToken, repeats}},
		{"scope_size", []cell{
			{on: asking, wrong: asks(func(r *tb.Request) { r.Scopes = []string{strings.Repeat("s", 257)} }),
				want: refused(tb.CodeInvalidScope, "scope", "scope too long")},
		}, []exempt{settled, noToken, repeats}},
		{"resource_count", []cell{
			{on: asking, wrong: asks(hosts), want: refused(tb.CodeInvalidTarget, "resource", "too many resources")},
		}, []exempt{settled, noToken, repeats}},
		{"resource_form", []cell{
			{on: asking, wrong: asks(func(r *tb.Request) { r.Resource = []string{crm + "#part"} }),
				want: refused(tb.CodeInvalidTarget, "resource", "not a usable resource indicator")},
		}, []exempt{settled, noToken, repeats}},
		{"details_size", []cell{
			{on: asking, wrong: asks(func(r *tb.Request) {
				r.Details = json.RawMessage(`[{"type":"payment","amount":1,"note":"` + strings.Repeat("x", 32<<10) + `"}]`)
			}), want: refused(tb.CodeInvalidDetails, "authorization_details", "too long")},
		}, []exempt{settled, noToken, repeats}},
		{"details_type", []cell{
			{on: asking, given: asks(func(r *tb.Request) { r.Details = json.RawMessage(tenEuros) }),
				wrong: asks(func(r *tb.Request) { r.Details = json.RawMessage(`[{"type":"other"}]`) }),
				want:  refused(tb.CodeInvalidDetails, "authorization_details", "unknown type")},
		}, []exempt{settled, noToken, repeats}},
		{"lifetime_sign", []cell{
			{on: asking, wrong: asks(func(r *tb.Request) { r.Lifetime = -time.Second }),
				want: refused(tb.CodeInvalidRequest, "", "negative lifetime")},
		}, []exempt{settled, noToken, repeats}},
		{"task_terms", []cell{
			{on: on("task", "task_below"), wrong: asks(func(r *tb.Request) { r.Task.Purpose = "" }),
				want: refused(tb.CodeInvalidDetails, "authorization_details", "a task needs a purpose")},
		}, []exempt{settled, noToken, {"it starts no task", but(requests, "task", "task_below")}}},
		{"task_whole", []cell{
			{on: on("task", "task_below"),
				given: asks(func(r *tb.Request) { r.Task.Authority = []lineage.Access{{Resource: crm, Scopes: []string{"read"}}} }),
				wrong: asks(func(r *tb.Request) { r.Task.Authority[0].Scopes = []string{"read", "root"} }),
				want:  refused(tb.CodeInvalidScope, "authorization_details", "the task's authority is granted whole or not at all")},
		}, []exempt{settled, noToken, {"it starts no task", but(requests, "task", "task_below")}}},
	}
}
