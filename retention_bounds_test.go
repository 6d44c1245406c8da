package tokenboundary_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestThereIsNoLongestRetention: what is kept for longer than times can be is kept.
func TestThereIsNoLongestRetention(t *testing.T) {
	w := newWorld(t, minting)
	w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.revoke("subject:alice", lineage.Cut)
	w.revoke("subject:bob", lineage.Cut)
	w.clock.Add(10_000 * time.Hour)
	for _, r := range []tb.Retention{
		{Keep: math.MaxInt64, Evidence: time.Second}, {Keep: math.MaxInt64, Evidence: math.MaxInt64}, {Keep: math.MaxInt64 - time.Second},
	} {
		out, err := w.Prune(w.ctx, ops, r)
		require.NoError(t, err)
		require.Equal(t, tb.Pruned{Complete: true}, out, "%+v", r)
	}
	require.Equal(t, []string{"subject:alice"}, w.marksOf("subject:alice"))
	require.Equal(t, tb.Pruned{Records: 1, Complete: true}, pruned(w, tb.Retention{Keep: time.Hour, Evidence: math.MaxInt64}), "control")
	require.Equal(t, tb.Pruned{Revocations: 1, Complete: true}, pruned(w, tb.Retention{Keep: time.Hour}), "control: the newest stays")
}

func pruned(w *world, r tb.Retention) tb.Pruned {
	w.Helper()
	out, err := w.Prune(w.ctx, ops, r)
	require.NoError(w, err)
	return out
}

// TestPruneLetsEverythingLiveOnNodesWhoseClocksDiffer: the node that forgets is ahead by the whole leeway of the one that is asked,
// or behind it, and keeps nothing longer than it must.
func TestPruneLetsEverythingLiveOnNodesWhoseClocksDiffer(t *testing.T) {
	forgotten, alive := 0, 0
	for seed := range uint64(24) {
		h := newHistory(t, seed, map[string]int{})
		for range 60 {
			h.step()
		}
		h.clock.Add(time.Duration(seed%5) * life / 2)
		for range 30 {
			h.step()
		}
		before := map[lineage.ID]lineage.State{}
		for _, n := range h.nodes {
			before[n.id] = h.state(n.id)
		}
		other := h.skewed([]time.Duration{5 * time.Second, -5 * time.Second}[seed%2])
		out := pruned(other, tb.Retention{Keep: 1, Evidence: 1})
		forgotten += out.Records
		left := h.kept()
		for _, n := range h.nodes {
			was := before[n.id]
			if was == lineage.Active || was == lineage.Suspended {
				require.Equal(t, was, h.state(n.id), h.say(n))
				for _, a := range left[n.id].Ancestors {
					require.Contains(t, left, a, "what it came from was forgotten: %s", h.say(n))
				}
				alive++
			} else if _, there := left[n.id]; there {
				require.NotContains(t, []lineage.State{lineage.Active, lineage.Suspended}, h.state(n.id), h.say(n))
			}
		}
	}
	require.Greater(t, forgotten, 100, "control")
	require.Greater(t, alive, 30, "control")
}

// TestEvidenceOlderThanAForgottenRevocationIsRefused whatever it is for: what was cut does not come back by a credential that is
// older than anybody believed, or of no age at all.
func TestEvidenceOlderThanAForgottenRevocationIsRefused(t *testing.T) {
	for _, cut := range []string{"actor:" + alias("tool").ID, "client:tool", "client:nobody"} {
		w := newWorld(t, minting)
		actor, undated := w.outside(alias("tool")), w.outside(alias("tool"))
		actor.Verified.Expires, undated.Verified.Expires, undated.Verified.Issued = time.Time{}, time.Time{}, time.Time{}
		assertion := w.as("tool")
		assertion.Verified.Once, assertion.Verified.Expires = "a", w.clock.Now().Add(100_000*time.Hour)
		w.clock.Add(time.Minute)
		w.revoke(cut, lineage.Cut)
		w.revoke("subject:nobody", lineage.Cut) // the newest stays
		w.clock.Add(1000 * time.Hour)
		requests := func() map[string]tb.Request {
			parent := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
			out := map[string]tb.Request{}
			for name, c := range map[string]tb.Credential{"an old actor": actor, "an undated actor": undated} {
				req := w.exchange("tool", bearer(parent), crm, "read")
				req.Actor = c
				out[name] = req
			}
			req := w.exchange("tool", bearer(parent), crm, "read")
			req.Client = assertion
			out["an undated assertion"] = req
			return out
		}
		require.Equal(t, 1, pruned(w, tb.Retention{Keep: time.Hour, Evidence: time.Hour}).Revocations)
		require.Empty(t, w.marksOf(cut), "control: it was forgotten")
		for name, req := range requests() {
			w.refused(req, tb.CodeInvalidRequest, "revoked: path")
			req.Client, req.Actor = w.once("tool", name), w.outside(alias("tool"))
			w.issued(req) // control: with evidence from after it
		}
	}
}

// TestPruneBesideIssuance: what is issued and derived while nodes forget lives, with all that it came from; what is over goes.
func TestPruneBesideIssuance(t *testing.T) {
	w := newWorld(t, minting)
	for range 600 {
		w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	}
	w.clock.Add(life + 2*time.Hour)
	var all sync.WaitGroup
	for range 2 {
		node := w.skewed(0)
		all.Go(func() {
			for range 6 {
				if _, err := node.Prune(node.ctx, ops, tb.Retention{Keep: 1, Evidence: 1}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	var issued []tb.Token
	for range 40 {
		root := w.issued(w.exchange("orchestrator", w.human("bob"), crm, "read"))
		issued = append(issued, root, w.issued(w.exchange("researcher", bearer(root), crm, "read")))
	}
	all.Wait()
	for _, tok := range issued {
		require.True(t, w.active(tok))
	}
	require.Len(t, w.kept(), len(issued))
}
