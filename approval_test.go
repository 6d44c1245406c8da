package tokenboundary_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// open returns what waits for an approval by an operator.
func (w *world) open(by tb.Client) []tb.Approval {
	w.Helper()
	out, err := w.Approvals(w.ctx, by)
	require.NoError(w, err)
	return out
}

func TestAnApproverSeesExactlyWhatWouldBeGranted(t *testing.T) {
	w := newWorld(t, approving)
	parent := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.policy = obliged(grantAll, approvalBy("leads", "read"))
	w.clock.Add(time.Minute)
	req := w.exchange("researcher", bearer(parent), crm, "read", "write")
	req.Lifetime = 2 * time.Minute
	d := w.waits(req)
	w.clock.Add(time.Second)
	later := w.waits(w.exchange("orchestrator", w.human("bob"), crm, "read"))

	all := w.open(lead)
	require.Len(t, all, 2)
	require.Equal(t, later.ID, all[1].ID, "oldest first")
	a := all[0]
	require.Len(t, a.Digest, 43)
	require.NotEqual(t, all[1].Digest, a.Digest)
	at := w.clock.Now().Add(-time.Second)
	require.Equal(t, tb.Approval{
		ID: d.ID, Client: "researcher", Grant: tb.Exchange, Connection: "prod", Audience: []string{crm}, Lifetime: 2 * time.Minute,
		Subject: w.human("alice").Verified.Party, Session: a.Session, Digest: a.Digest, Groups: []string{"leads"},
		Actors: []lineage.Party{
			{ID: "researcher", Issuer: issuer, Kind: "agent"}, {ID: "orchestrator", Issuer: issuer, Kind: "agent"},
		},
		Granted: lineage.Authority{
			Access: []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, Depth: 1,
		},
		RequestedAt: at, ExpiresAt: at.Add(4 * time.Minute), // the end of the token it is made from
	}, a)
	require.Equal(t, "human", a.Session.Kind)
	require.Equal(t, "s-alice", a.Session.ID)

	agreed := w.approved(d)
	require.Equal(t, a, agreed)
	require.Len(t, w.open(lead), 1, "what was decided waits no longer")
	tok := w.polled("researcher", d)
	require.Equal(t, []string{"read"}, tok.Scopes)
	require.Equal(t, 2*time.Minute, tok.ExpiresIn)
}

func TestTheDigestOfAnApprovalSaysWhoAsksForWhat(t *testing.T) {
	w := newWorld(t, approving)
	mine := w.exchange("orchestrator", w.human("alice"), crm, "write")
	digest := func(req tb.Request) string {
		id := w.waits(req).ID
		for _, a := range w.open(lead) {
			if a.ID == id {
				return a.Digest
			}
		}
		t.Fatal("not shown")
		return ""
	}
	first, again := digest(mine), mine
	again.Client = w.once("orchestrator", "a")
	require.Equal(t, first, digest(again), "what is good for one use only is not part of it")
	seen := map[string]bool{first: true}
	changes := []func(*tb.Request){
		func(r *tb.Request) { r.Client = w.as("tool") },
		func(r *tb.Request) { r.Subject = w.human("bob") },
		func(r *tb.Request) { r.Resource = []string{mail} },
		func(r *tb.Request) { r.Scopes = []string{"read", "write"} },
		func(r *tb.Request) { r.Lifetime = time.Minute },
		func(r *tb.Request) { r.Task = &tb.TaskSpec{Purpose: "triage"} },
		func(r *tb.Request) { r.Task = &tb.TaskSpec{Purpose: "refund"} },
	}
	for _, change := range changes {
		req := mine
		change(&req)
		seen[digest(req)] = true
	}
	require.Len(t, seen, len(changes)+1, "each is another request")
}

func TestWhoMayApprove(t *testing.T) {
	w := newWorld(t, approving)
	root := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	w.policy = obliged(grantAll, approvalBy("leads", "read"), approvalBy("auditors", "read"))
	mine := w.outside(alias("researcher"))
	req := w.exchange("researcher", bearer(root), crm, "read")
	req.Actor = mine // the client is not in the chain by its own name
	d := w.waits(req)
	require.Equal(t, []string{alias("researcher").ID, "orchestrator"}, ids(d.Actors))

	both := tb.Client{ID: "console", Kind: tb.KindOperator, Groups: []string{"leads", "auditors", "staff"}, Person: "lena"}
	with := func(change func(*tb.Client)) tb.Client { c := both; change(&c); return c }
	for name, by := range map[string]tb.Client{
		"nobody":           {},
		"without a name":   with(func(c *tb.Client) { c.ID = "" }),
		"an agent":         with(func(c *tb.Client) { c.Kind = tb.KindAgent }),
		"a resource":       with(func(c *tb.Client) { c.Kind = tb.KindResource }),
		"for nobody":       with(func(c *tb.Client) { c.Person = "" }),
		"of no group":      with(func(c *tb.Client) { c.Groups = nil }),
		"of one group":     with(func(c *tb.Client) { c.Groups = []string{"leads"} }),
		"of the other":     with(func(c *tb.Client) { c.Groups = []string{"auditors"} }),
		"of another":       with(func(c *tb.Client) { c.Groups = []string{"lead", "auditors", "leads/eu"} }),
		"for the subject":  with(func(c *tb.Client) { c.Person = "alice" }),
		"is the subject":   with(func(c *tb.Client) { c.ID = "alice" }),
		"for the client":   with(func(c *tb.Client) { c.Person = "researcher" }),
		"is the client":    with(func(c *tb.Client) { c.ID = "researcher" }),
		"for the actor":    with(func(c *tb.Client) { c.Person = alias("researcher").ID }),
		"is the actor":     with(func(c *tb.Client) { c.ID = alias("researcher").ID }),
		"for one above":    with(func(c *tb.Client) { c.Person = "orchestrator" }),
		"is one above":     with(func(c *tb.Client) { c.ID = "orchestrator" }),
		"the other way up": with(func(c *tb.Client) { c.Groups = nil; c.ID = "auditors" }),
	} {
		for _, agree := range []bool{true, false} {
			_, err := w.Approve(w.ctx, by, d.ID, agree)
			require.ErrorIs(t, err, tb.ErrForbidden, name)
		}
	}
	for name, by := range map[string]tb.Client{"an agent": with(func(c *tb.Client) { c.Kind = tb.KindAgent }), "nobody": {}} {
		_, err := w.Approvals(w.ctx, by)
		require.ErrorIs(t, err, tb.ErrForbidden, name)
	}
	require.Empty(t, w.open(lead), "shown to whom it asks")
	require.Len(t, w.open(both), 1)
	for _, id := range []lineage.ID{{}, root.ID, lineage.IDOf([]byte("none"))} {
		_, err := w.Approve(w.ctx, both, id, true)
		require.ErrorIs(t, err, tb.ErrNotFound)
	}
	w.stillWaits("researcher", d)
	a, err := w.Approve(w.ctx, both, d.ID, true)
	require.NoError(t, err)
	require.Equal(t, []string{"auditors", "leads"}, a.Groups)
	w.polled("researcher", d)
}

