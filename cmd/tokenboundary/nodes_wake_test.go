package main_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// looked is a store that says when somebody has seen the end of the feed.
type looked struct {
	*postgres.Store
	end chan struct{}
}

func (l looked) Feed(ctx context.Context, of string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		for r, err := range l.Store.Feed(ctx, of, after) {
			if !yield(r, err) {
				return
			}
		}
		l.end <- struct{}{}
	}
}

// governor returns one more Governor on a schema, which looks at the feed of its own accord only when clk moves, and what says
// that it has seen the end of it.
func governor(t testing.TB, clk clock.Clock, opts postgres.Options) (*tokenboundary.Governor, chan struct{}) {
	t.Helper()
	st, err := postgres.Open(t.Context(), database(t), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	end := make(chan struct{}, 1<<10)
	g, err := tokenboundary.New(tokenboundary.Config{
		Issuer: issuer, Store: looked{st, end}, Clients: tokenboundary.ClientMap{}, Clock: clk,
		Policy: tokenboundary.PolicyFunc(func(context.Context, tokenboundary.Facts) (tokenboundary.Verdict, error) {
			return tokenboundary.Verdict{}, nil
		}),
	})
	require.NoError(t, err)
	return g, end
}

// TestAWaitOnOneNodeEndsWithARevocationOnAnother: by what the database tells, since no clock moves; and behind a proxy, where
// it can tell nothing, within a second of the clock.
func TestAWaitOnOneNodeEndsWithARevocationOnAnother(t *testing.T) {
	ops := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	for name, pooled := range map[string]bool{"told": false, "behind a proxy": true} {
		t.Run(name, func(t *testing.T) {
			opts := postgres.Options{Schema: newSchema(t)}
			require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
			still, moves := clock.NewMock(), clock.NewMock()
			still.Set(time.Now())
			moves.Set(still.Now())
			a, _ := governor(t, still, opts)
			opts.Pooled = pooled
			b, end := governor(t, moves, opts)
			cut := func() uint64 {
				r, err := a.Revoke(t.Context(), ops, lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}})
				require.NoError(t, err)
				return r.Seq
			}
			last := cut()
			for range 20 {
				ended := make(chan error, 1)
				go func() { ended <- b.AwaitRevocation(t.Context(), last) }()
				<-end // it has seen that there is nothing
				next := cut()
				require.Equal(t, last+1, next)
				if pooled {
					require.Empty(t, ended)
					require.Eventually(t, func() bool { moves.Add(time.Second); return len(ended) == 1 }, patience, time.Millisecond)
				}
				select {
				case err := <-ended:
					require.NoError(t, err)
				case <-time.After(patience):
					t.Fatal("nobody has told it")
				}
				last = next
			}
		})
	}
}

// BenchmarkTheFeedOnAnotherNode measures from the moment at which a revocation has returned on one node to the one at which a
// wait for it has ended on another.
func BenchmarkTheFeedOnAnotherNode(b *testing.B) {
	opts := postgres.Options{Schema: newSchema(b)}
	require.NoError(b, postgres.Migrate(b.Context(), database(b), opts))
	first, _ := governor(b, clock.New(), opts)
	second, end := governor(b, clock.New(), opts)
	ops := tokenboundary.Client{ID: "ops", Kind: tokenboundary.KindOperator}
	cut := lineage.Revocation{Selector: lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}}
	last, err := first.Revoke(b.Context(), ops, cut)
	require.NoError(b, err)
	var took []time.Duration
	for b.Loop() {
		ended := make(chan time.Time, 1)
		go func() {
			if second.AwaitRevocation(b.Context(), last.Seq) == nil {
				ended <- time.Now()
			}
		}()
		<-end // it waits
		last, err = first.Revoke(b.Context(), ops, cut)
		require.NoError(b, err)
		returned := time.Now()
		took = append(took, max(0, (<-ended).Sub(returned)))
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "µs-p99")
}
