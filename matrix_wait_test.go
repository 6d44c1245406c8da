package tokenboundary_test

import (
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// proofChecks are about proofs of possession.
func proofChecks() []check {
	binds := func(x *try) {
		x.registered("tool", func(c *tb.Client) { c.Binding = tb.BindingOptional })
		x.req.Proof = x.proves("k")
	}
	required := func(x *try) {
		binds(x)
		x.registered("tool", func(c *tb.Client) { c.Binding = tb.BindingRequired })
	}
	no := func(why string) reply { return refused(tb.CodeInvalidProof, "DPoP", why) }
	unproved := asks(func(r *tb.Request) { r.Proof = tb.Credential{} })
	bound := func(x *try) { x.proof = "k" }
	bad := func(change func(*tb.Credential)) []cell {
		return []cell{{on: requests, given: binds, wrong: func(x *try) { change(&x.req.Proof) }, want: no("")}}
	}
	says := func(why string, cells []cell) []cell { cells[0].want.why = why; return cells }
	not := []exempt{settled, noToken}
	return []check{
		{"proof_required", []cell{{on: requests, given: required, wrong: unproved,
			want: no("a proof of possession is required")}}, not},
		{"proof_kind", says("not a proof of possession", bad(func(c *tb.Credential) { c.Type = tb.TypeJWT })), not},
		{"proof_key", says("it proves no key", bad(func(c *tb.Credential) { c.Verified.Key = "" })), not},
		{"proof_expired", []cell{
			{on: requests, given: binds, wrong: func(x *try) { x.req.Proof.Verified.Expires = x.clock.Now().Add(-5 * time.Second) },
				want: no("expired$")},
		}, not},
		{"proof_replay", []cell{
			{on: requests, given: binds, wrong: func(x *try) {
				_, err := x.Issue(x.ctx, tb.Request{Grant: tb.ClientCredentials, Client: bySecret("tool"), Proof: x.req.Proof,
					Connection: "prod", Resource: []string{crm}, Scopes: []string{"read"}})
				require.NoError(x, err)
			}, want: no("the proof was used before")},
		}, not},
		{"bound", []cell{
			{on: fromToken, before: bound, wrong: unproved, want: no(notProved)},
			{on: renewals, before: bound, wrong: func(x *try) { x.req.Proof = x.proves("another") },
				want: refused(tb.CodeInvalidGrant, "refresh_token", notProved)},
			{on: on("deferred"), before: bound, wrong: func(x *try) { x.req.Proof = x.proves("another") },
				want: refused(tb.CodeInvalidGrant, "deferral_code", notProved)},
		}, []exempt{settled, noToken, {"it is made from nothing that is bound", on(alone, "login")}}},
	}
}

// waitChecks are about what somebody has to agree to.
func waitChecks() []check {
	obliges := func(x *try) {
		x.answers("tool", func(_ tb.Facts, v *tb.Verdict) {
			v.Obligations = []lineage.Obligation{approvalBy("leads", "pay", "read", "write")}
		})
	}
	again := func(x *try) { x.issued(x.req) }
	approver := func(change func(*tb.Client)) func(*try) { return func(x *try) { x.registered(lead.ID, change) } }
	forbidden := fails(tb.ErrForbidden, "")
	only := exempt{"nobody is asked", but(everywhere, "approve")}
	decided := func(agree bool) func(*try) {
		return func(x *try) {
			_, err := x.Approve(x.ctx, lead, x.id, agree)
			require.NoError(x, err)
		}
	}
	fresh := func(setup func(*try, tb.Decision)) func(*try) {
		return func(x *try) {
			d := x.postponed()
			setup(x, d)
			x.req = polling(bySecret("tool"), d.Deferral.Value())
		}
	}
	refusedByLead := fresh(func(x *try, d tb.Decision) {
		_, err := x.Approve(x.ctx, lead, d.ID, false)
		require.NoError(x, err)
	})
	polls := exempt{"nothing waits", but(everywhere, "deferred")}
	return []check{
		{"approval", []cell{
			{on: on(alone, exchanges, renewals), wrong: obliges,
				want: refused(tb.CodeInvalidScope, "scope", "nothing is left after narrowing")},
			{on: on("deferred"), wrong: fresh(func(*try, tb.Decision) {}),
				want: refused(tb.CodeAuthorizationPending, "deferral_code", "not yet")},
		}, []exempt{settled, noToken}},
		{"approval_refused", []cell{{on: on("deferred"), wrong: refusedByLead,
			want: refused(tb.CodeAccessDenied, "deferral_code", "refused by "+lead.ID)}}, []exempt{polls}},
		{"release_once", []cell{{on: on("deferred"), wrong: again,
			want: refused(tb.CodeInvalidGrant, "deferral_code", "it was answered with a token already")}}, []exempt{polls}},
		{"poll_pace", []cell{
			{on: on("deferred"), wrong: fresh(func(x *try, d tb.Decision) {
				_, err := x.Issue(x.ctx, polling(bySecret("tool"), d.Deferral.Value()))
				x.denies(err, tb.CodeAuthorizationPending, "not yet")
			}), want: refused(tb.CodeSlowDown, "deferral_code", "not yet")},
		}, []exempt{polls}},
		{"deferrals", []cell{
			{on: fromOurs[:2], before: func(x *try) { x.cfg.Deferrals = 3; x.restart() }, given: func(x *try) {
				x.req.Scopes, x.req.Deferrable = []string{"read"}, true
			}, wrong: func(x *try) {
				for range 3 {
					x.postponed()
				}
				x.req.Scopes = []string{"pay"}
			}, want: refused(tb.CodeInvalidRequest, "completion_mode", "too many requests wait already")},
		}, []exempt{settled, noToken, {"it never waits", renewals}, {"it waits already", on("deferred")},
			{"it waits like an exchange", on(alone, "login", "decide", "hosted")}}},
		{"approver_group", []cell{{on: on("approve"), wrong: approver(func(c *tb.Client) { c.Groups = []string{"others"} }),
			want: forbidden},
			{on: on("approvals"), wrong: approver(func(c *tb.Client) { c.Groups = []string{"others"} }), want: nothing}},
			[]exempt{{"nobody is asked", but(everywhere, "approve", "approvals")}}},
		{"approver_person", []cell{{on: on("approve"), wrong: approver(func(c *tb.Client) { c.Person = "" }),
			want: forbidden}}, []exempt{only}},
		{"approver_apart", []cell{{on: on("approve"), wrong: approver(func(c *tb.Client) { c.Person = "alice" }),
			want: forbidden}}, []exempt{only}},
		{"first_decision", []cell{{on: on("approve"), wrong: decided(false),
			want: fails(tb.ErrConflict, "the request is refused")}}, []exempt{only}},
	}
}
