package tokenboundary_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestEveryRefreshIsDecidedAnewAndARefusalConsumesNothing(t *testing.T) {
	deny := func(v tb.Verdict) func(*world) {
		return func(w *world) { w.policy = func(tb.Facts) tb.Verdict { return v } }
	}
	registered := func(change func(*tb.Client)) func(*world) {
		return func(w *world) {
			c := w.clients["orchestrator"]
			change(&c)
			w.clients["orchestrator"] = c
		}
	}
	for name, c := range map[string]struct {
		change func(*world)
		code   tb.Code
		why    string
	}{
		"a deny rule": {deny(tb.Verdict{Path: "/a", Code: tb.CodeInvalidTarget}), tb.CodeInvalidTarget, "the policy denies"},
		"no path":     {deny(tb.Verdict{}), tb.CodeInvalidTarget, "the policy denies"},
		"no rule":     {deny(tb.Verdict{Path: "/a", Code: tb.CodeInvalidScope}), tb.CodeInvalidScope, "no rule allows"},
		"no rule lets it be refreshed any more": {func(w *world) { w.policy = grantAll }, tb.CodeInvalidScope,
			"nothing is left"},
		"the chain is too long now": {func(w *world) {
			grant := w.policy
			w.policy = func(f tb.Facts) tb.Verdict { v := grant(f); v.Depth = 0; return v }
		}, tb.CodeInvalidGrant, "the chain is longer"},
		"the connection was taken away": {registered(func(c *tb.Client) { c.Connections = []string{"other"} }),
			tb.CodeInvalidTarget, "not a connection of this client"},
		"the grant was taken away": {registered(func(c *tb.Client) { c.Grants = c.Grants[:2] }),
			tb.CodeUnauthorizedClient, "may not use this grant"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			tok := w.begun("read")
			clients, policy := w.clients["orchestrator"], w.policy
			c.change(w)
			w.unissued(w.again("orchestrator", tok.RefreshValue()), c.code, c.why)
			require.Empty(t, w.feed(ops))
			w.clients["orchestrator"], w.policy = clients, policy
			require.True(t, w.active(w.issued(w.again("orchestrator", tok.RefreshValue()))))
		})
	}
}

func TestARefreshIsDecidedOnWhatIsTrueNow(t *testing.T) {
	w := newWorld(t, refreshing)
	var seen []tb.Facts
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { seen = append(seen, f); return grant(f) }
	derived := w.issued(w.exchange("researcher", bearer(w.begun("read", "write")), crm, "read"))
	_, err := w.Signal(w.ctx, ops, tb.Signal{Env: map[string]any{"frozen": true}})
	require.NoError(t, err)
	_, err = w.Signal(w.ctx, ops, tb.Signal{
		Selector:  lineage.Selector{Kind: lineage.SelectSession, Value: "s-alice"},
		Assurance: &tb.Assurance{AuthTime: w.clock.Now(), ACR: "aal3", AMR: []string{"hwk"}},
	})
	require.NoError(t, err)
	seen = nil
	tok := w.issued(w.again("researcher", derived.RefreshValue()))
	require.Len(t, seen, 1)
	f := seen[0]
	require.Equal(t, tb.Refresh, f.Grant)
	require.Equal(t, "alice", f.Subject.ID)
	require.Equal(t, []string{"researcher", "orchestrator"}, ids(f.Chain))
	require.Equal(t, []string{"read"}, f.Scopes)
	require.Equal(t, "orchestrator", f.Parent.Client)
	require.Equal(t, true, f.Env["frozen"])
	require.Equal(t, "aal3", f.Session.ACR, "the policy sees the session as it is")

	s, err := w.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active)
	require.Empty(t, s.Claims.ACR, "and the token does not say more than the one that it began with")
	require.Zero(t, s.Claims.AuthTime)
	require.Empty(t, s.Claims.AMR)
	require.Equal(t, "s-alice", s.Claims.SessionID)
	require.Equal(t, "researcher", s.Claims.Act.Subject)
	require.Equal(t, "orchestrator", s.Claims.Act.Act.Subject)

	w = newWorld(t, refreshing) // positive control: nothing has changed
	tok = w.issued(w.again("orchestrator", w.begun("read").RefreshValue()))
	s, err = w.Introspect(w.ctx, ops, tok.Value())
	require.NoError(t, err)
	require.Equal(t, "aal2", s.Claims.ACR)
	require.Equal(t, w.human("alice").Verified.Session.AuthTime.Unix(), s.Claims.AuthTime)
}

func TestAPolicyThatCannotDecideConsumesNothing(t *testing.T) {
	down := false
	w := newWorld(t, refreshing)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		if down { // a defect: more than was asked for
			v.Access = []lineage.Access{{Resource: crm, Scopes: []string{"admin"}}}
		}
		return v
	}
	tok := w.begun("read")
	down = true
	got, err := w.Issue(w.ctx, w.again("orchestrator", tok.RefreshValue()))
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.False(t, errors.Is(err, tb.ErrDenied))
	require.Empty(t, got.Value()+got.RefreshValue())
	down = false
	w.issued(w.again("orchestrator", tok.RefreshValue()))
}

