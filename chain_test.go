package tokenboundary_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func ids(parties []lineage.Party) []string {
	var out []string
	for _, p := range parties {
		out = append(out, p.ID)
	}
	return out
}

func TestChainGrowsOutermostAndKeepsTheSubject(t *testing.T) {
	w := newWorld(t)
	one := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	two := w.granted(w.exchange("researcher", host(one), crm, "read"))
	own := w.granted(w.exchange("researcher", host(two), crm, "read"))
	three := w.granted(w.exchange("tool", host(own), crm, "read"))

	require.Equal(t, []string{"orchestrator"}, ids(one.Actors))
	require.Equal(t, []string{"researcher", "orchestrator"}, ids(two.Actors))
	require.Equal(t, ids(two.Actors), ids(own.Actors), "exchanging one's own token adds no entry")
	require.Equal(t, []string{"tool", "researcher", "orchestrator"}, ids(three.Actors))
	for _, d := range []tb.Decision{one, two, own, three} {
		require.Equal(t, "alice", d.Subject.ID)
	}
	require.Equal(t, 0, three.Granted.Depth)

	nodes, err := w.Lineage(w.ctx, tb.Client{ID: "ops", Kind: tb.KindOperator}, three.ID)
	require.NoError(t, err)
	chain := make([]lineage.Record, len(nodes))
	for i, n := range nodes {
		require.Equal(t, lineage.Active, n.State)
		chain[i] = n.Record
	}
	require.Len(t, chain, 4)
	require.NoError(t, lineage.VerifyChain(three.ID, chain))
	require.Equal(t, one.ID, chain[3].Root())
}

func TestChainRefusals(t *testing.T) {
	w := newWorld(t)
	one := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	two := w.granted(w.exchange("researcher", host(one), crm, "read"))
	three := w.granted(w.exchange("tool", host(two), crm, "read"))

	w.refused(w.exchange("orchestrator", host(two), crm, "read"), tb.CodeInvalidRequest, "deeper in the chain")
	theft := w.refused(w.exchange("stranger", host(one), crm, "read"), tb.CodeInvalidRequest, "not delegable")
	found := false
	for n, err := range w.Descendants(w.ctx, ops, one.ID) {
		require.NoError(t, err)
		found = found || n.Record.ID() == theft.ID && n.State == lineage.Denied
	}
	require.True(t, found, "the attempt belongs into the lineage of the token")
	w.clients["fourth"] = tb.Client{ID: "fourth", Kind: tb.KindAgent, Grants: []tb.Grant{tb.Exchange}, Connections: []string{"prod"}}
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		for i := range v.Reasons {
			v.Reasons[i].Delegates = append(v.Reasons[i].Delegates, "fourth")
		}
		return v
	}
	again := w.granted(w.exchange("tool", host(three), crm, "read"))
	w.refused(w.exchange("fourth", host(again), crm, "read"), tb.CodeInvalidRequest, "may not grow")

	actor := w.human("spiffe://acme.example/researcher")
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Actor = actor
	w.refused(req, tb.CodeInvalidRequest, "not an identity of this client")
}

func TestMayActRestrictsAndNeverGrants(t *testing.T) {
	w := newWorld(t)
	only := func(id string) tb.Credential {
		c := w.human("alice")
		c.Verified.MayAct = &lineage.Party{ID: id}
		return c
	}
	w.granted(w.exchange("orchestrator", only("orchestrator"), crm, "read"))
	w.refused(w.exchange("researcher", only("orchestrator"), crm, "read"), tb.CodeInvalidRequest, "may_act")

	one := w.granted(w.exchange("orchestrator", only("orchestrator"), crm, "read"))
	w.refused(w.exchange("stranger", host(one), crm, "read"), tb.CodeInvalidRequest, "not delegable")
}
