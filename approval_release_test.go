package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestAReleasedTokenSaysWhoAgreed(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	w.clock.Add(time.Minute)
	w.approved(d)
	at := w.clock.Now()
	w.clock.Add(time.Minute)
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{"read", "write"}, tok.Scopes)
	b := w.record(tok.ID).Body
	require.Equal(t, &lineage.Approved{ID: d.ID, By: "console", Person: "lena", At: at, Groups: []string{"leads"}}, b.Approved)
	require.Equal(t, map[string]uint64{"fact:env": 1}, b.Facts)
	require.Equal(t, string(tb.Exchange), b.GrantType, "the grant that was deferred")
	asked := w.record(d.ID)
	require.Equal(t, lineage.KindApproval, asked.Kind)
	require.Equal(t, []lineage.Obligation{approvalBy("leads", "write")}, asked.Body.Deferred.Wants)
	require.Equal(t, asked.Since, w.record(tok.ID).Since, "as old as the evidence that it was asked with")
	s, err := w.Introspect(w.ctx, w.client("crm"), tok.Value())
	require.NoError(t, err)
	require.True(t, s.Active)
	require.Equal(t, "orchestrator", s.Claims.Act.Subject)
}

func TestEveryGroupIsAsked(t *testing.T) {
	w := newWorld(t, approving)
	w.policy = obliged(grantAll, approvalBy("leads", "write"), approvalBy("auditors", "delete"), approvalBy("board", "sell"))
	both := tb.Client{ID: "console", Kind: tb.KindOperator, Groups: []string{"auditors", "leads"}, Person: "lena"}
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "delete", "write"))
	_, err := w.Approve(w.ctx, lead, d.ID, true)
	require.ErrorIs(t, err, tb.ErrForbidden)
	a, err := w.Approve(w.ctx, both, d.ID, true)
	require.NoError(t, err)
	require.Equal(t, both.Groups, a.Groups, "those of the scopes that were asked for")

	// What only another group can agree to was not agreed to.
	w.policy = obliged(grantAll, approvalBy("leads", "write"), approvalBy("board", "delete"))
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{"write"}, tok.Scopes)
}

// TestAReleaseIsDecidedAnew: what the policy, the facts and the client's registration say at the poll counts, and nothing
// is used up by a poll that they refuse.
func TestAReleaseIsDecidedAnew(t *testing.T) {
	denying := func(code tb.Code) func(tb.Facts) tb.Verdict {
		return func(tb.Facts) tb.Verdict { return tb.Verdict{Path: "/x", Code: code} }
	}
	for name, c := range map[string]struct {
		change, undo func(*world)
		code         tb.Code
		why          string
	}{
		"denied":  {func(w *world) { w.policy = denying("") }, nil, tb.CodeInvalidTarget, "the policy denies the target"},
		"no rule": {func(w *world) { w.policy = denying(tb.CodeInvalidScope) }, nil, tb.CodeInvalidScope, "no rule allows"},
		"another group": {func(w *world) { w.policy = obliged(grantAll, approvalBy("board", "write")) }, nil,
			tb.CodeInvalidScope, "nothing is left"},
		"one more group": {func(w *world) {
			w.policy = obliged(grantAll, approvalBy("leads", "write"), approvalBy("board", "write"))
		}, nil,
			tb.CodeInvalidScope, "nothing is left"},
		"risk": {func(w *world) { w.risk("client:orchestrator", "high") }, func(w *world) { w.risk("client:orchestrator", "unknown") },
			tb.CodeInvalidScope, "no rule allows"},
		"connection": {func(w *world) { w.connect("orchestrator", "other") }, func(w *world) { w.connect("orchestrator", "prod") },
			tb.CodeInvalidTarget, "not a connection of this client"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, approving)
			guarded := w.policy
			careful := func(f tb.Facts) tb.Verdict {
				v := guarded(f)
				if f.Risk == "high" {
					v.Effect, v.Code = tb.Deny, tb.CodeInvalidScope
				}
				return v
			}
			w.policy = careful
			d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
			w.approved(d)
			c.change(w)
			for range 2 {
				tok, err := w.poll("orchestrator", d)
				require.Empty(t, tok.Value())
				w.denies(err, c.code, c.why)
			}
			if c.undo != nil {
				c.undo(w)
			}
			w.policy = careful
			require.Equal(t, []string{"write"}, w.polled("orchestrator", d).Scopes, "nothing was used up")
		})
	}
}

func (w *world) connect(client, connection string) {
	c := w.clients[client]
	c.Connections = []string{connection}
	w.clients[client] = c
}

