package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const issuer = "https://boundary.example"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// gated is a store whose Commit waits for a word on the channel, which is what it answers in place of its result.
type gated struct {
	store.Store
	pass  chan func([]error) []error
	calls [][]store.Tx
	ended bool // a context given to Commit had ended
}

func (g *gated) Commit(ctx context.Context, txs []store.Tx) []error {
	g.calls = append(g.calls, txs)
	answer := <-g.pass
	g.ended = g.ended || ctx.Err() != nil
	errs := g.Store.Commit(ctx, txs)
	if answer != nil {
		return answer(errs)
	}
	return errs
}

// bubble runs f with a coalescing store over a gated one. Inside, synctest.Wait returns when every caller waits.
func bubble(t *testing.T, f func(t *testing.T, g *gated, s store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		g := &gated{Store: memory.New(), pass: make(chan func([]error) []error)}
		f(t, g, store.Coalesce(g))
	})
}

func swap(key string, version uint64) store.Tx {
	return store.Tx{Issuer: issuer, Time: noon, Swaps: []store.Swap{{Key: key, Version: version}}}
}

// call commits in a goroutine of its own, waits until it is queued, and returns where the result will be.
func call(ctx context.Context, s store.Store, txs ...store.Tx) chan []error {
	out := make(chan []error, 1)
	go func() { out <- s.Commit(ctx, txs) }()
	synctest.Wait()
	return out
}

func keys(txs []store.Tx) (out []string) {
	for _, tx := range txs {
		out = append(out, tx.Swaps[0].Key)
	}
	return out
}

func TestCoalesceMergesWhatWaits(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		results := []chan []error{call(t.Context(), s, swap("k0", 0))}
		want := []string{}
		for i := 1; i <= 20; i++ {
			key := fmt.Sprint("k", i)
			want = append(want, key)
			results = append(results, call(t.Context(), s, swap(key, uint64(i%2)))) // every second one is a conflict
		}
		require.Len(t, g.calls, 1, "a second Commit began while the first was under way")
		g.pass <- nil
		g.pass <- nil
		for i, r := range results {
			errs := <-r
			require.Len(t, errs, 1)
			require.Equal(t, i%2 == 0 || i == 0, errs[0] == nil, "caller %d got another's result: %v", i, errs[0])
		}
		require.Len(t, g.calls, 2, "21 callers, one of them alone")
		require.Equal(t, want, keys(g.calls[1]), "the order in which they came")
	})
}

func TestCoalesceLoneCallerIsNotDelayed(t *testing.T) {
	s := store.Coalesce(memory.New())
	require.Equal(t, []error{nil, nil}, s.Commit(t.Context(), []store.Tx{swap("k", 0), swap("k", 1)}))
	require.Empty(t, s.Commit(t.Context(), nil))
	heads, err := s.Heads(t.Context(), issuer, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, uint64(2), heads[0].Version)
	require.Same(t, s, store.Coalesce(s), "a store is not coalesced twice")
}

func TestCoalesceKeepsTheResultsOfACallTogether(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		first := call(t.Context(), s, swap("a", 0))
		second := call(t.Context(), s, swap("a", 1), swap("a", 1), swap("b", 0))
		third := call(t.Context(), s, swap("b", 0), swap("b", 1))
		g.pass <- nil
		g.pass <- nil
		require.NoError(t, (<-first)[0])
		errs := <-second
		require.NoError(t, errs[0])
		require.ErrorIs(t, errs[1], store.ErrConflict)
		require.NoError(t, errs[2])
		errs = <-third
		require.ErrorIs(t, errs[0], store.ErrConflict, "judged as if those before it had been applied")
		require.NoError(t, errs[1])
	})
}

