package storetest

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var concurrentCases = []testCase{
	{"Concurrent/SingleUse", "of concurrent swaps of one version exactly one is applied", singleUse},
	{"Concurrent/Count", "a count under concurrent adds reaches its maximum exactly", exactCount},
	{"Concurrent/NoLostSwap", "every swap that was acknowledged is in the version", noLostSwap},
	{"Concurrent/Repeat", "concurrent repeats of one commit are applied once and all succeed", concurrentRepeat},
	{"Concurrent/Revoke", "nothing is committed on the condition of a selector after its revocation was acknowledged", revokeRace},
	{"Concurrent/Whole", "a reader never sees a part of a Tx", wholeReads},
	{"Concurrent/Feed", "a reader of the growing feed misses nothing and sees nothing twice", feedRace},
}

const crowd = 64

// each calls f in n goroutines at once and waits for them. f must not end the test.
func each(n int, f func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	all.Wait()
}

// one commits a single Tx from any goroutine.
func (c *check) one(tx store.Tx) error {
	errs := c.store.Commit(c.Context(), []store.Tx{tx})
	if len(errs) != 1 {
		return fmt.Errorf("commit of one transaction returned %d results", len(errs))
	}
	return errs[0]
}

// winners commits tx(i) in a crowd and returns how many were applied. The others must be conflicts.
func (c *check) winners(tx func(i int) store.Tx) int {
	c.Helper()
	var won atomic.Int64
	errs := make([]error, crowd)
	each(crowd, func(i int) {
		if errs[i] = c.one(tx(i)); errs[i] == nil {
			won.Add(1)
		}
	})
	for _, err := range errs {
		c.expect(err == nil || errors.Is(err, store.ErrConflict), "a loser got %v; want ErrConflict", err)
	}
	return int(won.Load())
}

func singleUse(c *check) {
	for _, key := range []string{"a", "b", "c"} {
		won := c.winners(func(i int) store.Tx {
			return swapping(1, store.Swap{Key: key, State: "spent", Value: fmt.Append(nil, i), Expires: at(100)})
		})
		c.expect(won == 1, "%d of %d spent the same single-use id", won, crowd)
		c.expect(c.head(key).Version == 1, "a head swapped once has version %d", c.head(key).Version)
	}
}

func exactCount(c *check) {
	const most = 40
	records := make([]lineage.Record, crowd)
	for i := range records {
		records[i] = c.record(issuer, 1)
	}
	won := c.winners(func(i int) store.Tx {
		tx := adding(1, records[i])
		tx.Adds = []store.Add{{Key: "budget", N: 1, Max: most}}
		return tx
	})
	c.expect(won == most, "%d were counted within a maximum of %d", won, most)
	c.expect(c.head("budget").Count == most, "the count is %d; want %d", c.head("budget").Count, most)
	there := 0
	for _, r := range records {
		if c.has(r) {
			there++
		}
	}
	c.expect(there == most, "%d records were written with a count of %d", there, most)
}

func noLostSwap(c *check) {
	var done atomic.Uint64
	var failed atomic.Pointer[error]
	each(8, func(int) {
		for range 10 {
			h, err := c.store.Heads(c.Context(), issuer, []string{"k"})
			if err == nil {
				err = c.one(swapping(1, store.Swap{Key: "k", Version: h[0].Version, Value: fmt.Append(nil, h[0].Version+1)}))
			}
			switch {
			case err == nil:
				done.Add(1)
			case !errors.Is(err, store.ErrConflict):
				failed.Store(&err)
			}
		}
	})
	c.expect(failed.Load() == nil, "a swap failed otherwise than by conflict")
	h := c.head("k")
	c.expect(h.Version == done.Load(), "%d swaps were acknowledged, and the version is %d", done.Load(), h.Version)
	c.expect(string(h.Value) == fmt.Sprint(h.Version), "version %d has the value of another: %s", h.Version, h.Value)
}

