package storetest

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var skewCases = []testCase{
	{"Concurrent/Skew", "of two Txs that each require what the other one changes, only one is applied", writeSkew},
	{"Concurrent/SkewOfMarks", "of two Txs that each require unrevoked what the other one revokes, only one is applied", markSkew},
	{"Concurrent/WholeEntry", "an Entry is of one moment: it has all that a Tx wrote about its record, or nothing of it", wholeEntries},
	{"Concurrent/Monotonic", "what was read once is not unread: versions, counts and marks never go back", monotonic},
	{"Concurrent/Issuers", "Commits that name several issuers, in any order, do not stand in each other's way", manyIssuers},
}

// opposed commits a and b at the same time, and returns how many were applied. The other must be a conflict.
func (c *check) opposed(a, b store.Tx) int {
	c.Helper()
	var won atomic.Int64
	txs, errs := []store.Tx{a, b}, make([]error, 2)
	each(2, func(i int) {
		if errs[i] = c.one(txs[i]); errs[i] == nil {
			won.Add(1)
		}
	})
	for _, err := range errs {
		c.expect(err == nil || errors.Is(err, store.ErrConflict), "the loser got %v; want ErrConflict", err)
	}
	return int(won.Load())
}

func writeSkew(c *check) {
	for i := range 20 {
		left, right := fmt.Sprint("left", i), fmt.Sprint("right", i)
		tx := func(own, other string) store.Tx {
			tx := swapping(1, store.Swap{Key: own, State: "taken"})
			tx.Requires = []store.Require{{Key: other}}
			return tx
		}
		won := c.opposed(tx(left, right), tx(right, left))
		c.expect(won == 1, "in round %d, %d of 2 were applied", i, won)
	}
}

func markSkew(c *check) {
	for i := range 20 {
		left, right := subject(fmt.Sprint("left", i)), subject(fmt.Sprint("right", i))
		tx := func(own, other lineage.Selector) store.Tx {
			tx := revoking(1, lineage.Block, own)
			tx.Unrevoked = []store.Unrevoked{{Selectors: []lineage.Selector{other}, Since: at(1)}}
			return tx
		}
		won := c.opposed(tx(left, right), tx(right, left))
		c.expect(won == 1, "in round %d, %d of 2 were applied", i, won)
	}
}

// whileWriting calls write with each number below rounds, and read in two goroutines all the while, at least once between any
// two writes. Neither must end the test.
func whileWriting(rounds uint64, write func(round uint64), read func()) {
	var ended atomic.Bool
	var reads atomic.Int64
	each(3, func(i int) {
		if i == 0 {
			defer ended.Store(true)
			for round := range rounds {
				before := reads.Load()
				write(round)
				for reads.Load() == before {
					runtime.Gosched()
				}
			}
			return
		}
		for last := false; !last; { // once more after the last write
			last = ended.Load()
			read()
			reads.Add(1)
		}
	})
}

func wholeEntries(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r))
	key := subject("alice").String()
	const rounds = 30
	var torn, failed atomic.Int64
	whileWriting(rounds, func(v uint64) { // the version of the head and the number of the mark's entry rise together
		tx := revoking(1, lineage.Cut, subject("alice"))
		tx.Swaps = []store.Swap{{Key: key, Version: v, State: "s"}}
		if c.one(tx) != nil {
			failed.Add(1)
		}
	}, func() {
		got, err := c.store.Get(c.Context(), issuer, []lineage.ID{r.ID()})
		if err != nil || len(got) != 1 {
			failed.Add(1)
			return
		}
		var seq, version uint64
		for _, m := range got[0].Marks {
			seq = m.Seq
		}
		for _, h := range got[0].Heads {
			version = h.Version
		}
		if seq != version {
			torn.Add(1)
		}
	})
	c.expect(failed.Load() == 0, "%d calls failed", failed.Load())
	c.expect(torn.Load() == 0, "%d entries had the mark of one Tx and the head of another", torn.Load())
}

func monotonic(c *check) {
	const rounds = 30
	var back, failed atomic.Int64
	sel := subject("alice")
	type seen struct{ version, count, seq uint64 }
	var newest atomic.Pointer[seen]
	newest.Store(&seen{})
	whileWriting(rounds, func(v uint64) {
		tx := revoking(1, lineage.Cut, sel)
		tx.Swaps, tx.Adds = []store.Swap{{Key: "k", Version: v}}, []store.Add{{Key: "k", N: 1, Max: rounds}}
		if c.one(tx) != nil {
			failed.Add(1)
		}
	}, func() {
		least := newest.Load() // of whichever reader
		heads, err := c.store.Heads(c.Context(), issuer, []string{"k"})
		marks, err2 := c.store.Revoked(c.Context(), issuer, []lineage.Selector{sel})
		if err != nil || err2 != nil || len(heads) != 1 {
			failed.Add(1)
			return
		}
		got := seen{version: heads[0].Version, count: heads[0].Count}
		if len(marks) > 0 {
			got.seq = marks[0].Seq
		}
		if got.version < least.version || got.count < least.count || got.seq < least.seq {
			back.Add(1)
		}
		newest.CompareAndSwap(least, &got)
	})
	c.expect(failed.Load() == 0, "%d calls failed", failed.Load())
	c.expect(back.Load() == 0, "%d reads saw an earlier state than one that had ended before them", back.Load())
}

func manyIssuers(c *check) {
	names := []string{"a", "b", "c"}
	const rounds = 10
	var failed atomic.Pointer[error]
	each(6, func(i int) {
		for range rounds {
			var txs []store.Tx
			for n := range names { // each begins with another one, and half go backwards
				at := (i + n) % len(names)
				if i%2 == 1 {
					at = (i + len(names) - n) % len(names)
				}
				txs = append(txs, in(names[at], counting(1, store.Add{Key: "k", N: 1, Max: 6 * rounds})))
			}
			for _, err := range c.store.Commit(c.Context(), txs) {
				if err != nil {
					failed.Store(&err)
				}
			}
		}
	})
	if err := failed.Load(); err != nil {
		c.broken("a Commit failed: %v", *err)
	}
	for _, name := range names {
		c.expect(c.heads(name, "k")[0].Count == 6*rounds, "issuer %s counted %d; want %d", name, c.heads(name, "k")[0].Count, 6*rounds)
	}
}
