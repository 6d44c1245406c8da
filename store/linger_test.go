package store_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

const linger = time.Millisecond

// lingering is a gated store that is worth waiting for.
type lingering struct{ *gated }

func (lingering) Linger() time.Duration { return linger }

// lingerBubble is a bubble whose store is worth waiting for. Inside, time goes on only when all wait for it, and at once.
func lingerBubble(t *testing.T, f func(t *testing.T, g *gated, s store.Store)) {
	synctest.Test(t, func(t *testing.T) {
		g := &gated{Store: memory.New(), pass: make(chan func([]error) []error)}
		f(t, g, store.Coalesce(lingering{g}))
	})
}

func background(key string) store.Tx {
	tx := swap(key, 0)
	tx.Background = true
	return tx
}

// meet lets two callers meet: the first has its result, and the second, whose Tx has the key "b", drives.
func meet(t *testing.T, g *gated, s store.Store) (second chan []error) {
	t.Helper()
	first := call(t.Context(), s, swap("a", 0))
	second = call(t.Context(), s, swap("b", 0))
	g.pass <- nil
	require.NoError(t, (<-first)[0])
	synctest.Wait()
	return second
}

// finish lets every Commit pass until a call has its results.
func (g *gated) finish(call chan []error) []error {
	for {
		select {
		case g.pass <- nil:
		case errs := <-call:
			return errs
		}
	}
}

func TestALoneCallerIsNeverWaitedWith(t *testing.T) {
	lingerBubble(t, func(t *testing.T, g *gated, s store.Store) {
		began := time.Now()
		for i := range uint64(3) {
			alone := call(t.Context(), s, swap("k", i))
			g.pass <- nil
			require.NoError(t, (<-alone)[0])
		}
		require.Zero(t, time.Since(began))
		require.Len(t, g.calls, 3)
	})
}

func TestCallersThatMeetAreWaitedFor(t *testing.T) {
	lingerBubble(t, func(t *testing.T, g *gated, s store.Store) {
		began := time.Now()
		second := meet(t, g, s)
		require.Len(t, g.calls, 1, "the second caller did not wait for the first to come back")
		again := call(t.Context(), s, swap("a", 1))
		require.Len(t, g.calls, 2, "all were there, and the Commit did not begin")
		require.Equal(t, []string{"b", "a"}, keys(g.calls[1]))
		g.pass <- nil
		require.NoError(t, (<-second)[0])
		require.NoError(t, (<-again)[0])
		require.Zero(t, time.Since(began))
	})
}

func TestNobodyIsWaitedForLongerThanLinger(t *testing.T) {
	lingerBubble(t, func(t *testing.T, g *gated, s store.Store) {
		began := time.Now()
		second := meet(t, g, s)
		g.pass <- nil
		require.NoError(t, (<-second)[0])
		require.Equal(t, linger, time.Since(began))

		<-time.After(10 * linger)
		began = time.Now()
		alone := call(t.Context(), s, swap("alone", 0))
		g.pass <- nil
		require.NoError(t, (<-alone)[0])
		require.Zero(t, time.Since(began), "a caller was waited with although it has long been alone")
	})
}

func TestWithoutLingerNobodyIsWaitedFor(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		began := time.Now()
		second := meet(t, g, s)
		require.Len(t, g.calls, 2, "a store that is no Lingerer was waited with")
		g.pass <- nil
		require.NoError(t, (<-second)[0])
		require.Zero(t, time.Since(began))
	})
}

