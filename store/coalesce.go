package store

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// maxBatch bounds how many Txs one Commit of the store below is given.
const maxBatch = 256

// Coalesce returns s with concurrent commits merged: while one Commit of s is under way, the Txs of all callers that
// arrive queue up and go into the next. A lone caller is passed through at once. It is the only batching code of the
// project, and s must not batch by itself.
//
// A Tx, once queued, no longer depends on its caller's context: Commit returns when its outcome is known. Txs marked
// Background wait behind all others.
func Coalesce(s Store) Store {
	if c, ok := s.(*coalescer); ok {
		return c
	}
	return &coalescer{Store: s}
}

type coalescer struct {
	Store
	mu    sync.Mutex
	queue []waiting
	busy  bool
}

type waiting struct {
	tx   Tx
	err  *error
	done *sync.WaitGroup
}

// Commit queues txs and waits for all of them.
func (c *coalescer) Commit(ctx context.Context, txs []Tx) []error {
	if err := ctx.Err(); err != nil {
		return repeat(err, len(txs))
	}
	errs := make([]error, len(txs))
	var done sync.WaitGroup
	done.Add(len(txs))
	c.mu.Lock()
	for i := range txs {
		c.queue = append(c.queue, waiting{txs[i], &errs[i], &done})
	}
	drive := !c.busy && len(txs) > 0
	c.busy = c.busy || drive
	c.mu.Unlock()
	if drive {
		go c.drive(context.WithoutCancel(ctx))
	}
	done.Wait()
	return errs
}

// drive commits batch after batch until the queue is empty. There is at most one driver.
func (c *coalescer) drive(ctx context.Context) {
	for {
		c.mu.Lock()
		batch := c.next()
		if len(batch) == 0 {
			c.busy = false
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		c.flush(ctx, batch)
	}
}

// next takes the next batch off the queue, in order but with Background last. The caller holds the lock.
func (c *coalescer) next() []waiting {
	slices.SortStableFunc(c.queue, func(a, b waiting) int { return rank(a.tx) - rank(b.tx) })
	n := min(len(c.queue), maxBatch)
	batch := slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	return batch
}

func rank(tx Tx) int {
	if tx.Background {
		return 1
	}
	return 0
}

func (c *coalescer) flush(ctx context.Context, batch []waiting) {
	txs := make([]Tx, len(batch))
	for i, w := range batch {
		txs[i] = w.tx
	}
	errs := c.Store.Commit(ctx, txs)
	if len(errs) != len(txs) {
		errs = repeat(errors.New("store: Commit returned a wrong number of results"), len(txs))
	}
	for i, w := range batch {
		*w.err = errs[i]
		w.done.Done()
	}
}

func repeat(err error, n int) []error {
	errs := make([]error, n)
	for i := range errs {
		errs[i] = err
	}
	return errs
}
