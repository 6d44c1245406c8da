package tokenboundary_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestWhoActsInItsOwnRightIsItsOwnActor: for what is known of an actor, for a signal about one and for the cut of one.
func TestWhoActsInItsOwnRightIsItsOwnActor(t *testing.T) {
	w := newWorld(t, minting)
	var seen tb.Facts
	w.policy = func(f tb.Facts) tb.Verdict { seen = f; return wary(f) }
	ask := func(client string) tb.Request {
		req := asked(w.as(client))
		req.Scopes = []string{"write"}
		return req
	}
	w.signal(tb.Signal{Selector: selector(w, "actor:tool"), Risk: "low", Attributes: map[string]any{"patched": true}})
	w.risk("client:stranger", "low")
	tok, other := w.issued(ask("tool")), w.issued(ask("stranger"))
	require.Nil(t, seen.Attributes.Actor)
	again := w.issued(ask("tool"))
	require.Equal(t, "tool", seen.Actor.ID)
	require.Equal(t, "low", seen.Risk)
	require.Equal(t, map[string]any{"patched": true}, seen.Attributes.Actor)

	w.revoke("actor:stranger", lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(other.ID))
	require.Equal(t, lineage.Active, w.state(tok.ID))
	require.Equal(t, tb.Outcome{Examined: 2, Revoked: 2, Complete: true}, w.risk("actor:tool", "high"))
	require.Equal(t, lineage.Revoked, w.state(again.ID))
	w.unissued(ask("tool"), tb.CodeInvalidScope, "no rule allows")
}
