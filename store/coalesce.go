package store

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	// maxBatch bounds how many Txs one Commit of the store below is given.
	maxBatch = 256
	// backgroundShare is how many of them may be Background where others wait too.
	backgroundShare = maxBatch / 8
)

// Coalesce returns s with concurrent commits merged: while one Commit of s is under way, the Txs of all callers that
// arrive queue up and go into the next. It is the only batching code of the project, and s must not batch by itself.
//
// A lone caller is passed through at once. Where s is a Lingerer and callers meet, the next Commit waits until as many
// Txs have come as were under way and queued when the last one ended, but no longer than Linger after that: those who were
// just answered come back.
//
// A Tx, once queued, no longer depends on its caller's context: Commit returns when its outcome is known. Txs marked
// Background go behind all others, are never waited for, and have a part of each batch to themselves.
//
// There is no goroutine: one of the callers drives until it has its own results, and then hands on to one that waits.
func Coalesce(s Store) Store {
	if c, ok := s.(*coalescer); ok {
		return c
	}
	c := &coalescer{Store: s, enough: make(chan struct{}, 1), window: over}
	if l, ok := s.(Lingerer); ok {
		c.linger = l.Linger()
	}
	return c
}

// Changed implements Hinter for a Store that is one; otherwise nothing will be told.
func (c *coalescer) Changed(ctx context.Context, issuer string) <-chan struct{} {
	if h, ok := c.Store.(Hinter); ok {
		return h.Changed(ctx, issuer)
	}
	return nil
}

type coalescer struct {
	Store
	linger time.Duration
	enough chan struct{} // has an element once want has been reached

	mu          sync.Mutex
	front, back []waiting // back holds the Background ones
	driven      bool      // a caller drives
	want        int       // how long front must be for the driver to go on; 0: it does not wait
	met         int       // how many Txs were under way or in front when the last Commit ended
	window      window    // until when so many are expected
}

// waiting is a queued Tx, where its result goes, and the call that it is of.
type waiting struct {
	tx   *Tx
	err  *error
	call *call
}

// call is a caller of Commit.
type call struct {
	left int       // how many of its Txs have no result yet
	wake chan bool // says when there is none left, or that it has to drive (true)
}

// errAborted is the result of Txs of which nobody knows what the store below has done.
var errAborted = errors.New("store: Commit ended without a result")

// Commit queues txs and waits for all of them.
func (c *coalescer) Commit(ctx context.Context, txs []Tx) []error {
	errs := make([]error, len(txs))
	if err := ctx.Err(); err != nil || len(txs) == 0 {
		fill(errs, err)
		return errs
	}
	if own, drives := c.enqueue(txs, errs); drives || <-own.wake {
		c.drive(context.WithoutCancel(ctx), own)
	}
	return errs
}

// enqueue adds a call to the queue and reports whether it has to drive.
func (c *coalescer) enqueue(txs []Tx, errs []error) (own *call, drives bool) {
	own = &call{left: len(txs)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.driven { // otherwise nobody is going to wake it
		own.wake = make(chan bool, 1)
	}
	for i := range txs {
		queue := &c.front
		if txs[i].Background {
			queue = &c.back
		}
		*queue = append(*queue, waiting{&txs[i], &errs[i], own})
	}
	if c.want > 0 && len(c.front) >= c.want {
		c.want = 0
		c.enough <- struct{}{}
	}
	drives = !c.driven
	c.driven = true
	return own, drives
}

// drive commits batch after batch until own has all its results, and hands on.
func (c *coalescer) drive(ctx context.Context, own *call) {
	for done := false; !done; {
		c.gather()
		done = c.flush(ctx, c.next(), own)
	}
}

// next takes the next batch off the queue: the Background ones last, and some of them however many others wait.
func (c *coalescer) next() []waiting {
	c.mu.Lock()
	defer c.mu.Unlock()
	front := min(len(c.front), maxBatch-min(len(c.back), backgroundShare))
	back := min(len(c.back), maxBatch-front)
	batch := append(append(make([]waiting, 0, front+back), c.front[:front]...), c.back[:back]...)
	c.front, c.back = rest(c.front, front), rest(c.back, back)
	return batch
}

// rest returns queue without its first n, and lets go of what they held.
func rest(queue []waiting, n int) []waiting {
	left := copy(queue, queue[n:])
	clear(queue[left:])
	return queue[:left]
}

// flush commits a batch, hands out the results, and reports whether own has all of its. What was queued gets a result, and
// the next one drives, even if the store below panics; the panic is the driver's.
func (c *coalescer) flush(ctx context.Context, batch []waiting, own *call) (done bool) {
	txs := make([]Tx, len(batch))
	for i, w := range batch {
		txs[i] = *w.tx
	}
	results, returned := repeat(errAborted, len(txs)), false
	defer func() { done = c.settle(batch, results, own, !returned) }()
	got := c.Store.Commit(ctx, txs)
	if returned = true; len(got) == len(txs) {
		results = got
	}
	return false
}

// settle hands out results, wakes the calls that have all of theirs, and lets another drive if own does so no longer.
func (c *coalescer) settle(batch []waiting, results []error, own *call, leaves bool) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.met = len(c.front)
	for i, w := range batch {
		*w.err = results[i]
		if w.call.left--; w.call.left == 0 && w.call != own {
			w.call.wake <- false
		}
		if !w.tx.Background {
			c.met++
		}
	}
	c.expect()
	switch {
	case own.left > 0 && !leaves:
		return false
	case own.left > 0: // nobody waits for the rest of them
		gone := func(w waiting) bool { return w.call == own }
		c.front, c.back = slices.DeleteFunc(c.front, gone), slices.DeleteFunc(c.back, gone)
	}
	c.handOn()
	return true
}

// handOn makes the first that waits the driver.
func (c *coalescer) handOn() {
	switch {
	case len(c.front) > 0:
		c.front[0].call.wake <- true
	case len(c.back) > 0:
		c.back[0].call.wake <- true
	default:
		c.driven = false
	}
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	fill(errs, err)
	return errs
}

func fill(errs []error, err error) {
	for i := range errs {
		errs[i] = err
	}
}
