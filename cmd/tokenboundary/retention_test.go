package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/cmd/tokenboundary/internal/config"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// TestWhatIsOverIsForgottenEveryHour: at the start, after a failure, which is logged, and soon where a run was not enough.
func TestWhatIsOverIsForgottenEveryHour(t *testing.T) {
	type answer struct {
		tokenboundary.Pruned
		err error
	}
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	var log bytes.Buffer
	calls, answers := make(chan tokenboundary.Retention, 1), make(chan answer, 1)
	months := make(chan time.Time, 1)
	r := &retention{
		Retention: tokenboundary.Retention{Keep: 24 * time.Hour, Evidence: time.Hour}, clock: clk, log: slog.New(slog.NewTextHandler(&log, nil)),
		prune: func(_ context.Context, by tokenboundary.Client, r tokenboundary.Retention) (tokenboundary.Pruned, error) {
			require.Equal(t, pruner, by)
			calls <- r
			a := <-answers
			return a.Pruned, a.err
		},
		drop: func(_ context.Context, before time.Time) (int, error) {
			months <- before
			return 1, nil
		},
	}
	run := func(a answer) (pause time.Duration) {
		answers <- a
		pause = r.once(t.Context())
		require.Equal(t, r.Retention, <-calls)
		return pause
	}
	done := answer{Pruned: tokenboundary.Pruned{Complete: true}}
	require.Equal(t, time.Hour, run(answer{err: errors.New("the database does not answer")}))
	require.Contains(t, log.String(), "the database does not answer")
	require.Equal(t, time.Second, run(answer{}))
	require.Empty(t, months, "first everything in them")
	require.Equal(t, time.Hour, run(done))
	require.Equal(t, clk.Now().Add(-24*time.Hour), <-months)
	require.Contains(t, log.String(), "months=1")

	stop := r.follow(t.Context())
	for range 3 {
		answers <- done
		for waits := true; waits; {
			select {
			case <-calls:
				waits = false
			default:
				clk.Add(10 * time.Minute)
			}
		}
		<-months
	}
	stop()
	clk.Add(2 * time.Hour)
	require.Empty(t, calls, "it has stopped")
}

func TestNothingIsForgottenWhereNothingIsSaid(t *testing.T) {
	require.Nil(t, retentionOf(&config.Config{}, clock.NewMock(), slog.New(slog.DiscardHandler)))
	(*retention)(nil).follow(t.Context())()
}

// TestANodeThatWasAwayForLongKnowsItsStore: what it has seen last of the feed is forgotten meanwhile, and nothing was lost.
func TestANodeThatWasAwayForLongKnowsItsStore(t *testing.T) {
	clk, kept := clock.NewMock(), memory.New()
	clk.Set(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC))
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: "https://boundary.example", Store: kept, Clock: clk, Clients: tokenboundary.ClientMap{},
		Policy: tokenboundary.PolicyFunc(func(context.Context, tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{}, nil
		}),
	})
	require.NoError(t, err)
	cut := func(n int) {
		for i := range n {
			_, err := g.Revoke(t.Context(), self, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectClient, Value: fmt.Sprint(i)}})
			require.NoError(t, err)
		}
	}
	dir := t.TempDir()
	start := func() (*position, error) {
		p := &position{g: g, store: kept, issuer: g.Issuer(), dir: dir, clock: clk}
		return p, p.recognise(t.Context(), false)
	}
	p, err := start()
	require.NoError(t, err)
	cut(3)
	require.NoError(t, p.note(t.Context(), slog.New(slog.DiscardHandler)))
	require.NotZero(t, p.seen.Seq)

	clk.Add(100 * time.Hour)
	cut(3)
	clk.Add(100 * time.Hour)
	out, err := g.Prune(t.Context(), self, tokenboundary.Retention{Keep: time.Hour, Evidence: time.Minute})
	require.NoError(t, err)
	require.Equal(t, 5, out.Revocations)
	_, err = start()
	require.NoError(t, err)

	p, err = start()
	require.NoError(t, err)
	p.seen.Seq += 100 // it has seen what is not in the store: that is another one
	require.NoError(t, p.seen.write(dir))
	_, err = start()
	require.ErrorIs(t, err, errUnknownStore)
}
