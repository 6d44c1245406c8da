package tokenboundary_test

import (
	"time"

	tb "github.com/tokenboundary/tokenboundary"
)

// noCaller: the decision that is recorded was made for an authenticated client, and carries a MAC.
var noCaller = exempt{"it takes no client: see decision_mac", on("record")}

// callerChecks are about who asks: authenticated, registered, and of a kind that may.
func callerChecks() []check {
	anybody := but(everywhere, "record")
	verified := func(change func(*tb.Credential)) func(*try) {
		return func(x *try) {
			c := x.as(x.who())
			change(&c)
			*x.caller() = c
		}
	}
	asHost, once := verified(func(*tb.Credential) {}), func(x *try) { *x.caller() = x.once(x.who(), "once") }
	kind := func(k tb.ClientKind) func(*try) {
		return func(x *try) { x.registered(x.who(), func(c *tb.Client) { c.Kind = k }) }
	}
	nameless := func(k tb.ClientKind) func(*try) { return func(x *try) { x.by = &tb.Client{Kind: k} } }
	forbidden := fails(tb.ErrForbidden, "")
	noToken := exempt{"the pipeline takes its client from Authenticate only", requests}
	return []check{
		{"client_authentication", []cell{
			{on: anybody, wrong: func(x *try) { x.caller().Value = "a guess of more than sixteen bytes" },
				want: nobody("client or secret is wrong")},
		}, []exempt{noCaller}},
		{"client_registered", []cell{
			{on: anybody, wrong: func(x *try) { delete(x.clients, x.who()) }, want: nobody("not found: client")},
		}, []exempt{noCaller}},
		{"client_named", []cell{
			{on: anybody, given: asHost, wrong: func(x *try) { x.caller().ID = "stranger" },
				want: nobody("the credential is another client's")},
		}, []exempt{noCaller}},
		{"client_credential", []cell{
			{on: anybody, given: asHost, wrong: verified(func(c *tb.Credential) { c.Type = tb.TypeJWT }),
				want: nobody("not a client's credential")},
		}, []exempt{noCaller}},
		{"client_evidence_expired", []cell{
			{on: anybody, given: once, wrong: func(x *try) { x.caller().Verified.Expires = x.clock.Now().Add(-5 * time.Second) },
				want: nobody("cause=expired")},
		}, []exempt{noCaller}},
		{"client_evidence_endless", []cell{
			{on: anybody, given: once, wrong: func(x *try) { x.caller().Verified.Expires = time.Time{} },
				want: nobody("without an end")},
		}, []exempt{noCaller}},
		{"client_kind", []cell{
			{on: requests, wrong: kind(tb.KindOperator),
				want: refused(tb.CodeUnauthorizedClient, "grant_type", "the client may not use this grant$")},
			{on: on(retires, taskMoves, "read_task"), wrong: kind(tb.KindResource), want: forbidden},
			{on: forOperators, wrong: kind(tb.KindResource), want: forbidden},
			{on: on("introspect", "active", "feed", "report", "attach", "set_lease", "read_lease", "leases", "keep", "kept"), wrong: kind(tb.KindAgent), want: forbidden},
		}, []exempt{noCaller}},
		{"client_nameless", []cell{
			{on: verbsAll, wrong: nameless(tb.KindOperator), want: forbidden},
		}, []exempt{noCaller, noToken}},
	}
}

// assertionChecks are about what a client signs to authenticate itself.
func assertionChecks() []check {
	anybody := but(everywhere, "record")
	signs := func(x *try) { *x.caller() = x.assertion(x.who()) }
	with := func(header, claims object) func(*try) {
		return func(x *try) { x.caller().Value = x.asserted(x.who(), x.wire.key, changed(wireHeader, header), claims) }
	}
	spent := func(x *try) { x.spends(*x.caller()) }
	return []check{
		{"assertion_signature", []cell{
			{on: anybody, given: signs, wrong: func(x *try) { x.caller().Value = x.asserted(x.who(), x.rogue, wireHeader) },
				want: nobody("signature does not verify")},
		}, []exempt{noCaller}},
		{"assertion_algorithm", []cell{
			{on: anybody, given: signs, wrong: with(object{"alg": "HS256"}, nil), want: nobody("algorithm is not allowed")},
		}, []exempt{noCaller}},
		{"assertion_kind", []cell{
			{on: anybody, given: signs, wrong: with(object{"typ": "at+jwt"}, nil),
				want: nobody("type of token is not accepted here")},
		}, []exempt{noCaller}},
		{"assertion_audience", []cell{
			{on: anybody, given: signs, wrong: with(nil, object{"aud": "https://other.example"}),
				want: nobody("token is for another audience")},
		}, []exempt{noCaller}},
		{"assertion_issuer", []cell{
			{on: anybody, given: signs, wrong: with(nil, object{"iss": "nobody"}), want: nobody("no client with keys has this id")},
		}, []exempt{noCaller}},
		{"assertion_subject", []cell{
			{on: anybody, given: signs, wrong: with(nil, object{"sub": "stranger"}), want: nobody("claim sub is not the client")},
		}, []exempt{noCaller}},
		{"assertion_replay", []cell{
			{on: on(requests, changers), given: signs, wrong: spent, want: fails(tb.ErrUnauthenticated, "")},
			{on: on("record"), given: func(x *try) {
				x.req.Client = x.assertion("tool")
				x.hold()
			}, wrong: func(x *try) { x.spends(x.req.Client) }, want: fails(tb.ErrConflict, "the decision no longer holds")},
		}, []exempt{{"a read stays a read and spends nothing: see assertion_age", reading}}},
		{"assertion_age", []cell{
			{on: reading, given: signs, wrong: func(x *try) { x.passes(61 * time.Second) }, want: fails(tb.ErrUnauthenticated, "")},
		}, []exempt{noCaller, {"it is spent: see assertion_replay", on(requests, changers)}}},
	}
}
