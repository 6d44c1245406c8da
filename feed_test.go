package tokenboundary_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// feed returns the whole feed as by gets it.
func (w *world) feed(by tb.Client) (entries []lineage.Revocation) {
	w.Helper()
	for r, err := range w.Revocations(w.ctx, by, 0) {
		require.NoError(w, err)
		entries = append(entries, r)
	}
	return entries
}

// newest returns the place of the newest entry of the feed, which must have one.
func (w *world) newest() uint64 {
	w.Helper()
	entries := w.feed(ops)
	require.NotEmpty(w, entries)
	return entries[len(entries)-1].Seq
}

// gone requires that a reader at this place is told that it has missed entries, and gets none.
func (w *world) gone(after uint64) {
	w.Helper()
	var errs []error
	for _, err := range w.Revocations(w.ctx, ops, after) {
		errs = append(errs, err)
	}
	require.Len(w, errs, 1, "after %d", after)
	require.ErrorIs(w, errs[0], tb.ErrGone)
}

func TestAPositionInAStoreIsNoneInTheOneThatReplacedIt(t *testing.T) {
	w := newWorld(t)
	w.revoke("client:tool", lineage.Cut)
	w.revoke("client:tool", lineage.Cut)
	before := w.newest()
	w.restart()
	require.Equal(t, before, w.newest(), "a restart on the same store goes on")

	w.clock.Add(time.Second)
	w.store = memory.New()
	w.restart()
	for range 5 {
		w.revoke("client:tool", lineage.Cut)
	}
	require.Greater(t, w.newest(), before)
	w.gone(before) // what the new store has is not what the reader has missed
	require.NoError(t, w.AwaitRevocation(w.ctx, before), "and the wait ends at once")
}

func TestARenewedFeedKnowsNoEarlierPosition(t *testing.T) {
	w := newWorld(t)
	w.revoke("client:tool", lineage.Cut)
	before := w.newest()
	require.ErrorIs(t, w.RenewFeed(w.ctx, w.client("crm")), tb.ErrForbidden)
	w.clock.Add(time.Second)
	require.NoError(t, w.RenewFeed(w.ctx, ops))
	w.gone(before)
	require.Greater(t, w.newest(), before)
	require.Len(t, w.feed(ops), 1, "nothing is lost to a reader that begins anew")
}

// TestARenewedFeedKnowsNoEarlierRefreshToken: in the copy that was restored, one that was used or revoked since is whole.
func TestARenewedFeedKnowsNoEarlierRefreshToken(t *testing.T) {
	w := newWorld(t, refreshing)
	first := w.begun("cases:read")
	req := w.exchange("orchestrator", w.human("bob"), crm, "cases:read")
	req.Enforce = everything
	decided, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	next := w.issued(w.again("orchestrator", first.RefreshValue())) // control

	require.NoError(t, w.RenewFeed(w.ctx, ops))
	for range 2 { // for the Governor that renewed it, and for one that comes later
		w.unissued(w.again("orchestrator", next.RefreshValue()), tb.CodeInvalidGrant, "not a refresh token of this boundary")
		err := w.Record(w.ctx, decided, tb.HostToken{Handle: "h"})
		require.ErrorIs(t, err, tb.ErrInvalid)
		require.ErrorContains(t, err, "not a decision of this boundary")
		fresh := w.begun("cases:read")
		w.issued(w.again("orchestrator", fresh.RefreshValue()))
		w.restart()
	}
}

func TestTwoRenewalsAtOnceAreTwo(t *testing.T) {
	w := newWorld(t)
	w.revoke("subject:x", lineage.Cut)
	for range 3 {
		before := w.newest()
		require.NoError(t, w.RenewFeed(w.ctx, ops))
		require.Greater(t, w.newest(), before)
		w.gone(before) // in the same millisecond too
	}
}

// TestAWaiterIsToldThatTheFeedBeganAnew: the clock stands still, so only the renewal can end the wait.
func TestAWaiterIsToldThatTheFeedBeganAnew(t *testing.T) {
	w := newWorld(t)
	w.revoke("subject:x", lineage.Cut)
	last := w.newest()
	done := make(chan error)
	go func() { done <- w.AwaitRevocation(w.ctx, last) }()
	for range 1000 {
		runtime.Gosched() // until it waits, most likely; a wait that begins later ends as well
	}
	require.NoError(t, w.RenewFeed(w.ctx, ops))
	require.NoError(t, <-done)
}