func concurrentRepeat(c *check) {
	tx := everything(c, 1, "a")
	c.expect(c.winners(func(int) store.Tx { return tx }) == crowd, "a repeat of a commit was refused")
	h := c.heads(issuer, "aswap", "aadd")
	c.expect(h[0].Version == 1 && h[1].Count == 1, "a commit was applied %d times", h[1].Count)
	c.expect(len(c.feed(issuer, 0)) == 1, "a revocation was applied again")
}

func revokeRace(c *check) {
	parent := c.task(1, subject("alice"))
	c.ok(adding(1, parent))
	sels := []lineage.Selector{subject("alice"), {Kind: lineage.SelectTask, Value: parent.ID().String()}}
	for _, sel := range sels {
		var revoked atomic.Bool
		var late, early atomic.Int64
		var failed atomic.Pointer[error]
		var tried sync.WaitGroup // every deriver once, so that some passed before the revocation begins
		const derivers = 8
		tried.Add(derivers)
		each(derivers+1, func(i int) {
			if i == derivers {
				tried.Wait()
				if err := c.one(revoking(1, lineage.Cut, sel)); err != nil {
					failed.Store(&err)
				}
				revoked.Store(true)
				return
			}
			once := sync.OnceFunc(tried.Done)
			for after := 0; after < 3; once() {
				gone := revoked.Load()
				child, err := derive(parent, at(1), nil)
				if err == nil {
					tx := adding(1, child)
					tx.Unrevoked = []store.Unrevoked{{Selectors: []lineage.Selector{sel}, Since: child.Since}}
					err = c.one(tx)
				}
				switch {
				case err == nil && gone:
					late.Add(1)
				case err == nil:
					early.Add(1)
				case !errors.Is(err, store.ErrConflict):
					failed.Store(&err)
				}
				if gone || failed.Load() != nil {
					after++
				}
			}
		})
		c.expect(failed.Load() == nil, "a commit failed otherwise than by conflict")
		c.expect(early.Load() > 0, "no child was committed before the revocation")
		c.expect(late.Load() == 0, "%d children were committed after the revocation of %s was acknowledged", late.Load(), sel.Kind)
	}
}

func wholeReads(c *check) {
	var torn, failed atomic.Int64
	whileWriting(20, func(v uint64) {
		if c.one(swapping(1, store.Swap{Key: "a", Version: v}, store.Swap{Key: "b", Version: v})) != nil {
			failed.Add(1)
		}
	}, func() {
		h, err := c.store.Heads(c.Context(), issuer, []string{"a", "b"})
		switch {
		case err != nil:
			failed.Add(1)
		case h[0].Version != h[1].Version:
			torn.Add(1)
		}
	})
	c.expect(failed.Load() == 0, "%d calls failed", failed.Load())
	c.expect(torn.Load() == 0, "%d reads saw one head of a Tx and not the other", torn.Load())
}

func feedRace(c *check) {
	const writers, perWriter = 8, 8
	var writing, bad, failed atomic.Int64
	writing.Store(writers)
	each(writers+2, func(i int) {
		if i < writers {
			defer writing.Add(-1)
			for n := range perWriter {
				if c.one(revoking(1, lineage.Cut, subject(fmt.Sprint(i, "-", n)))) != nil {
					failed.Add(1)
				}
			}
			return
		}
		seen, seq := map[lineage.Selector]bool{}, uint64(0)
		for last := false; !last; {
			last = writing.Load() == 0
			for r, err := range c.store.Feed(c.Context(), issuer, seq) {
				if err != nil {
					failed.Add(1)
					break
				}
				if r.Seq != seq+1 || seen[r.Selector] {
					bad.Add(1)
				}
				seq, seen[r.Selector] = r.Seq, true
			}
		}
		if seq != writers*perWriter {
			bad.Add(1)
		}
	})
	c.expect(failed.Load() == 0, "%d calls failed", failed.Load())
	c.expect(bad.Load() == 0, "%d entries were out of sequence, missing or repeated", bad.Load())
}
