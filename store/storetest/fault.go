package storetest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var faultCases = []testCase{
	{"Fault/Commit", "a Commit that is cut off at any moment applies each Tx wholly or not at all, and its repeat applies it once", cutCommit},
	{"Fault/Reads", "a read that is cut off at any moment is an error, or all that was asked for", cutReads},
	{"Fault/Iterators", "a scan or a feed that is cut off at any moment ends with an error, or has yielded all", cutIterators},
}

// ending is a context that ends when it is asked for the n-th time whether it has.
type ending struct {
	context.Context
	left atomic.Int64
	done chan struct{}
	once sync.Once
}

// endingAt returns a context that ends with the n-th look at it.
func (c *check) endingAt(n int) *ending {
	ctx := &ending{Context: c.Context(), done: make(chan struct{})}
	ctx.left.Store(int64(n))
	return ctx
}

// look counts, and reports whether the end has come.
func (e *ending) look() bool {
	if e.left.Add(-1) > 0 {
		return false
	}
	e.once.Do(func() { close(e.done) })
	return true
}

// Done implements context.Context.
func (e *ending) Done() <-chan struct{} {
	e.look()
	return e.done
}

// Err implements context.Context.
func (e *ending) Err() error {
	if e.look() {
		return context.Canceled
	}
	return nil
}

// everyMoment calls f with contexts that end at the first look, at the second and so on, until one has not ended.
func (c *check) everyMoment(f func(ctx context.Context, n int)) {
	c.Helper()
	for n := 1; n < 200; n++ {
		ctx := c.endingAt(n)
		f(ctx, n)
		if ctx.left.Load() > 0 {
			return
		}
	}
}

// applied checks that tx, which everything made with prefix, was applied once or not at all, and reports which.
func (c *check) applied(tx store.Tx, prefix string) bool {
	c.Helper()
	there := c.has(tx.Records[0])
	h := c.heads(issuer, prefix+"swap", prefix+"add")
	entries, want := 0, 0
	for _, r := range c.feed(issuer, 0) {
		if r.Selector == subject(prefix) {
			entries++
		}
	}
	if there {
		want = 1
	}
	c.expect(h[0].Version == uint64(want) && h[1].Count == uint64(want) && entries == want && len(c.marks(issuer, subject(prefix))) == want,
		"the record of a Tx that was cut off is there: %t; swapped %d, counted %d, %d entries in the feed", there, h[0].Version, h[1].Count, entries)
	return there
}

func cutCommit(c *check) {
	c.everyMoment(func(ctx context.Context, n int) {
		names := []string{fmt.Sprint("one", n), fmt.Sprint("two", n)}
		txs := []store.Tx{everything(c, 1, names[0]), everything(c, 1, names[1])}
		errs := c.store.Commit(ctx, txs)
		c.expect(len(errs) == len(txs), "Commit of %d transactions returned %d results", len(txs), len(errs))
		for i, err := range errs {
			there := c.applied(txs[i], names[i])
			c.expect(err != nil || there, "a Commit was acknowledged and is not there")
			for _, own := range []error{store.ErrConflict, store.ErrBehind, store.ErrInvalid, store.ErrGone} {
				c.expect(!errors.Is(err, own), "a Commit that was cut off failed with %q", err)
			}
		}
		c.ok(txs...)
		c.expect(c.applied(txs[0], names[0]) && c.applied(txs[1], names[1]), "the repeat of a Commit that was cut off is not there")
	})
}

func cutReads(c *check) {
	tx := everything(c, 1, "a")
	c.ok(tx)
	id := tx.Records[0].ID()
	c.everyMoment(func(ctx context.Context, n int) {
		got, err := c.store.Get(ctx, issuer, []lineage.ID{id, {}, id})
		whole := len(got) == 3 && got[0].Record.ID() == id && got[2].Record.ID() == id && len(got[0].Marks) == 1
		c.expect(err != nil && got == nil || err == nil && whole, "Get, cut off at look %d, returned %d entries and %v", n, len(got), err)
	})
	c.everyMoment(func(ctx context.Context, n int) {
		got, err := c.store.Heads(ctx, issuer, []string{"aswap", "aadd"})
		whole := len(got) == 2 && got[0].Version == 1 && got[1].Count == 1
		c.expect(err != nil && got == nil || err == nil && whole, "Heads, cut off at look %d, returned %d heads and %v", n, len(got), err)
	})
	c.everyMoment(func(ctx context.Context, n int) {
		got, err := c.store.Revoked(ctx, issuer, []lineage.Selector{subject("a")})
		c.expect(err != nil && got == nil || err == nil && len(got) == 1, "Revoked, cut off at look %d, returned %d marks and %v", n, len(got), err)
	})
}

func cutIterators(c *check) {
	const n = 300 // more than one page of any adapter
	records := c.mixed(n)
	c.fill(n)
	scan := func(ctx context.Context, at int, stop func()) {
		seen, failed := 0, false
		for r, err := range c.store.Scan(ctx, issuer, subject("alice"), store.Position{}) {
			c.expect(!failed, "a scan went on behind an error")
			if failed = err != nil; failed {
				c.expect(r.ID().IsZero(), "a scan yielded a record with an error")
				continue
			}
			c.expect(seen < n && r.Equal(records[seen]), "a scan that was cut off yielded another record at place %d", seen)
			if seen++; seen == at {
				stop()
			}
		}
		c.expect(failed || seen == n, "a scan that was cut off ended after %d of %d records, without an error", seen, n)
	}
	feed := func(ctx context.Context, at int, stop func()) {
		seen, failed := 0, false
		for r, err := range c.store.Feed(ctx, issuer, 0) {
			c.expect(!failed, "a feed went on behind an error")
			if failed = err != nil; failed {
				c.expect(r.Seq == 0, "a feed yielded an entry with an error")
				continue
			}
			c.expect(r.Seq == uint64(seen+1), "a feed that was cut off yielded entry %d at place %d", r.Seq, seen+1)
			if seen++; seen == at {
				stop()
			}
		}
		c.expect(failed || seen == n, "a feed that was cut off ended after %d of %d entries, without an error", seen, n)
	}
	for _, read := range []func(context.Context, int, func()){scan, feed} {
		c.everyMoment(func(ctx context.Context, _ int) { read(ctx, 0, nil) })
		for _, at := range []int{1, 2, 127, 128, 255, 256, 257, n - 1, n} {
			ctx, cancel := context.WithCancel(c.Context())
			read(ctx, at, cancel)
			cancel()
		}
	}
}
