package store

import (
	"context"
	"time"
)

// Lingerer is a Store whose Commit costs much the same for one Tx as for many, because it waits for a disk or a server.
// Coalesce then waits for up to Linger, where it has reason to, so that more callers share a Commit. In front of a Store
// that is no Lingerer it never waits; a wrapper passes the method on.
type Lingerer interface {
	Store
	Linger() time.Duration
}

// window is a stretch of time that ends by itself.
type window struct {
	context.Context
	close context.CancelFunc
}

// opened returns a window that ends after d.
func opened(d time.Duration) window {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	return window{ctx, cancel}
}

// over is a window that has ended.
var over = opened(0)

// expect opens the window in which those who met are waited for. Who was alone is not.
func (c *coalescer) expect() {
	c.window.close()
	c.window = over
	if c.linger > 0 && c.met > 1 {
		c.window = opened(c.linger)
	}
}

// gather waits for those who are expected.
func (c *coalescer) gather() {
	c.mu.Lock()
	want, window := min(c.met, maxBatch), c.window
	if want <= len(c.front) || window.Err() != nil {
		c.mu.Unlock()
		return
	}
	c.want = want
	c.mu.Unlock()
	select {
	case <-c.enough:
	case <-window.Done():
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.want == 0 { // reached at the same moment
			<-c.enough
		}
		c.want = 0
	}
}
