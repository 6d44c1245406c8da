package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestAClockThatWasAheadHidesNothingFromASignal: what is over by this node's latest time lives at the others.
func TestAClockThatWasAheadHidesNothingFromASignal(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	other := w.node()
	w.clock.Add(24 * time.Hour)
	require.False(t, w.active(tok)) // which only reads: the store does not know of that day
	w.clock.Add(-24 * time.Hour)
	require.True(t, other.active(tok))
	w.policy = wary
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	require.False(t, other.active(tok))
}

func TestATokenThatAwaitsItsRecheckIsNotReliedOnWhenTheClockGoesBack(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grantAll(f)
		v.Recheck = time.Minute
		return v
	}
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Path: "/x"} }
	w.clock.Add(59 * time.Second)
	require.True(t, w.active(tok))
	w.clock.Add(2 * time.Second)
	require.False(t, w.active(tok))
	w.clock.Add(-30 * time.Second)
	require.False(t, w.active(tok))
}

// TestWhatWasSpentStaysSpentWhenTheClockGoesBack: by then the store may have forgotten it.
func TestWhatWasSpentStaysSpentWhenTheClockGoesBack(t *testing.T) {
	w := newWorld(t, binding)
	cred, proof := w.once("ops", "a"), w.proves("k")
	lift := lineage.Revocation{Selector: selector(w, "client:stranger"), Action: lineage.Lift}
	use := func() error { // which no store refuses for being late
		by, err := w.Authenticate(w.ctx, cred)
		if err == nil {
			_, err = w.Revoke(w.ctx, by, lift)
		}
		return err
	}
	prove := func() error {
		_, err := w.Issue(w.ctx, bound(w.exchange("orchestrator", w.human("alice"), crm, "read"), proof))
		return err
	}
	require.NoError(t, use())
	require.NoError(t, prove())
	require.ErrorIs(t, use(), tb.ErrUnauthenticated)
	w.denies(prove(), tb.CodeInvalidProof, "the proof was used before")
	w.clock.Add(time.Hour)
	w.issued(asked(w.as("tool"))) // now it is forgotten
	for range 2 {
		require.ErrorIs(t, use(), tb.ErrUnauthenticated)
		w.denies(prove(), tb.CodeInvalidProof, "expired")
		w.clock.Add(-time.Hour)
	}
}