// A wait ends for good: the word that all are there, which comes at the moment at which the time is over, ends no later one.
func TestAWaitThatIsOverEndsNoOther(t *testing.T) {
	lingerBubble(t, func(t *testing.T, g *gated, s store.Store) {
		second := meet(t, g, s)
		<-time.After(linger) // the limit, and at the same time:
		late := call(t.Context(), s, swap("a", 1))
		require.NoError(t, g.finish(second)[0])
		require.NoError(t, g.finish(late)[0])
		<-time.After(10 * linger)

		first, other := call(t.Context(), s, swap("c", 0)), call(t.Context(), s, swap("d", 0))
		g.pass <- nil
		require.NoError(t, (<-first)[0])
		began := time.Now()
		g.pass <- nil
		require.NoError(t, (<-other)[0])
		require.Equal(t, linger, time.Since(began))
	})
}

func TestBackgroundIsNotWaitedFor(t *testing.T) {
	lingerBubble(t, func(t *testing.T, g *gated, s store.Store) {
		began := time.Now()
		first, behind := call(t.Context(), s, swap("a", 0)), call(t.Context(), s, background("b"))
		g.pass <- nil
		g.pass <- nil
		require.NoError(t, (<-first)[0])
		require.NoError(t, (<-behind)[0])
		require.Zero(t, time.Since(began))
		require.Equal(t, []string{"b"}, keys(g.calls[1]))
	})
}

func TestBackgroundDoesNotStarve(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		results := []chan []error{call(t.Context(), s, swap("running", 0))}
		var many, few []store.Tx
		for i := range 300 {
			many = append(many, swap(fmt.Sprint("n", i), 0))
		}
		for i := range 40 {
			few = append(few, background(fmt.Sprint("b", i)))
		}
		results = append(results, call(t.Context(), s, many...), call(t.Context(), s, few...))
		for range 3 {
			g.pass <- nil
		}
		for _, r := range results {
			for _, err := range <-r {
				require.NoError(t, err)
			}
		}
		require.Equal(t, append(keys(many[:224]), keys(few[:32])...), keys(g.calls[1]), "each batch has room for some")
		require.Equal(t, append(keys(many[224:]), keys(few[32:])...), keys(g.calls[2]))
	})
}

func TestACallerLeavesWithItsResult(t *testing.T) {
	bubble(t, func(t *testing.T, g *gated, s store.Store) {
		first := call(t.Context(), s, swap("a", 0))
		second := call(t.Context(), s, swap("b", 0))
		third := call(t.Context(), s, background("c"))
		g.pass <- nil
		require.NoError(t, (<-first)[0])
		require.Empty(t, second, "while the next Commit is under way")
		g.pass <- nil
		require.NoError(t, (<-second)[0])
		require.NoError(t, (<-third)[0])
	})
}

// What the store below does instead of answering is the trouble of the one who drives; nobody waits for ever.
func TestCommitThatDoesNotReturnHangsNobody(t *testing.T) {
	for name, end := range map[string]func([]error) []error{
		"a panic":           func([]error) []error { panic("disk on fire") },
		"a goroutine's end": func([]error) []error { runtime.Goexit(); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *gated, s store.Store) {
				first := call(t.Context(), s, swap("a", 0))
				panicked := make(chan any, 1)
				go func() {
					defer func() { panicked <- recover() }()
					many := make([]store.Tx, 300)
					for i := range many {
						many[i] = swap(fmt.Sprint("many", i), 0)
					}
					s.Commit(context.Background(), many)
				}()
				synctest.Wait()
				queued, others := call(t.Context(), s, background("b")), call(t.Context(), s, swap("c", 0))
				g.pass <- nil
				require.NoError(t, (<-first)[0])
				g.pass <- end
				if p := <-panicked; name == "a panic" {
					require.Equal(t, "disk on fire", p)
				}
				err := (<-queued)[0]
				require.EqualError(t, err, "store: Commit ended without a result")
				g.pass <- nil
				require.NoError(t, (<-others)[0], "what was not in that batch goes on")
				require.Equal(t, []string{"c"}, keys(g.calls[2]), "what nobody waits for is not committed")
				last := call(t.Context(), s, swap("d", 0))
				g.pass <- nil
				require.NoError(t, (<-last)[0])
			})
		})
	}
}
