package tokenboundary

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/benbjohnson/clock"
)

// limit is a context that ends a while after it was made. Setting a timer costs more than most decisions take, so there is
// none until somebody waits for the end; before, whoever asks finds out by the clock.
type limit struct {
	context.Context // of the request
	clock           clock.Clock
	end             time.Time
	timer           atomic.Pointer[timer]
}

// timer is a context that ends by itself or is ended.
type timer struct {
	context.Context
	cancel context.CancelFunc
}

var over = func() *timer {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return &timer{ctx, cancel}
}()

func newLimit(ctx context.Context, c clock.Clock, d time.Duration) *limit {
	return &limit{Context: ctx, clock: c, end: c.Now().Add(d)}
}

// release ends the context.
func (l *limit) release() {
	if t := l.timer.Swap(over); t != nil {
		t.cancel()
	}
}

// timed returns the context with a timer.
func (l *limit) timed() *timer {
	if t := l.timer.Load(); t != nil {
		return t
	}
	ctx, cancel := context.WithTimeout(l.Context, l.end.Sub(l.clock.Now()))
	t := &timer{ctx, cancel}
	if !l.timer.CompareAndSwap(nil, t) {
		cancel()
	}
	return l.timer.Load()
}

// Deadline implements context.Context.
func (l *limit) Deadline() (time.Time, bool) { return l.timed().Deadline() }

// Done implements context.Context.
func (l *limit) Done() <-chan struct{} { return l.timed().Done() }

// Err implements context.Context.
func (l *limit) Err() error {
	if t := l.timer.Load(); t != nil {
		return t.Err()
	}
	if err := l.Context.Err(); err != nil {
		return err
	}
	if !l.clock.Now().Before(l.end) {
		return context.DeadlineExceeded
	}
	return nil
}