func TestCoalesceBackgroundIsLast(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		results := []chan []error{
			call(t.Context(), s, swap("running", 0)), call(t.Context(), s, background("b1")), call(t.Context(), s, swap("n1", 0)),
			call(t.Context(), s, background("b2")), call(t.Context(), s, swap("n2", 0)),
		}
		g.pass <- nil
		g.pass <- nil
		for _, r := range results {
			require.NoError(t, (<-r)[0])
		}
		require.Equal(t, []string{"n1", "n2", "b1", "b2"}, keys(g.calls[1]))
	})
}

func TestCoalesceQueuedTxOutlivesItsCallersContext(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		ctx, cancel := context.WithCancel(t.Context())
		running, queued := call(ctx, s, swap("running", 0)), call(ctx, s, swap("queued", 0))
		cancel()
		synctest.Wait()
		require.Empty(t, queued, "Commit returned before its outcome was known")
		g.pass <- nil
		g.pass <- nil
		require.NoError(t, (<-running)[0])
		require.NoError(t, (<-queued)[0])
		require.False(t, g.ended, "the store below was given a context that had ended")
		heads, err := s.Heads(t.Context(), issuer, []string{"running", "queued"})
		require.NoError(t, err)
		require.Equal(t, []uint64{1, 1}, []uint64{heads[0].Version, heads[1].Version})

		for _, err := range s.Commit(ctx, []store.Tx{swap("x", 0), swap("y", 0)}) {
			require.ErrorIs(t, err, context.Canceled, "a call whose context has ended is not queued")
		}
		require.Len(t, g.calls, 2)
	})
}

func TestCoalesceFailureReachesAll(t *testing.T) {
	broken := errors.New("sync failed")
	for name, answer := range map[string]func([]error) []error{
		"an error for all": func(errs []error) []error {
			for i := range errs {
				errs[i] = broken
			}
			return errs
		},
		"too few results":  func(errs []error) []error { return errs[1:] },
		"too many results": func(errs []error) []error { return append(errs, nil) },
		"no results":       func([]error) []error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *gated, s store.Store) {
				first := call(t.Context(), s, swap("a", 0))
				second, third := call(t.Context(), s, swap("b", 0)), call(t.Context(), s, swap("c", 0), swap("d", 0))
				g.pass <- nil
				g.pass <- answer
				require.NoError(t, (<-first)[0], "the batch before the fault")
				errs := append(<-second, <-third...)
				require.Len(t, errs, 3)
				for _, err := range errs {
					require.Error(t, err)
					require.NotErrorIs(t, err, store.ErrConflict)
				}
				last := call(t.Context(), s, swap("e", 0))
				g.pass <- nil
				require.NoError(t, (<-last)[0], "the batch after the fault")
			})
		})
	}
}

func TestCoalesceBoundsABatch(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		first := call(t.Context(), s, swap("first", 0))
		var many []store.Tx
		for i := range 600 {
			many = append(many, swap(fmt.Sprint(i), 0))
		}
		all := call(t.Context(), s, many...)
		for range 4 {
			g.pass <- nil
		}
		<-first
		require.Equal(t, make([]error, 600), <-all)
		var sizes []int
		for _, c := range g.calls {
			sizes = append(sizes, len(c))
		}
		require.Equal(t, []int{1, 256, 256, 88}, sizes)
	})
}

// told is a store whose feed somebody else writes to.
type told struct {
	store.Store
	ch chan struct{}
}

func (s told) Changed(_ context.Context, of string) <-chan struct{} {
	if of != issuer {
		return nil
	}
	return s.ch
}

// Coalesce passes on that a store tells of what others write.
func TestCoalesceTellsWhatIsTold(t *testing.T) {
	s := told{memory.New(), make(chan struct{})}
	c, ok := store.Coalesce(s).(store.Hinter)
	require.True(t, ok)
	require.Equal(t, (<-chan struct{})(s.ch), c.Changed(t.Context(), issuer))
	require.Nil(t, c.Changed(t.Context(), "another"))
	c, ok = store.Coalesce(memory.New()).(store.Hinter)
	require.True(t, ok)
	require.Nil(t, c.Changed(t.Context(), issuer), "nothing will be told")
}