func TestFewerScopesMayBeAskedForAndTheWholeGrantIsKept(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("read", "write")
	next := func(scopes ...string) tb.Token {
		tok = w.issued(w.again("orchestrator", tok.RefreshValue(), scopes...))
		return tok
	}
	require.Equal(t, []string{"read"}, next("read").Scopes)
	require.Equal(t, []string{"write"}, next("write").Scopes)
	require.Equal(t, []string{"read", "write"}, next().Scopes)

	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { f.Scopes = []string{"read"}; return grant(f) }
	require.Equal(t, []string{"read"}, next().Scopes, "the policy grants less for now")
	w.policy = grant
	require.Equal(t, []string{"read", "write"}, next("read", "write").Scopes)

	for _, more := range [][]string{{"admin"}, {"read", "admin"}, {"READ"}} {
		w.unissued(w.again("orchestrator", tok.RefreshValue(), more...), tb.CodeInvalidScope, "more than was granted")
	}
	w.unissued(w.again("orchestrator", tok.RefreshValue(), "a b"), tb.CodeInvalidScope, "")
	req := w.again("orchestrator", tok.RefreshValue())
	req.Resource = []string{mail}
	w.unissued(req, tb.CodeInvalidTarget, "outside what it is made from")
	req.Resource = []string{crm, mail}
	w.unissued(req, tb.CodeInvalidTarget, "outside what it is made from")
	require.Equal(t, []string{"read", "write"}, next().Scopes, "and nothing was consumed")
}

func TestARefreshStaysWithItsConnectionAndItsResources(t *testing.T) {
	w := newWorld(t, refreshing)
	c := w.clients["orchestrator"]
	c.Connections = []string{"dev", "prod"}
	w.clients["orchestrator"] = c
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Connection, req.Resource = "prod", []string{crm, mail}
	tok := w.issued(req)

	other := w.again("orchestrator", tok.RefreshValue())
	other.Connection = "dev"
	w.unissued(other, tb.CodeInvalidTarget, "not the connection that was granted")
	one := w.again("orchestrator", tok.RefreshValue())
	one.Connection, one.Resource = "prod", []string{mail}
	tok = w.issued(one)
	require.Equal(t, []string{mail}, tok.Audience)
	tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
	require.Equal(t, []string{crm, mail}, tok.Audience, "the family keeps both")
	b := w.chain(tok.ID)
	require.Equal(t, "prod", b[len(b)-1].Body.Connection)
}

func TestScopesThatNoRuleLetsBeRefreshedAreNotInARefreshedToken(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("once", "read")
	require.Equal(t, []string{"once", "read"}, tok.Scopes)
	refreshed := w.issued(w.again("orchestrator", tok.RefreshValue()))
	require.Equal(t, []string{"read"}, refreshed.Scopes)
	w.unissued(w.again("orchestrator", refreshed.RefreshValue(), "once"), tb.CodeInvalidScope, "more than was granted")
	w.unissued(w.exchange("orchestrator", bearer(refreshed), crm, "once"), tb.CodeInvalidScope, "nothing is left")
	w.issued(w.exchange("orchestrator", bearer(tok), crm, "once")) // positive control: the first token has it

	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { // now every rule says refresh; what was granted then was granted once
		v := grant(f)
		for i := range v.Reasons {
			v.Reasons[i].Refresh = true
		}
		return v
	}
	require.Equal(t, []string{"read"}, w.issued(w.again("orchestrator", refreshed.RefreshValue())).Scopes)
}

// TestNothingRefreshedOutlivesWhatItCameFrom: a token ends with its family, a family with its task and the subject's
// token, and both with the token they were derived from.
func TestNothingRefreshedOutlivesWhatItCameFrom(t *testing.T) {
	for name, c := range map[string]struct {
		task *tb.TaskSpec
		ends time.Duration
	}{
		"subject's token": {nil, 10 * time.Minute}, // see outside
		"task":            {&tb.TaskSpec{Purpose: "work", ExpiresIn: 8 * time.Minute}, 8 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing)
			start := w.clock.Now()
			req := w.exchange("orchestrator", w.outside(party("alice", idp)), crm, "read")
			req.Task = c.task
			tok := w.issued(req)
			require.Equal(t, start.Add(c.ends), w.family(tok.ID).ExpiresAt)
			child := w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
			require.Equal(t, start.Add(5*time.Minute), w.family(child.ID).ExpiresAt, "when the token it is made from does")

			w.clock.Add(4 * time.Minute)
			require.Equal(t, time.Minute, w.issued(w.again("researcher", child.RefreshValue())).ExpiresIn)
			tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
			require.Equal(t, min(5*time.Minute, c.ends-4*time.Minute), tok.ExpiresIn)
			w.clock.Set(start.Add(c.ends - time.Minute))
			tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
			require.Equal(t, time.Minute, tok.ExpiresIn)
			w.clock.Add(time.Minute)
			w.unissued(w.again("orchestrator", tok.RefreshValue()), tb.CodeInvalidGrant, "the refresh family is expired")
		})
	}
}

func TestRefreshedTokensProveTheirWholeChain(t *testing.T) {
	w := newWorld(t, refreshing)
	tok := w.begun("read", "write")
	for range 3 {
		tok = w.issued(w.again("orchestrator", tok.RefreshValue()))
	}
	child := w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
	child = w.issued(w.again("researcher", child.RefreshValue()))
	leaf := w.issued(w.exchange("tool", bearer(child), crm, "read"))
	chain := w.chain(leaf.ID)
	var kinds []lineage.Kind
	for _, r := range chain {
		kinds = append(kinds, r.Kind)
	}
	grant, token := lineage.KindGrant, lineage.KindToken
	require.Equal(t, []lineage.Kind{grant, token, grant, token, grant, token}, kinds)
	for _, r := range chain {
		require.Equal(t, chain[0].ID(), r.Root())
	}
	require.NoError(t, lineage.VerifyChain(leaf.ID, chain))
	require.Error(t, lineage.VerifyChain(leaf.ID, append(chain[:2:2], chain[3:]...)), "without a family there is no chain")
}
