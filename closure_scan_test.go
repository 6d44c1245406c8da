package tokenboundary_test

import (
	"context"
	"fmt"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// counting counts what is asked of a store, and may end a context at a record of a scan.
type counting struct {
	store.Store
	gets, heads, revoked, scans, yielded atomic.Int64
	at                                   int64
	end                                  context.CancelFunc
}

func (c *counting) Get(ctx context.Context, iss string, ids []lineage.ID) ([]store.Entry, error) {
	c.gets.Add(1)
	return c.Store.Get(ctx, iss, ids)
}

func (c *counting) Heads(ctx context.Context, iss string, keys []string) ([]store.Head, error) {
	c.heads.Add(1)
	return c.Store.Heads(ctx, iss, keys)
}

func (c *counting) Revoked(ctx context.Context, iss string, sels []lineage.Selector) ([]lineage.Mark, error) {
	c.revoked.Add(1)
	return c.Store.Revoked(ctx, iss, sels)
}

func (c *counting) Scan(ctx context.Context, iss string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	c.scans.Add(1)
	return func(yield func(lineage.Record, error) bool) {
		for r, err := range c.Store.Scan(ctx, iss, sel, from) {
			if err == nil {
				err = ctx.Err() // as a store on a disk notices it
			}
			if c.yielded.Add(1) == c.at {
				c.end()
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}

// deep makes chains of n tokens, of which each is made from the one before, up to the bound of ancestors, and a bystander
// for each.
func (w *world) deep(n int) {
	w.Helper()
	for i := 0; i < n; {
		tok := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
		w.granted(w.exchange("tool", w.human("bob"), crm, "read"))
		for i++; i%16 != 0 && i < n; i++ {
			tok = w.granted(w.exchange("orchestrator", host(tok), crm, "read"))
		}
	}
}

func TestAClosureIsOneScanWhateverTheDepth(t *testing.T) {
	calls := map[int]string{}
	for _, n := range []int{16, 240} {
		w := newWorld(t)
		w.deep(n)
		w.clock.Add(time.Second)
		w.revoke("subject:alice", lineage.Cut)
		c := &counting{Store: w.store}
		w.store = c
		w.restart()
		require.Equal(t, tb.Closure{Tokens: n}, w.closure("subject:alice"))
		require.EqualValues(t, n, c.yielded.Load(), "bystanders are not looked at")
		calls[n] = fmt.Sprint(c.scans.Load(), c.heads.Load(), c.revoked.Load(), c.gets.Load())
	}
	require.Equal(t, "1 2 2 0", calls[16], "one of them is whether the operator is blocked")
	require.Equal(t, calls[16], calls[240], "no walk, no recursion")
}

func TestAClosureThatIsCutShortGoesOnWhereItWas(t *testing.T) {
	const n = 700
	w := newWorld(t)
	w.deep(n)
	w.clock.Add(time.Second)
	w.revoke("subject:alice", lineage.Cut)
	for _, at := range []int64{1, 100, 300, 600} {
		ctx, cancel := context.WithCancel(w.ctx)
		c := &counting{Store: w.store, at: at, end: cancel}
		node := *w
		node.store = c
		node.restart()
		first, err := node.Closure(ctx, ops, selector(w, "subject:alice"), lineage.ID{})
		require.NoError(t, err)
		require.False(t, first.Complete)
		require.Less(t, first.Tokens, n)
		require.Equal(t, first.Tokens == 0, first.Next.IsZero(), "zero is the beginning")
		rest, err := node.Closure(w.ctx, ops, selector(w, "subject:alice"), first.Next)
		require.NoError(t, err)
		require.True(t, rest.Complete)
		require.Equal(t, n, first.Tokens+rest.Tokens, "each is counted once")
		if at > 256 {
			require.NotZero(t, first.Tokens)
		}
	}
}

func TestASignalLooksAtNothingThatDoesNotCarryItsSelector(t *testing.T) {
	const n = 100
	w := newWorld(t)
	w.deep(n)
	c := &counting{Store: w.store}
	w.store = c
	w.restart()
	require.Equal(t, tb.Outcome{Examined: n, Kept: n, Complete: true}, w.risk("subject:alice", "high"))
	require.EqualValues(t, n, c.yielded.Load())
	require.EqualValues(t, 1, c.scans.Load())
}
