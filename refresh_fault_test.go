package tokenboundary_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// TestARefreshThatFailsUsesNothingUp fails every call that a refresh makes of the store, one after the other. The same
// refresh token then works, whether or not the answer that failed may be repeated.
func TestARefreshThatFailsUsesNothingUp(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		for _, op := range storetest.Ops {
			failures := 0
			for n := 0; ; n++ {
				w := newWorld(t, refreshing, func(w *world) { w.cfg.Lifetimes.RefreshGrace = grace })
				first := w.begun("read")
				faulty := storetest.FailOn(w.store, op, errors.New("boom"))
				w.store = faulty
				w.restart()
				calls := faulty.Calls()
				faulty.After(n)
				tok, err := w.Issue(w.ctx, w.again("orchestrator", first.RefreshValue()))
				if faulty.Calls()-calls <= n { // there was no call left to fail
					require.NoError(t, err)
					break
				}
				failures++
				faulty.Set(false)
				if err == nil {
					require.Equal(t, storetest.CommitLost, op, "settled by reading what was committed")
				} else {
					require.ErrorIs(t, err, tb.ErrUnavailable)
					require.Empty(t, tok.Value()+tok.RefreshValue())
					require.Equal(t, lineage.Active, w.state(first.ID))
					tok = w.issued(w.again("orchestrator", first.RefreshValue()))
				}
				require.True(t, w.active(w.issued(w.again("orchestrator", tok.RefreshValue()))), "%s call %d", op, n)
				require.Empty(t, w.feed(ops))
			}
			t.Logf("grace %s: %d calls of %s failed", grace, failures, op)
			if op != storetest.Scan && op != storetest.Feed && op != storetest.Revoked { // which is asked after a conflict only
				require.Positive(t, failures)
			}
		}
	}
}

// failing is a Minter that can be made to sign nothing.
type failing struct {
	tb.Minter
	on bool
}

func (f *failing) Mint(ctx context.Context, c tb.Claims) (string, error) {
	if f.on {
		return "", errors.New("boom")
	}
	return f.Minter.Mint(ctx, c)
}

func TestARefreshThatCannotBeSignedUsesNothingUp(t *testing.T) {
	m := &failing{}
	w := newWorld(t, refreshing, func(w *world) { m.Minter, w.cfg.Minter = w.cfg.Minter, m })
	tok := w.begun("read")
	m.on = true
	got, err := w.Issue(w.ctx, w.again("orchestrator", tok.RefreshValue()))
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.Empty(t, got.Value()+got.RefreshValue())
	m.on = false
	w.issued(w.again("orchestrator", tok.RefreshValue()))
}

// TestARefreshOfUnknownOutcomeCountsAsUsed: its commit may have been applied, and nothing could be read. Inside a grace
// the client gets the successor that it was not told of; without one the next use is reuse, not a second successor.
func TestARefreshOfUnknownOutcomeCountsAsUsed(t *testing.T) {
	for _, grace := range []time.Duration{0, time.Minute} {
		w := newWorld(t, refreshing, func(w *world) { w.cfg.Lifetimes.RefreshGrace = grace })
		first := w.begun("read")
		blind := storetest.FailOn(w.store, storetest.Get, errors.New("boom")).Set(false)
		w.store = blind
		spy := w.spied()
		lost := storetest.FailOn(spy, storetest.CommitLost, errors.New("boom")).Set(false)
		w.store = lost
		w.restart()
		w.issued(asked(w.as("tool"))) // what a new node writes first
		spy.applied = func() { blind.Set(true) }
		lost.Set(true)
		_, err := w.Issue(w.ctx, w.again("orchestrator", first.RefreshValue()))
		require.ErrorIs(t, err, tb.ErrUnavailable)
		spy.applied = nil
		lost.Set(false)
		blind.Set(false)
		if grace == 0 {
			w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidGrant, "used before")
			continue
		}
		second := w.issued(w.again("orchestrator", first.RefreshValue()))
		require.NotEqual(t, first.RefreshValue(), second.RefreshValue())
		w.issued(w.again("orchestrator", second.RefreshValue()))
	}
}

// TestReuseThatCannotBeRecordedIsNotAnswered: that a family ends is written, or the answer is that nothing could be done.
func TestReuseThatCannotBeRecordedIsNotAnswered(t *testing.T) {
	w := newWorld(t, refreshing)
	first := w.begun("read")
	second := w.issued(w.again("orchestrator", first.RefreshValue()))
	faulty := storetest.FailOn(w.store, storetest.Commit, errors.New("boom")).Set(false)
	w.store = faulty
	w.restart()
	w.issued(asked(w.as("tool")))
	faulty.Set(true)
	_, err := w.Issue(w.ctx, w.again("orchestrator", first.RefreshValue()))
	require.ErrorIs(t, err, tb.ErrUnavailable)
	faulty.Set(false)
	require.True(t, w.active(second))
	w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidGrant, "used before")
	require.False(t, w.active(second))
}
