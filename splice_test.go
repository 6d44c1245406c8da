package tokenboundary_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	idp   = "https://idp.example"
	realm = "spiffe://acme.example"
)

// party is somebody whom an outside issuer names.
func party(id, iss string) lineage.Party { return lineage.Party{ID: id, Issuer: iss} }

// alias is what the trust domain calls a client.
func alias(client string) lineage.Party { return party(realm+"/"+client, realm) }

// outside is a JWT about a party, for ten minutes, with the chain that it carries.
func (w *world) outside(p lineage.Party, actors ...lineage.Party) tb.Credential {
	p.Kind = "workload"
	return tb.Credential{Type: tb.TypeJWT, Verified: &tb.Principal{
		Party: p, Actors: actors, Issued: w.clock.Now(), Expires: w.clock.Now().Add(10 * time.Minute), Identity: true,
	}}
}

func TestAnOutsideChainNamesEverybodyOnceAndNobodyOfOurs(t *testing.T) {
	w := newWorld(t)
	alice, mid, far := party("alice", idp), party("mid", idp), party("far", idp)
	d := w.granted(w.exchange("tool", w.outside(alice, mid, far), crm, "read"))
	require.Equal(t, []string{"tool", "mid", "far"}, ids(d.Actors), "positive control")
	for name, c := range map[string]struct {
		subject lineage.Party
		chain   []lineage.Party
		why     string
	}{
		"subject is a client":       {party("researcher", idp), nil, "the subject has the name of a client"},
		"actor is a client":         {alice, []lineage.Party{party("researcher", idp)}, "an actor has the name of a client"},
		"inner actor is a client":   {alice, []lineage.Party{mid, party("ops", idp)}, "an actor has the name of a client"},
		"actor is the one who asks": {alice, []lineage.Party{party("tool", idp)}, "an actor has the name of a client"},
		"actor twice":               {alice, []lineage.Party{mid, mid}, "somebody stands twice"},
		"actor again":               {alice, []lineage.Party{mid, far, mid}, "somebody stands twice"},
		"subject acts":              {alice, []lineage.Party{alice}, "somebody stands twice"},
		"subject acts inside":       {alice, []lineage.Party{mid, alice}, "somebody stands twice"},
		"alias of the one who asks": {alice, []lineage.Party{mid, alias("tool")}, "deeper in the chain"},
		"nobody":                    {alice, []lineage.Party{mid, {}}, "without a usable name"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.refused(w.exchange("tool", w.outside(c.subject, c.chain...), crm, "read"), tb.CodeInvalidRequest, c.why)
		})
	}
}

func TestAClientActsOnceWhateverItIsCalled(t *testing.T) {
	for name, c := range map[string]struct {
		subject lineage.Party
		chain   []lineage.Party
	}{
		"subject": {alias("tool"), nil},
		"actor":   {party("alice", idp), []lineage.Party{alias("tool")}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			root := w.granted(w.exchange("researcher", w.outside(c.subject, c.chain...), crm, "read"))
			w.refused(w.exchange("tool", host(root), crm, "read"), tb.CodeInvalidRequest, "deeper in the chain")
			w.granted(w.exchange("orchestrator", host(root), crm, "read"))
		})
	}
	t.Run("actor token", func(t *testing.T) {
		w := newWorld(t)
		req := w.exchange("tool", w.human("alice"), crm, "read")
		req.Actor = w.outside(alias("tool"))
		first := w.granted(req)
		require.Equal(t, []string{alias("tool").ID}, ids(first.Actors))
		second := w.granted(w.exchange("researcher", host(first), crm, "read"))
		again := w.exchange("tool", host(second), crm, "read")
		w.refused(again, tb.CodeInvalidRequest, "deeper in the chain")
		again.Actor = w.outside(alias("tool"))
		w.refused(again, tb.CodeInvalidRequest, "deeper in the chain")
	})
}

func TestAnActorTokenIsItsClientsOwn(t *testing.T) {
	w := newWorld(t)
	task, other := w.start("triage", 20, "read"), w.start("refund", 20, "read")
	ours := func(client string, from tb.Decision) tb.Credential {
		return host(w.granted(w.exchange(client, host(from), crm, "read")))
	}
	mine := ours("tool", task)
	for name, c := range map[string]struct {
		actor tb.Credential
		why   string // empty: granted
	}{
		"its own":                   {mine, ""},
		"its identity":              {w.outside(alias("tool")), ""},
		"another's":                 {ours("researcher", task), "not a token of this client"},
		"another's identity":        {w.outside(alias("researcher")), "not an identity of this client"},
		"of another task":           {ours("tool", other), "not of one task"},
		"of no task":                {host(w.granted(w.exchange("tool", w.human("bob"), crm, "read"))), "not of one task"},
		"identity somebody uses":    {w.outside(alias("tool"), party("mid", realm)), "somebody else acts with"},
		"identity another uses":     {w.outside(alias("tool"), alias("researcher")), "somebody else acts with"},
		"the subject's, not its":    {w.human("alice"), "not an identity of this client"},
		"a client's secret":         {tb.Credential{Type: tb.TypeClientSecret, ID: "tool", Value: "x"}, "no token"},
		"a decision that is nobody": {host(tb.Decision{ID: lineage.ID{1}}), "not acceptable"},
	} {
		req := w.exchange("tool", mine, crm, "read")
		req.Actor = c.actor
		if c.why != "" {
			w.refused(req, tb.CodeInvalidRequest, c.why)
			continue
		}
		require.Equal(t, "alice", w.granted(req).Subject.ID, name)
	}
}