func (w *world) risk(sel, level string) tb.Outcome {
	w.Helper()
	s, err := lineage.ParseSelector(sel)
	require.NoError(w, err)
	out, err := w.Signal(w.ctx, ops, tb.Signal{Selector: s, Risk: level})
	require.NoError(w, err)
	require.True(w, out.Complete)
	return out
}

// granting returns a policy that grants these scopes, of those that are asked for, and what change makes of it.
func granting(change func(*tb.Verdict), scopes ...string) func(tb.Facts) tb.Verdict {
	return obliged(func(f tb.Facts) tb.Verdict {
		var some []string
		for _, s := range f.Scopes {
			if contains(scopes, s) {
				some = append(some, s)
			}
		}
		f.Scopes = some
		v := grantAll(f)
		if change != nil {
			change(&v)
		}
		return v
	}, approvalBy("leads", "write"))
}

func TestAReleaseIsNeverMoreThanWasAgreedTo(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = granting(func(v *tb.Verdict) { v.Lifetime, v.Depth = time.Minute, 2 }, "read", "write")
	req := w.exchange("orchestrator", w.human("alice"), crm, "admin", "read", "write")
	more, less := w.waits(req), w.waits(req)
	a := w.approved(more)
	w.approved(less)
	require.Equal(t, []string{"read", "write"}, a.Granted.Scopes(crm))

	w.policy = granting(nil, "admin", "read", "write") // five minutes, three actors
	direct := w.issued(w.exchange("tool", w.human("alice"), crm, "admin"))
	require.Equal(t, []string{"admin"}, direct.Scopes, "positive control")
	tok := w.polled("orchestrator", more)
	require.Equal(t, a.Granted.Scopes(crm), tok.Scopes)
	require.Equal(t, a.Lifetime, tok.ExpiresIn)
	require.Equal(t, a.Granted.Depth, w.record(tok.ID).Body.Granted.Depth)
	require.Equal(t, 1, a.Granted.Depth)

	w.policy = granting(func(v *tb.Verdict) { v.Lifetime, v.Depth = 10*time.Second, 1 }, "write")
	tok = w.polled("orchestrator", less)
	require.Equal(t, []string{"write"}, tok.Scopes)
	require.Equal(t, 10*time.Second, tok.ExpiresIn)
	require.Zero(t, w.record(tok.ID).Body.Granted.Depth)
}

func TestAReleaseIsForWhatTheDefaultsWereThen(t *testing.T) {
	w := newWorld(t, minting)
	bound, scope := crm, "write"
	w.policy = obliged(func(f tb.Facts) tb.Verdict {
		if len(f.Resources) == 0 {
			f.Resources = []string{bound}
		}
		if len(f.Scopes) == 0 {
			f.Scopes = []string{scope}
		}
		return grantAll(f)
	}, approvalBy("leads", "write"))
	d := w.waits(w.exchange("orchestrator", w.human("alice"), ""))
	a := w.approved(d)
	require.Equal(t, []string{crm}, a.Audience)
	bound, scope = mail, "admin"
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{crm}, tok.Audience)
	require.Equal(t, []string{"write"}, tok.Scopes)
	plain := w.issued(w.exchange("orchestrator", w.human("alice"), ""))
	require.Equal(t, []string{mail}, plain.Audience, "positive control")
}

// TestWhatDiesDuringAPollIsNotReleased: the release is conditional on all that the request comes from.
func TestWhatDiesDuringAPollIsNotReleased(t *testing.T) {
	for name, end := range map[string]func(*world, tb.Token){
		"parent":    func(w *world, p tb.Token) { w.revoke("token:"+p.ID.String(), lineage.Cut) },
		"task":      func(w *world, p tb.Token) { w.setTask(p.TaskID, tb.TaskCompleted) },
		"client":    func(w *world, _ tb.Token) { w.revoke("client:researcher", lineage.Block) },
		"suspended": func(w *world, p tb.Token) { w.setTask(p.TaskID, tb.TaskSuspended) },
		"":          func(*world, tb.Token) {},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, approving)
			guarded := w.policy
			task := w.work(10)
			d := w.waits(w.exchange("researcher", bearer(task), crm, "write"))
			w.approved(d)
			w.clock.Add(time.Second)
			ended := false
			w.policy = func(f tb.Facts) tb.Verdict {
				if !ended {
					ended = true
					end(w, task)
				}
				return guarded(f)
			}
			tok, err := w.poll("researcher", d)
			require.True(t, ended)
			if name == "" {
				require.NoError(t, err)
				return
			}
			require.Empty(t, tok.Value())
			code, why := tb.CodeInvalidGrant, "revoked"
			switch name {
			case "suspended":
				code, why = tb.CodeAuthorizationPending, "not yet"
			case "client":
				code = tb.CodeUnauthorizedClient
			}
			w.denies(err, code, why)
		})
	}
}
