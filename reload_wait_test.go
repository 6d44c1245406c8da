package tokenboundary_test

import (
	"context"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// hurried is a clock on which nobody waits long, but where it is patient.
type hurried struct {
	*clock.Mock
	patient bool
}

func (c *hurried) WithTimeout(ctx context.Context, _ time.Duration) (context.Context, context.CancelFunc) {
	if c.patient {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, 20*time.Millisecond)
}

// hurry gives a world such a clock.
func (w *world) hurry() *hurried {
	c := &hurried{Mock: w.clock}
	w.cfg.Clock = c
	return c
}

// TestAReloadDoesNotWaitForADecisionThatHangs: it decides anew what there is, and says that there may be more.
func TestAReloadDoesNotWaitForADecisionThatHangs(t *testing.T) {
	w := newWorld(t, minting)
	clk, p := w.hurry(), w.versioned(true)
	bad := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	let, done := w.underWay(w.exchange("tool", w.human("bob"), crm, "write"))
	w.policy, p.in = wary, "v2"
	out, err := w.Signal(w.ctx, ops, tb.Signal{Reloaded: true})
	require.NoError(t, err)
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1}, out, "from the beginning next time")
	require.Equal(t, lineage.Revoked, w.state(bad.ID))

	close(let)
	tok := <-done
	clk.patient = true
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.signal(tb.Signal{Reloaded: true}))
	require.Equal(t, lineage.Revoked, w.state(tok.ID))
}

// interrupted is a store behind whose next look something else happens.
type interrupted struct {
	store.Store
	get, heads, revoked func()
}

// interrupt puts such a store under a world.
func (w *world) interrupt() *interrupted {
	s := &interrupted{Store: w.store}
	w.store = s
	w.restart()
	return s
}

func once(f *func()) {
	if g := *f; g != nil {
		*f = nil
		g()
	}
}

func (s *interrupted) Get(ctx context.Context, iss string, ids []lineage.ID) ([]store.Entry, error) {
	defer once(&s.get)
	return s.Store.Get(ctx, iss, ids)
}

func (s *interrupted) Heads(ctx context.Context, iss string, keys []string) ([]store.Head, error) {
	defer once(&s.heads)
	return s.Store.Heads(ctx, iss, keys)
}

func (s *interrupted) Revoked(ctx context.Context, iss string, sels []lineage.Selector) ([]lineage.Mark, error) {
	defer once(&s.revoked)
	return s.Store.Revoked(ctx, iss, sels)
}

// TestAReloadWaitsForWhatAHostRecords: that the version is the right one was looked at before.
func TestAReloadWaitsForWhatAHostRecords(t *testing.T) {
	w := newWorld(t)
	clk, s := w.hurry(), w.interrupt()
	p := w.versioned(true)
	root := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	d := w.decided(w.exchange("researcher", host(root), crm, "write"))
	looked, let, done := make(chan struct{}), make(chan struct{}), make(chan error)
	s.get = func() { // at what it is made from
		close(looked)
		<-let
	}
	go func() { done <- w.Record(w.ctx, d, tb.HostToken{Handle: "a"}) }()
	<-looked
	p.in = "v2"
	out, err := w.Signal(w.ctx, ops, tb.Signal{Reloaded: true})
	require.NoError(t, err)
	require.Equal(t, tb.Outcome{Examined: 1, Kept: 1}, out, "it is not over while one is under way")

	close(let)
	require.NoError(t, <-done)
	clk.patient, w.policy = true, wary
	require.Equal(t, tb.Outcome{Examined: 2, Revoked: 2, Complete: true}, w.signal(tb.Signal{Reloaded: true}))
	require.Equal(t, lineage.Revoked, w.state(d.ID))
}
