package broker_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/broker"
)

// TestManyAtOnce: while leases are made, used, given back and cut by several nodes, no credential is usable that the lineage
// has ended, and in the end nothing is left.
func TestManyAtOnce(t *testing.T) {
	w := newWorld(t)
	nodes := []*broker.Broker{w.Broker, w.node()}
	ctx, stop := context.WithCancel(w.ctx)
	var running, working sync.WaitGroup
	for _, b := range nodes {
		running.Go(func() { _ = b.Run(ctx) })
	}
	for worker := range 8 {
		working.Go(func() {
			for range 10 {
				tok := w.task("bot")
				l, err := nodes[worker%2].Lease(w.ctx, asking(tok, "read"))
				if err != nil {
					t.Errorf("lease: %v", err)
					return
				}
				if err := w.logsIn(l); err != nil {
					t.Errorf("use: %v", err)
				}
				switch worker % 3 {
				case 0:
					err = l.End(w.ctx)
				case 1:
					_, err = w.gov.SetTask(w.ctx, ops, tok.TaskID, tb.TaskCompleted)
				default:
					continue
				}
				if err != nil {
					t.Errorf("end: %v", err)
				}
				if err := w.logsIn(l); !errors.Is(err, broker.ErrOver) {
					t.Errorf("use after the end: %v", err)
				}
			}
		})
	}
	working.Wait()
	w.cut("client:bot")
	stop()
	running.Wait()
	w.sweep()
	require.Zero(t, w.legacy.count())
	require.Empty(t, w.open())
}

// TestALeaseEndsWithItsToken: whatever is asked for, it ends no later, and at that moment it is over.
func TestALeaseEndsWithItsToken(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7)) //nolint:gosec // a test that can be repeated
	w := newWorld(t)
	for range 60 {
		tok := w.task("bot", time.Duration(1+rnd.IntN(300))*time.Second)
		w.clock.Add(time.Duration(rnd.IntN(int(tok.ExpiresIn))))
		req := asking(tok, "read")
		if rnd.IntN(2) == 0 {
			req.Lifetime = time.Duration(1+rnd.IntN(600)) * time.Second
		}
		end := tok.IssuedAt.Add(tok.ExpiresIn)
		l, err := w.Lease(w.ctx, req)
		if err != nil {
			require.ErrorIs(t, err, tb.ErrDenied, "no time is left")
			require.Less(t, end.Sub(w.clock.Now()), 2*time.Second)
			continue
		}
		info := l.Info()
		require.False(t, info.ExpiresAt.After(end), "%v, %v", info.ExpiresAt, end)
		if req.Lifetime > 0 {
			require.LessOrEqual(t, info.ExpiresAt.Sub(w.clock.Now()), req.Lifetime)
		}
		w.clock.Set(info.ExpiresAt.Add(-time.Millisecond))
		require.NoError(t, w.logsIn(l), "control")
		w.clock.Add(time.Millisecond)
		require.ErrorIs(t, w.logsIn(l), broker.ErrOver)
		w.sweep()
		require.False(t, w.legacy.has(info.ID))
	}
}

// BenchmarkUse is one use of a lease: what it costs to ask the lineage.
func BenchmarkUse(b *testing.B) {
	w := newWorld(b)
	l := w.lease(w.task("bot"))
	for b.Loop() {
		require.NoError(b, w.logsIn(l))
	}
}

// BenchmarkLease is a whole life of one, with a provider that costs nothing, in memory: decided, fetched, held, given back, looked
// for in the book, taken back.
func BenchmarkLease(b *testing.B) {
	w := newWorld(b)
	tok := w.task("bot")
	for b.Loop() {
		require.NoError(b, w.lease(tok).End(w.ctx))
		w.sweep()
	}
}
