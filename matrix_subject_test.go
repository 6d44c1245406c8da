package tokenboundary_test

import (
	"time"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// subjectChecks are about a credential that others made, of whom a token is asked for.
func subjectChecks() []check {
	says := func(changes object) func(*try) { return func(x *try) { x.req.Subject = x.idToken(changes) } }
	verified := func(change func(*tb.Principal)) func(*try) {
		return func(x *try) {
			x.req.Subject = x.human("alice")
			change(x.req.Subject.Verified)
		}
	}
	asHost := verified(func(*tb.Principal) {})
	ours := exempt{"its subject is known from the record", on(below)}
	not := []exempt{settled, noToken, {"it has no subject", alone}, ours}
	login := on("login")
	once := verified(func(p *tb.Principal) { p.Once = "once" })
	return []check{
		{"subject_name", []cell{{on: login, wrong: says(object{"sub": "researcher"}),
			want: subjectNo("the subject has the name of a client")}}, not},
		{"chain_names", []cell{{on: login, wrong: says(object{"act": object{"sub": "researcher"}}),
			want: subjectNo("an actor has the name of a client")}}, not},
		{"chain_twice", []cell{{on: login, wrong: says(object{"act": object{"sub": "alice"}}),
			want: subjectNo("somebody stands twice in its chain")}}, not},
		{"subject_kind", []cell{{on: login, given: asHost, wrong: verified(func(p *tb.Principal) { p.Party.Kind = "" }),
			want: subjectNo("a subject of no known kind")}}, not},
		{"subject_authority", []cell{{on: login, given: asHost, wrong: verified(func(p *tb.Principal) { p.Identity = false }),
			want: subjectNo("its authority is unknown")}}, not},
		{"subject_expired", []cell{{on: login, given: asHost,
			wrong: verified(func(p *tb.Principal) { p.Expires = p.Issued.Add(55 * time.Second) }),
			want:  subjectNo("expired$")}}, not},
		{"subject_end", []cell{{on: login, given: func(x *try) {
			asHost(x)
			x.req.Subject.Type = tb.TypeJWT
		}, wrong: func(x *try) { x.req.Subject.Verified.Expires = time.Time{} }, want: subjectNo("it has no end")}}, not},
		{"subject_once", []cell{
			{on: login, given: once, wrong: func(x *try) { x.issued(x.req) },
				want: subjectNo("a single-use credential was used before")},
		}, not},
		{"subject_form", []cell{{on: login, given: asHost, wrong: verified(func(p *tb.Principal) { p.Party.ID = "" }),
			want: subjectNo("principal without a usable name")}}, not},
		{"actor_delegated", []cell{
			{on: exchanges, given: func(x *try) { x.req.Actor = x.outside() }, wrong: func(x *try) {
				x.req.Actor = x.outside(lineage.Party{ID: "somebody"})
			}, want: actorNo("a credential that somebody else acts with")},
		}, []exempt{settled, noToken, {"it has no actor token", on(alone, renewals, "deferred")}}},
	}
}

// outside is the tool's identity at another issuer, with which actors act.
func (x *try) outside(actors ...lineage.Party) tb.Credential {
	return tb.Credential{Type: tb.TypeJWT, Verified: &tb.Principal{
		Party: lineage.Party{ID: "spiffe://acme.example/tool", Issuer: domain}, Actors: actors, Identity: true,
		Issued: x.clock.Now(), Expires: x.clock.Now().Add(time.Hour),
	}}
}
