package broker

import (
	"context"
	"errors"
	"sync"

	"github.com/benbjohnson/clock"
)

var errCut = errors.New("broker: it cannot be told whether the lease is alive")

// watch asks the lineage about a lease while it is used, and cuts its use where it is over, or that cannot be told.
func (p *Proxy) watch(ctx context.Context, cut context.CancelCauseFunc, l *Lease) *watch {
	w := &watch{clock: p.b.cfg.Clock}
	w.look = func() {
		asked, enough := context.WithCancel(ctx)
		defer enough()
		defer p.b.cfg.Clock.AfterFunc(askAgain, enough).Stop() // a store that does not answer says nothing either
		switch _, err := l.look(asked); {
		case err == nil:
			w.arm()
		case errors.Is(err, ErrOver):
			cut(ErrOver)
		default:
			cut(errCut)
		}
	}
	w.arm()
	return w
}

type watch struct {
	clock clock.Clock
	look  func()

	mu      sync.Mutex
	timer   *clock.Timer
	stopped bool
}

func (w *watch) arm() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.stopped {
		w.timer = w.clock.AfterFunc(askAgain, w.look)
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stopped = true
	w.timer.Stop()
}
