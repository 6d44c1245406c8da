package tokenboundary_test

import (
	"bytes"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// leasing is a request for a lease with the researcher's token.
func (x *try) leasing() tb.LeaseRequest {
	x.above = x.derived.ID
	return tb.LeaseRequest{Token: bearer(x.derived), Proof: x.proved(tb.Request{}).Proof, Scopes: []string{"read"}}
}

func (x *try) attach(by tb.Client) (string, error) {
	l, err := x.Attach(x.ctx, by, x.lease)
	return showing(l.State == tb.LeaseIntent && l.Alive == lineage.Active, "leased"), err
}

// holds makes a lease that is to be held.
func (x *try) holds() {
	l, err := x.Attach(x.ctx, x.clients["crm"], x.leasing())
	require.NoError(x, err)
	x.id, x.leaseTo, x.above = l.ID, tb.LeaseHeld, l.ID
}

func (x *try) setLease(by tb.Client) (string, error) {
	l, err := x.SetLease(x.ctx, by, x.id, x.leaseTo, x.leaseHandle)
	return string(l.State), err
}

func (x *try) readLease(by tb.Client) (string, error) {
	l, err := x.Lease(x.ctx, by, x.id)
	return string(l.Alive), err
}

// listLeases shows what the lease amounts to that is asked for.
func (x *try) listLeases(by tb.Client) (string, error) {
	for l, err := range x.Leases(x.ctx, by, lineage.ID{}) {
		if err != nil {
			return "", err
		}
		if l.ID == x.id {
			return string(l.Alive), nil
		}
	}
	return "", nil
}

// turnLease changes the lease, as its broker.
func (x *try) turnLease(to ...tb.LeaseState) {
	for _, s := range to {
		_, err := x.SetLease(x.ctx, x.clients["crm"], x.id, s, nil)
		require.NoError(x, err)
	}
}

// leaseChecks are about what only leases are given: a token that somebody uses, and the book.
func leaseChecks() []check {
	only := func(why string, names ...string) exempt { return exempt{why, but(everywhere, names...)} }
	attach := []exempt{only("it leases nothing", "attach")}
	set := []exempt{only("it changes no lease", "set_lease")}
	no := func(why string) reply { return refused(tb.CodeInvalidRequest, "token", why) }
	says := func(change func(tb.Facts, *tb.Verdict)) func(*try) {
		return func(x *try) { x.answers("researcher", change) }
	}
	asks := func(change func(*tb.LeaseRequest)) func(*try) { return func(x *try) { change(&x.lease) } }
	presents := func(raw func(*try) string) func(*try) { return func(x *try) { x.lease.Token.Value = raw(x) } }
	broker := func(change func(*tb.Client)) func(*try) { return func(x *try) { x.registered("crm", change) } }
	bound := func(x *try) { x.proof = "researcher" }
	one := func(wrong func(*try), want reply) []cell { return []cell{{on: on("attach"), wrong: wrong, want: want}} }
	move := func(wrong func(*try), why string) []cell {
		return []cell{{on: on("set_lease"), wrong: wrong, want: fails(tb.ErrConflict, why)}}
	}
	return []check{
		{"lease_form", one(asks(func(r *tb.LeaseRequest) { r.Lifetime = -1 }), fails(tb.ErrInvalid, "lease")), attach},
		{"lease_intent", one(asks(func(r *tb.LeaseRequest) { r.Intent = 10*time.Minute + 1 }), fails(tb.ErrInvalid, "lease")), attach},
		{"lease_scope_form", one(asks(func(r *tb.LeaseRequest) { r.Scopes = []string{"re ad"} }),
			refused(tb.CodeInvalidScope, "scope", "scope has a forbidden character")), attach},
		{"lease_credential", one(asks(func(r *tb.LeaseRequest) { r.Token.Type = tb.TypeJWT }),
			no("not an access token of this boundary")), attach},
		{"lease_signature", one(presents(func(x *try) string { return forged(x.derived.Value()) }), no(": signature")), attach},
		{"lease_claims", one(presents(func(x *try) string { return x.reminted(func(c *tb.Claims) { c.Scope += " root" }) }),
			no("the token differs from its record")), attach},
		{"lease_client", one(func(x *try) { delete(x.clients, "researcher") },
			refused(tb.CodeUnauthorizedClient, "client_id", "not registered any more")), attach},
		{"lease_audience", one(func(x *try) {
			x.registered("mail", func(c *tb.Client) { c.Connections = []string{"prod"} })
			x.cred = bySecret("mail")
		}, refused(tb.CodeInvalidTarget, "resource", "the token is not for this resource")), attach},
		{"lease_resource", one(broker(func(c *tb.Client) { c.Resource = "" }),
			refused(tb.CodeInvalidTarget, "resource", "the token is not for this resource")), attach},
		{"lease_connection", one(broker(func(c *tb.Client) { c.Connections = []string{"side"} }),
			refused(tb.CodeInvalidTarget, "connection", "not a connection of this broker")), attach},
		{"lease_its_connection", one(func(x *try) {
			x.registered("researcher", func(c *tb.Client) { c.Connections = []string{"side"} })
		}, refused(tb.CodeInvalidTarget, "connection", "not a connection of this client")), attach},
		{"lease_proof", []cell{{on: on("attach"), before: bound, wrong: asks(func(r *tb.LeaseRequest) { r.Proof = tb.Credential{} }),
			want: refused(tb.CodeInvalidProof, "DPoP", "bound to a key that is not proved")}}, attach},
		{"lease_proof_key", []cell{{on: on("attach"), before: bound, wrong: func(x *try) { x.lease.Proof = x.proves("tool") },
			want: refused(tb.CodeInvalidProof, "DPoP", "bound to a key that is not proved")}}, attach},
		{"lease_recheck", []cell{{on: on("attach"), before: mayRecheck, given: late, wrong: func(x *try) {
			x.answers("researcher", func(f tb.Facts, v *tb.Verdict) {
				if f.Grant != tb.Leased { // the token would not be issued now, and its use be allowed
					*v = tb.Verdict{}
				}
			})
		}, want: no("the token would not be issued now")}}, attach},
		{"lease_policy", one(says(func(_ tb.Facts, v *tb.Verdict) { *v = tb.Verdict{} }),
			refused(tb.CodeInvalidTarget, "resource", "the policy denies the target")), attach},
		{"lease_policy_fails", one(onFire, fails(tb.ErrUnavailable, "policy: the rules are on fire")), attach},
		{"lease_scope", one(asks(func(r *tb.LeaseRequest) { r.Scopes = []string{"root"} }),
			refused(tb.CodeInvalidScope, "scope", "nothing is left after narrowing")), attach},
		{"lease_ceiling", one(func(x *try) {
			x.lease.Scopes = []string{"admin", "read"}
			x.answers("researcher", func(f tb.Facts, v *tb.Verdict) {
				v.Access = []lineage.Access{{Resource: f.Resources[0], Scopes: f.Scopes}}
			})
		}, fails(tb.ErrUnavailable, "grants a scope outside the ceiling")), attach},
		{"lease_deliver", []cell{{on: on("attach"), given: asks(func(r *tb.LeaseRequest) { r.Deliver = true }), before: func(x *try) {
			x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) {
				for i := range v.Reasons {
					v.Reasons[i].Deliver = true
				}
			})
		}, wrong: says(func(_ tb.Facts, v *tb.Verdict) {
			for i := range v.Reasons {
				v.Reasons[i].Deliver = false
			}
		}), want: refused(tb.CodeInvalidScope, "scope", "nothing is left after narrowing")}}, attach},
		{"lease_depth", one(says(func(_ tb.Facts, v *tb.Verdict) { v.Depth = 0 }), no("the chain is longer than the policy allows")), attach},
		{"lease_time_left", one(says(func(_ tb.Facts, v *tb.Verdict) { v.Lifetime = time.Second / 2 }), no("no time is left")), attach},
		{"lease_budget", []cell{{on: on("attach"), before: func(x *try) {
			x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) { v.Derivations = 2 })
		}, given: func(x *try) { x.leased() }, wrong: func(x *try) { x.leased() }, want: no("no lease of the connection is left")}}, attach},

		{"lease_change", []cell{{on: on("set_lease"), wrong: func(x *try) { x.leaseTo = tb.LeaseIntent },
			want: fails(tb.ErrInvalid, "lease")}}, set},
		{"lease_handle", []cell{{on: on("set_lease"), wrong: func(x *try) { x.leaseHandle = bytes.Repeat([]byte("h"), 4097) },
			want: fails(tb.ErrInvalid, "lease")}}, set},
		{"lease_not_ending", move(func(x *try) { x.leaseTo = tb.LeaseEnded }, "the lease is intent"), set},
		{"lease_ending", move(func(x *try) { x.turnLease(tb.LeaseEnding) }, "the lease is ending"), set},
		{"lease_ended", move(func(x *try) { x.turnLease(tb.LeaseEnding, tb.LeaseEnded) }, "the lease is ended"), set},
		{"lease_late", move(func(x *try) { x.passes(time.Minute) }, "the intent is over"), set},
		{"lease_rechecked", []cell{{on: on("read_lease"), before: mayRecheck, given: late, wrong: func(x *try) {
			x.answers("researcher", func(_ tb.Facts, v *tb.Verdict) { *v = tb.Verdict{} })
		}, want: shown("denied")}}, []exempt{only("it says nothing of one lease, or has decided", "read_lease")}},
		{"lease_kind", []cell{
			{on: on("set_lease", "read_lease"), wrong: func(x *try) { x.id = x.derived.ID }, want: fails(tb.ErrNotFound, "lease")},
		}, []exempt{only("it is about no lease by its id", "set_lease", "read_lease")}},
		{"lease_listed", []cell{{on: on("leases"), wrong: func(x *try) { x.turnLease(tb.LeaseEnding, tb.LeaseEnded) }, want: nothing}},
			[]exempt{only("it lists no leases", "leases")}},
	}
}

// leased makes another lease with the researcher's token.
func (x *try) leased() {
	_, err := x.Attach(x.ctx, x.clients["crm"], x.leasing())
	require.NoError(x, err)
}
