package tokenboundary_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// refreshChecks are about refresh tokens.
func refreshChecks() []check {
	only := exempt{"it is no refresh", but(everywhere, renewals...)}
	ours := exempt{"the host keeps its refresh tokens", on("host_refresh")}
	no := func(why string) reply { return refused(tb.CodeInvalidGrant, "refresh_token", why) }
	return []check{
		{"refresh_once", []cell{{on: on("refresh"), wrong: func(x *try) { x.issued(x.req) },
			want: no("it was used before: the refresh family ends")}}, []exempt{only, ours}},
		{"refresh_idle", []cell{{on: on("refresh"), before: func(x *try) { x.cfg.Lifetimes.RefreshIdle = time.Minute; x.restart() },
			wrong: func(x *try) { x.passes(time.Minute) }, want: no("it was not used for too long")}}, []exempt{only, ours}},
		{"refresh_connection", []cell{{on: renewals, given: asks(func(r *tb.Request) { r.Connection = "prod" }),
			wrong: asks(func(r *tb.Request) { r.Connection = "side" }),
			want:  refused(tb.CodeInvalidTarget, "connection", "not the connection that was granted")}}, []exempt{only}},
		{"refresh_rule", []cell{{on: renewals, wrong: func(x *try) {
			x.answers("tool", func(_ tb.Facts, v *tb.Verdict) {
				for i := range v.Reasons {
					v.Reasons[i].Refresh = false
				}
			})
		}, want: refused(tb.CodeInvalidScope, "scope", "nothing is left after narrowing")}}, []exempt{only}},
	}
}

// hostChecks are about hosts that mint by themselves.
func hostChecks() []check {
	can := func(c tb.Caps) func(*try) { return func(x *try) { x.req.Enforce = everything &^ tb.CapRecord &^ c } }
	narrows := func(x *try) {
		x.req.Resource, x.req.Scopes, x.req.Lifetime = []string{crm}, []string{"read", "write"}, time.Minute
	}
	all := exempt{"the boundary mints, or nothing is minted", but(everywhere, on(byDecide, "record")...)}
	none := []exempt{all, settled}
	pend := exempt{"nothing is pending", but(everywhere, "record")}
	record := on("record")
	stranger := fails(tb.ErrInvalid, "not a decision of this boundary")
	other := func(x *try) {
		x.hold()
		require.NoError(x, x.Record(x.ctx, x.pending, tb.HostToken{Handle: "of another"}))
	}
	return []check{
		{"host_scopes", []cell{{on: byDecide, given: narrows, wrong: func(x *try) {
			can(tb.CapScopes)(x)
			x.answers("tool", func(_ tb.Facts, v *tb.Verdict) { v.Access[0].Scopes = []string{"read"} })
		}, want: refused(tb.CodeInvalidScope, "scope", "the host cannot narrow scopes; allowed: read")}}, none},
		{"host_details", []cell{{on: byDecide, given: func(x *try) {
			narrows(x)
			can(tb.CapScopes)(x)
		}, wrong: func(x *try) {
			x.req.Details = json.RawMessage(`[{"amount":10,"type":"payment"},{"amount":9,"type":"payment"}]`)
			x.answers("tool", func(_ tb.Facts, v *tb.Verdict) { v.Details = v.Details[:1] })
		}, want: refused(tb.CodeInvalidDetails, "authorization_details", "the host cannot narrow authorization_details")}}, none},
		{"host_resources", []cell{{on: on("decide", "hosted"), given: func(x *try) {
			narrows(x)
			can(tb.CapResources)(x)
		}, wrong: asks(func(r *tb.Request) { r.Resource = nil }),
			want: refused(tb.CodeInvalidTarget, "resource", "the host cannot set the audience")}},
			append(none, exempt{"by default it is for what was granted", on("host_refresh")})},
		{"host_lifetime", []cell{{on: byDecide, given: func(x *try) {
			narrows(x)
			can(tb.CapLifetime)(x)
		}, wrong: asks(func(r *tb.Request) { r.Lifetime = time.Hour }),
			want: refused(tb.CodeInvalidRequest, "", "the host cannot set the lifetime")}}, none},
		{"decision_mac", []cell{{on: record, wrong: func(x *try) { x.pending.Pending.MAC = slices.Repeat([]byte{1}, 32) },
			want: stranger}}, []exempt{pend}},
		{"decision_content", []cell{{on: record, given: func(x *try) {
			x.req.Client = x.once("tool", "once")
			x.hold()
		}, wrong: func(x *try) { x.pending.Pending.Spends = nil }, want: stranger}}, []exempt{pend}},
		{"decision_allows", []cell{{on: record, wrong: func(x *try) { x.pending.Effect = tb.Deny },
			want: fails(tb.ErrInvalid, "not a pending decision and a handle")}}, []exempt{pend}},
		{"decision_id", []cell{{on: record, wrong: func(x *try) { x.pending.ID = x.derived.ID }, want: stranger}}, []exempt{pend}},
		{"decision_age", []cell{{on: record, wrong: func(x *try) { x.passes(61 * time.Second) },
			want: fails(tb.ErrConflict, "the decision is too old")}}, []exempt{pend}},
		{"decision_policy", []cell{{on: record, given: func(x *try) { x.inForce("v1") }, wrong: func(x *try) { x.inForce("v2") },
			want: fails(tb.ErrConflict, "another policy set is in force")}}, []exempt{pend}},
		{"handle_form", []cell{{on: record, wrong: func(x *try) { x.handle = strings.Repeat("h", 513) },
			want: fails(tb.ErrInvalid, "not a pending decision and a handle")}}, []exempt{pend}},
		{"handle_once", []cell{{on: record, wrong: func(x *try) {
			require.NoError(x, x.Record(x.ctx, x.pending, tb.HostToken{Handle: "before"}))
		}, want: fails(tb.ErrConflict, "recorded with another handle")}}, []exempt{pend}},
		{"handle_taken", []cell{{on: record, given: func(x *try) { x.handle = "mine" }, wrong: func(x *try) {
			was := x.pending
			other(x)
			x.pending, x.handle = was, "of another"
		}, want: fails(tb.ErrConflict, "the decision no longer holds")}}, []exempt{pend}},
	}
}

// inForce replaces the policy by one that says its version.
func (x *try) inForce(version string) {
	x.rebuild(func(c *tb.Config) { c.Policy = sayingVersion{x, version} })
}

type sayingVersion struct {
	x       *try
	version string
}

func (p sayingVersion) Version() string { return p.version }

func (p sayingVersion) Evaluate(_ context.Context, f tb.Facts) (tb.Verdict, error) {
	v := p.x.policy(f)
	v.Version = p.version
	return v, nil
}
