package tokenboundary_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// hinting is a store that tells of what others write when the test says so.
type hinting struct {
	store.Store
	mu   sync.Mutex
	told chan struct{}
}

func (h *hinting) Changed(_ context.Context, of string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if of != issuer {
		return nil
	}
	return h.told
}

// tell closes the channel of those who wait.
func (h *hinting) tell() {
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.told)
	h.told = make(chan struct{})
}

// awaits returns a channel that has what came of waiting for the feed once that has ended.
func (w *world) awaits(g *tb.Governor, after uint64) chan error {
	out := make(chan error, 1)
	go func() { out <- g.AwaitRevocation(w.ctx, after) }()
	synctest.Wait()
	return out
}

// TestAWaitEndsWhenTheStoreTells: of an entry that another Governor has written, on a clock that stands still.
func TestAWaitEndsWhenTheStoreTells(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.revoke("client:tool", lineage.Cut)
		cfg := w.cfg
		cfg.Policy = tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil })
		h := &hinting{Store: w.store, told: make(chan struct{})}
		cfg.Store = h
		other, err := tb.New(cfg)
		require.NoError(t, err)

		ended := w.awaits(other, w.newest())
		h.tell() // a hint of nothing
		synctest.Wait()
		require.Empty(t, ended, "it has looked, and waits on")
		w.revoke("client:tool", lineage.Cut)
		synctest.Wait()
		require.Empty(t, ended, "control: nobody has told it, and the clock stands still")
		h.tell()
		require.NoError(t, <-ended)

		// Without a hint it looks now and then all the same.
		ended = w.awaits(other, w.newest())
		w.revoke("client:tool", lineage.Cut)
		synctest.Wait()
		require.Empty(t, ended)
		w.clock.Add(time.Second)
		require.NoError(t, <-ended)
	})
}

// TestAWaitDoesNotDependOnHints: of a store from which none will come.
func TestAWaitDoesNotDependOnHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.revoke("client:tool", lineage.Cut)
		cfg := w.cfg
		cfg.Policy = tb.PolicyFunc(func(context.Context, tb.Facts) (tb.Verdict, error) { return tb.Verdict{}, nil })
		cfg.Store = &hinting{Store: w.store} // nil channels
		other, err := tb.New(cfg)
		require.NoError(t, err)
		ended := w.awaits(other, w.newest())
		w.revoke("client:tool", lineage.Cut)
		synctest.Wait()
		require.Empty(t, ended)
		w.clock.Add(time.Second)
		require.NoError(t, <-ended)
	})
}
