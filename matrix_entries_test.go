package tokenboundary_test

import (
	"errors"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// entry is a way into the Governor.
type entry struct {
	name    string
	verbs   []string // the methods that it uses
	grant   tb.Grant // that it asks by
	shows   string   // what it shows when it is allowed
	prepare func(*try)
	use     func(*try) result
	client  string // who uses a verb; the tool asks for tokens
}

// The entry points, in lists of those that a check concerns alike. A new one has to be put into lists by hand: no check
// is taken to concern it, or not to.
var (
	entries = append(tokenEntries(), verbEntries()...)

	byIssue    = on("client_credentials", "task", "login", "exchange", "task_below", "refresh", "deferred")
	byDecide   = on("decide", "hosted", "host_refresh")
	requests   = on(byIssue, byDecide)  // that are decided
	tokens     = on(requests, "record") // all ways to a token
	alone      = on("client_credentials", "task")
	fromToken  = on("exchange", "task_below", "decide", "hosted") // from somebody else's token of ours
	fromOurs   = on("exchange", "task_below", "decide")           // which we minted
	exchanges  = on(fromToken, "login")
	renewals   = on("refresh", "host_refresh")
	below      = on(fromToken, renewals, "deferred") // all requests with a token above
	retires    = on("retire", "retire_refresh", "retire_task")
	taskMoves  = on("suspend", "resume", "complete")
	signals    = on("signal", "signal_env", "signal_reload", "signal_end")
	changers   = on(retires, taskMoves, signals, "revoke", "renew_feed", "prune", "erase", "approve", "report", "attach", "set_lease", "keep")
	reading    = on("introspect", "active", "read_task", "lineage", "descendants", "closure", "feed", "approvals", "read_lease", "leases", "kept")
	verbsAll   = on(changers, reading)
	everywhere = on(tokens, verbsAll)

	forOperators = on("revoke", "renew_feed", "prune", "erase", "approve", signals, "lineage", "descendants", "closure", "approvals")
)

// tokenEntries are the ways to a token.
func tokenEntries() []entry {
	issue, decide := []string{"Issue"}, []string{"Decide"}
	return []entry{
		{"client_credentials", issue, tb.ClientCredentials, "token", func(x *try) {
			x.req = x.asking(tb.ClientCredentials, tb.Credential{})
		}, (*try).issue, "tool"},
		{"task", issue, tb.ClientCredentials, "token", func(x *try) {
			x.req = x.asking(tb.ClientCredentials, tb.Credential{})
			x.req.Task = &tb.TaskSpec{Purpose: "work"}
		}, (*try).issue, "tool"},
		{"login", issue, tb.Exchange, "token", func(x *try) { x.req = x.asking(tb.Exchange, x.idToken()) }, (*try).issue, "tool"},
		{"exchange", issue, tb.Exchange, "token", (*try).derives, (*try).issue, "tool"},
		{"task_below", issue, tb.Exchange, "token", func(x *try) {
			x.derives()
			x.req.Task = &tb.TaskSpec{Purpose: "part of it"}
		}, (*try).issue, "tool"},
		{"refresh", issue, tb.Refresh, "token", func(x *try) {
			x.derives()
			x.own = x.issued(x.req)
			x.above = x.record(x.own.ID).Parents[0]
			x.req = x.proved(tb.Request{Grant: tb.Refresh, Client: bySecret("tool"), Subject: refreshToken(x.own.RefreshValue())})
		}, (*try).issue, "tool"},
		{"deferred", issue, tb.Deferred, "token", func(x *try) {
			x.climb()
			x.asked = x.postponed()
			x.req = x.proved(polling(bySecret("tool"), x.asked.Deferral.Value()))
			_, err := x.Approve(x.ctx, lead, x.asked.ID, true)
			require.NoError(x, err)
		}, (*try).issue, "tool"},
		{"decide", decide, tb.Exchange, "token", (*try).derives, (*try).decide, "tool"},
		{"hosted", decide, tb.Exchange, "token", func(x *try) {
			x.derives()
			x.above = x.host("researcher", x.task, "minted by the host").ID
			x.req.Subject = tb.Credential{Type: tb.TypeAccessToken, Verified: &tb.Principal{
				Party: lineage.Party{ID: "alice", Issuer: provider}, Handle: "minted by the host",
			}}
		}, (*try).decide, "tool"},
		{"host_refresh", decide, tb.Refresh, "token", func(x *try) {
			x.climb()
			x.above = x.host("tool", x.derived, "minted by the host").Family
			x.req = x.asking(tb.Refresh, tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{
				Party: lineage.Party{ID: "alice", Issuer: provider}, Lineage: x.above,
			}})
			x.req.Resource, x.req.Scopes, x.req.Details = nil, nil, nil
			x.req = x.proved(x.req)
		}, (*try).decide, "tool"},
		{"record", []string{"Decide", "Record"}, tb.Exchange, "token", func(x *try) {
			x.derives()
			x.hold()
		}, func(x *try) result {
			return x.done(x.Record(x.ctx, x.pending, tb.HostToken{Handle: x.handle}), "token")
		}, "tool"},
	}
}

// derives makes ready the request for a token from the researcher's.
func (x *try) derives() {
	x.climb()
	x.req = x.proved(x.asking(tb.Exchange, bearer(x.derived)))
}

// hold decides the request, for a host that records it later.
func (x *try) hold() {
	x.req.Enforce = everything
	var err error
	x.pending, err = x.Decide(x.ctx, x.req)
	require.NoError(x, err)
	require.Equal(x, tb.Allow, x.pending.Effect, "%+v", x.pending)
}

// host decides and records a token that the host minted for the client.
func (x *try) host(client string, from tb.Token, handle string) tb.Decision {
	req := x.asking(tb.Exchange, bearer(from))
	req.Client, req.Enforce, req.Scopes = bySecret(client), everything, []string{"read", "write"}
	if x.proof != "" {
		x.registered(client, func(c *tb.Client) { c.Binding = tb.BindingOptional })
		req = x.proved(req)
	}
	d, err := x.Decide(x.ctx, req)
	require.NoError(x, err)
	require.Equal(x, tb.Allow, d.Effect, "%+v", d)
	require.NoError(x, x.Record(x.ctx, d, tb.HostToken{Handle: handle}))
	return d
}

func (x *try) issue() result {
	tok, err := x.Issue(x.ctx, x.req)
	o := x.done(err, "token")
	if tok.Value() != "" {
		o.life = tok.ExpiresIn
	} else {
		o.shown = ""
	}
	return o
}

func (x *try) decide() result {
	d, err := x.Decide(x.ctx, x.req)
	if err == nil && d.Effect != tb.Allow {
		err = &tb.DeniedError{Decision: d}
	}
	o := x.done(err, "token")
	if o.shown != "" {
		r := x.record(d.ID)
		require.Equal(x, lineage.KindToken, r.Kind)
		o.life = r.ExpiresAt.Sub(r.IssuedAt)
	}
	return o
}

// done is the result of what shows nothing but that it is done.
func (x *try) done(err error, shows string) result {
	var no *tb.DeniedError
	switch {
	case errors.As(err, &no):
		return result{no: &no.Decision}
	case err != nil:
		return result{err: err}
	}
	return result{shown: shows}
}

// passes moves the clock.
func (x *try) passes(d time.Duration) { x.clock.Add(d) }
