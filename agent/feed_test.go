package agent_test

import (
	"context"
	"errors"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// feed is the feed of the boundary, as an operator reads it. It waits for news in a context of the machine's clock.
func (w *world) feed(t *testing.T) func(context.Context, uint64) iter.Seq2[lineage.Revocation, error] {
	by := w.ops(t)
	return func(ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		return func(yield func(lineage.Revocation, error) bool) {
			if err := w.g.AwaitRevocation(ctx, after); err != nil {
				yield(lineage.Revocation{}, err)
				return
			}
			for r, err := range w.g.Revocations(ctx, by, after) {
				if !yield(r, err) {
					return
				}
			}
		}
	}
}

// changes waits until the session hands out another token than last, or refuses.
func changes(t *testing.T, s *agent.Session, c agent.Call, last string) (token string, err error) {
	t.Helper()
	require.Eventually(t, func() bool {
		tok, e := s.Token(context.Background(), c)
		token, err = "", e
		if e == nil {
			token = tok.AccessToken
		}
		return token != last
	}, time.Minute, time.Millisecond)
	return token, err
}

func TestTheFeedDropsWhatItMayConcern(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		cfg := w.config(b)
		cfg.Revocations = w.feed(t)
		s := w.start(t, cfg)
		write := agent.Call{Resource: crm, Scopes: []string{"cases:write"}}
		first, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		sibling, err := s.Token(t.Context(), write)
		require.NoError(t, err)

		w.revoke(t, lineage.SelectToken, w.state(t, first.AccessToken).Claims.ID)
		next, err := changes(t, s, readCases, first.AccessToken)
		require.NoError(t, err, "exchanged anew")
		require.True(t, w.state(t, next).Active)
		same, err := s.Token(t.Context(), write)
		require.NoError(t, err)
		require.Equal(t, sibling.AccessToken, same.AccessToken)

		w.revoke(t, lineage.SelectConnection, "other")
		_, err = changes(t, s, readCases, next)
		require.NoError(t, err, "it may concern the connection, so the boundary is asked")

		last, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		w.revoke(t, lineage.SelectSubject, "alice")
		_, err = changes(t, s, readCases, last.AccessToken)
		require.ErrorIs(t, err, tokenboundary.ErrDenied, "revoked by an operator")
	})
}

func TestTheFeedEndsASessionWhoseTaskIsOver(t *testing.T) {
	w := newWorld(t)
	cfg := w.config(w.local())
	cfg.Revocations = w.feed(t)
	s, other := w.start(t, cfg), w.start(t, cfg)
	tok, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	left, err := other.Token(t.Context(), readCases)
	require.NoError(t, err)

	_, err = w.g.SetTask(t.Context(), w.ops(t), s.TaskID(), tokenboundary.TaskSuspended)
	require.NoError(t, err)
	_, err = changes(t, s, readCases, tok.AccessToken)
	require.ErrorIs(t, err, tokenboundary.ErrDenied)
	_, err = w.g.SetTask(t.Context(), w.ops(t), s.TaskID(), tokenboundary.TaskActive)
	require.NoError(t, err)
	next, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)

	w.revoke(t, lineage.SelectTask, s.TaskID().String())
	_, err = changes(t, s, readCases, next.AccessToken)
	require.Error(t, err)
	require.Eventually(t, func() bool {
		_, err := s.Token(t.Context(), readCases)
		return errors.Is(err, agent.ErrEnded)
	}, time.Minute, time.Millisecond)
	same, err := other.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, left.AccessToken, same.AccessToken)
	require.NoError(t, s.Complete(t.Context()))
}

// TestAFeedThatFailsDropsOnlyWhatItMissed: while it is away what is kept serves, and when entries were missed nothing
// that is kept does.
func TestAFeedThatFailsDropsOnlyWhatItMissed(t *testing.T) {
	w := newWorld(t)
	var answer atomic.Pointer[error]
	var asked atomic.Int64
	away := errors.New("the feed is away")
	answer.Store(&away)
	cfg := w.config(w.local())
	cfg.Revocations = func(context.Context, uint64) iter.Seq2[lineage.Revocation, error] {
		return func(yield func(lineage.Revocation, error) bool) {
			asked.Add(1)
			yield(lineage.Revocation{}, *answer.Load())
		}
	}
	s := w.start(t, cfg)
	tok, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	again := func() {
		n := asked.Load()
		require.Eventually(t, func() bool { w.clock.Add(time.Second / 2); return asked.Load() > n }, time.Minute, time.Millisecond)
	}
	again()
	again()
	same, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, tok.AccessToken, same.AccessToken)
	require.Contains(t, w.logs.String(), "the feed is away")

	gone := error(tokenboundary.ErrGone)
	answer.Store(&gone)
	again()
	_, err = changes(t, s, readCases, tok.AccessToken)
	require.NoError(t, err)
}

// TestAFeedThatSkipsDropsEverything: what it left out may have concerned any token.
func TestAFeedThatSkipsDropsEverything(t *testing.T) {
	w := newWorld(t)
	cfg := w.config(w.local())
	next, read := make(chan uint64), make(chan uint64)
	cfg.Revocations = func(ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		return func(yield func(lineage.Revocation, error) bool) {
			select {
			case read <- after:
			case <-ctx.Done():
				return
			}
			select {
			case seq := <-next:
				yield(lineage.Revocation{Seq: seq, Selector: lineage.Selector{Kind: lineage.SelectToken, Value: lineage.IDOf(nil).String()}, Action: lineage.Cut}, nil)
			case <-ctx.Done():
			}
		}
	}
	s := w.start(t, cfg)
	require.EqualValues(t, 0, <-read)
	first, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	for _, seq := range []uint64{7, 8} { // the first is where the feed begins
		next <- seq
		require.Equal(t, seq, <-read)
	}
	same, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, first.AccessToken, same.AccessToken, "none of them concerns it")
	next <- 10
	require.EqualValues(t, 10, <-read)
	other, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.NotEqual(t, first.AccessToken, other.AccessToken)
}