func TestAnApproverIsNoAncestor(t *testing.T) {
	w := newWorld(t, approving)
	own := tb.Request{Grant: tb.ClientCredentials, Client: w.as("tool"), Resource: []string{crm}, Scopes: []string{"read"}}
	acting := w.acting() // for alice, by tool under another name
	for name, c := range map[string]struct {
		root  tb.Request
		above []string
	}{
		"deep":           {w.exchange("orchestrator", w.human("alice"), crm, "read"), []string{"alice", "orchestrator", "researcher"}},
		"own right":      {own, []string{"tool", "researcher"}},
		"under an alias": {acting, []string{"alice", "tool", alias("tool").ID, "researcher"}},
	} {
		t.Run(name, func(t *testing.T) {
			w.policy = grantAll
			one := w.issued(c.root)
			two := w.issued(w.exchange("researcher", bearer(one), crm, "read"))
			w.policy = obliged(grantAll, approvalBy("leads", "read"))
			d := w.waits(w.exchange("researcher", bearer(two), crm, "read"))
			for _, who := range c.above {
				for _, by := range []tb.Client{
					{ID: who, Kind: tb.KindOperator, Groups: lead.Groups, Person: "lena"},
					{ID: "console", Kind: tb.KindOperator, Groups: lead.Groups, Person: who},
				} {
					_, err := w.Approve(w.ctx, by, d.ID, true)
					require.ErrorIs(t, err, tb.ErrForbidden, who)
				}
			}
			w.approved(d)
		})
	}
}

func TestTheFirstDecisionCounts(t *testing.T) {
	for _, agree := range []bool{true, false} {
		w := newWorld(t, approving)
		d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		_, err := w.Approve(w.ctx, lead, d.ID, agree)
		require.NoError(t, err)
		for _, second := range []bool{true, false} {
			_, err := w.Approve(w.ctx, lead, d.ID, second)
			require.ErrorIs(t, err, tb.ErrConflict)
		}
		_, err = w.poll("orchestrator", d)
		if agree {
			require.NoError(t, err)
			_, err = w.Approve(w.ctx, lead, d.ID, false)
			require.ErrorIs(t, err, tb.ErrConflict, "it was released")
			continue
		}
		w.denies(err, tb.CodeAccessDenied, "refused by console")
	}
}

func TestTheFirstDecisionCountsUnderConcurrency(t *testing.T) {
	for range 5 {
		w := newWorld(t, approving)
		d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		var agreed, refused, late atomic.Int64
		var all sync.WaitGroup
		for i := range 64 {
			by := tb.Client{ID: fmt.Sprint("console", i), Kind: tb.KindOperator, Groups: lead.Groups, Person: fmt.Sprint("person", i)}
			all.Go(func() {
				switch _, err := w.Approve(w.ctx, by, d.ID, i%2 == 0); {
				case err == nil && i%2 == 0:
					agreed.Add(1)
				case err == nil:
					refused.Add(1)
				case errors.Is(err, tb.ErrConflict):
					late.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, agreed.Load()+refused.Load())
		require.EqualValues(t, 63, late.Load())
		_, err := w.poll("orchestrator", d)
		if agreed.Load() == 1 {
			require.NoError(t, err)
			continue
		}
		w.denies(err, tb.CodeAccessDenied, "refused by console")
	}
}

func TestAnOperatorsAssertionIsSpentOnItsDecision(t *testing.T) {
	w := newWorld(t, approving)
	w.clients["console"] = lead
	by, err := w.Authenticate(w.ctx, w.once("console", "a"))
	require.NoError(t, err)
	one, two := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write")), w.waits(w.exchange("orchestrator", w.human("bob"), crm, "write"))
	_, err = w.Approve(w.ctx, by, one.ID, true)
	require.NoError(t, err)
	_, err = w.Approve(w.ctx, by, two.ID, true)
	require.ErrorIs(t, err, tb.ErrUnauthenticated)
	w.polled("orchestrator", one)
	w.stillWaits("orchestrator", two)
}