func TestATaskIsNotLeftByStartingAnotherInsideIt(t *testing.T) {
	w := newWorld(t)
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Parent != nil && f.Parent.Purpose == "triage" && contains(f.Scopes, "write") {
			return tb.Verdict{}
		}
		return grant(f)
	}
	root := w.start("triage", 10, "read", "write")
	inside := w.granted(w.exchange("orchestrator", host(root), crm, "read"))
	for _, d := range []tb.Decision{root, inside} {
		req := w.exchange("orchestrator", host(d), crm, "read")
		w.granted(req) // positive control
		req.Task = &tb.TaskSpec{Purpose: "other"}
		child := w.granted(req)
		require.NotEqual(t, root.TaskID, child.TaskID)
		req.Scopes = []string{"write"}
		w.refused(req, tb.CodeInvalidTarget, "the policy denies")
	}
}

// TestRandomSplicesNeverWidenNorRepeatAnActor presents random pairs of subject and actor, of all clients, with and
// without a new task, and checks what every allow was made of.
func TestRandomSplicesNeverWidenNorRepeatAnActor(t *testing.T) {
	s := &splices{world: newWorld(t, func(w *world) { w.cfg.DenialRate = 1 << 20 }), rnd: rand.New(rand.NewPCG(7, 1))}
	for i := range 300 {
		s.step(i)
	}
	require.Greater(t, s.derived, 50, "the histories must reach what they test")
	require.Greater(t, s.escorted, 5)
}

type splices struct {
	*world
	rnd               *rand.Rand
	pool              []lineage.Record
	derived, escorted int
}

func (s *splices) some(of ...string) (out []string) {
	for _, x := range of {
		if s.rnd.IntN(2) == 0 {
			out = append(out, x)
		}
	}
	return out
}

func (s *splices) pick() lineage.Record { return s.pool[s.rnd.IntN(len(s.pool))] }

// token is the host's token for a record.
func token(r lineage.Record) tb.Credential {
	return host(tb.Decision{ID: r.ID(), Subject: r.Body.Subject})
}

func (s *splices) step(i int) {
	s.Helper()
	req := s.exchange(agents[s.rnd.IntN(len(agents))], s.human("alice"), "", append(s.some("b", "c"), "a")...)
	req.Resource, req.Enforce = s.some(crm, mail), everything
	var parent *lineage.Record
	if len(s.pool) > 0 && s.rnd.IntN(4) > 0 {
		r, a := s.pick(), s.pick()
		parent, req.Subject = &r, token(r)
		if s.rnd.IntN(2) == 0 {
			req.Client, req.Actor = s.as(a.Body.Client), token(a)
		}
	}
	if s.rnd.IntN(6) == 0 {
		req.Task = &tb.TaskSpec{Purpose: "work"}
		if scopes := s.some("a", "b", "c"); len(scopes) > 0 {
			req.Task.Authority = []lineage.Access{{Resource: crm, Scopes: scopes}}
		}
	}
	d, err := s.Decide(s.ctx, req)
	require.NoError(s, err)
	if d.Effect != tb.Allow {
		return
	}
	require.NoError(s, s.Record(s.ctx, d, tb.HostToken{Handle: fmt.Sprint("h", i)}))
	nodes, err := s.Lineage(s.ctx, ops, d.ID)
	require.NoError(s, err)
	chain := make([]lineage.Record, len(nodes))
	for i := range nodes {
		chain[i] = nodes[i].Record
	}
	require.NoError(s, lineage.VerifyChain(d.ID, chain))
	made := chain[len(chain)-1]
	for j, p := range d.Actors {
		require.False(s, p.Same(d.Subject))
		for _, q := range d.Actors[:j] {
			require.False(s, p.Same(q), "%v", d.Actors)
		}
	}
	if parent != nil {
		s.derived++
		require.True(s, parent.Derivable().Covers(made.Derivable()))
		require.True(s, parent.Derivable().Covers(made.Body.Granted))
		require.False(s, made.ExpiresAt.After(parent.ExpiresAt))
		require.Equal(s, parent.Body.Subject, d.Subject)
	}
	if !made.Body.ActorToken.IsZero() {
		s.escorted++
	}
	if s.pool = append(s.pool, made); len(s.pool) > 40 {
		s.pool = s.pool[1:]
	}
}
