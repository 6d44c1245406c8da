package tokenboundary_test

import (
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const neighbour = "https://neighbour.example"

// beside is the boundary of another issuer, with everything else alike: the same store, and even the same key.
func (x *try) beside() *try {
	y := *x
	w := *x.world
	y.world = &w
	w.cfg.Issuer = neighbour
	m, err := mint.Open(w.ctx, mint.Config{Issuer: neighbour, Store: memory.New(), Signer: x.ours, Clock: w.clock})
	require.NoError(x, err)
	w.cfg.Minter = m
	w.restart()
	return &y
}

// tenantChecks are about what is another issuer's, on the same store: to this one it does not exist.
func tenantChecks() []check {
	theirs := func(use func(x, y *try)) func(*try) {
		return func(x *try) {
			y := x.beside()
			y.entry.prepare(y)
			use(x, y)
		}
	}
	takes := theirs(func(x, y *try) {
		x.req.Subject, x.raw, x.id, x.uses, x.lease = y.req.Subject, y.raw, y.id, y.uses, y.lease
		x.home, x.derived, x.own = y.Governor, y.derived, y.own // whose it is says whether it still lives
	})
	unknown := fails(tb.ErrNotFound, "")
	return []check{
		{"tenant", []cell{
			{on: fromOurs, wrong: takes, want: subjectNo("another issuer")},
			{on: on("hosted"), wrong: theirs(func(x, y *try) { x.req.Subject.Verified.Lineage = y.derived.ID }),
				want: subjectNo("not found: record")},
			{on: on("refresh"), wrong: takes,
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			{on: on("host_refresh"), wrong: takes,
				want: refused(tb.CodeInvalidGrant, "refresh_token", "not a refresh token of this boundary")},
			{on: on("deferred"), wrong: takes,
				want: refused(tb.CodeInvalidGrant, "deferral_code", "not a deferral code of this boundary")},
			{on: on("record"), wrong: theirs(func(x, y *try) { x.pending = y.pending }),
				want: fails(tb.ErrInvalid, "not a decision of this boundary")},
			{on: on("introspect", "active"), wrong: takes, want: nothing},
			{on: on("report"), wrong: takes, want: shown("unknown")},
			{on: retires, wrong: takes, want: shown("active")},
			{on: on(taskMoves, "read_task", "lineage", "descendants", "approve", "set_lease", "read_lease"), wrong: takes, want: unknown},
			{on: on("revoke"), wrong: func(x *try) { x.Governor = x.beside().Governor }, want: shown("active")},
			{on: on("attach"), wrong: takes, want: refused(tb.CodeInvalidRequest, "token", "another issuer")},
			{on: on("closure", "feed", "approvals", "leases", "kept"), wrong: func(x *try) { x.Governor = x.beside().Governor }, want: nothing},
		}, []exempt{
			{"it presents nothing of ours", on(alone, "login")},
			{"it is about this issuer's tokens only, all of them", on(signals, "renew_feed", "prune", "erase")},
			{"what each issuer's brokers keep is there of itself: see kept", on("keep")},
		}},
	}
}
