package storetest

import (
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func forgetHeads(c *check) {
	c.ok(swapping(1, store.Swap{Key: "gone", State: "s", Value: []byte("v"), Expires: at(500)}, store.Swap{Key: "stays"}),
		counting(1, store.Add{Key: "gone", N: 2, Max: 9}, store.Add{Key: "count", N: 2, Max: 9}))
	r := removal()
	r.Heads = []store.HeadVersion{{Key: "gone", Version: 2}}
	c.keeps(store.ErrConflict, r)
	r.Heads = []store.HeadVersion{{Key: "gone", Version: 1}, {Key: "count"}, {Key: "absent"}}
	c.forget(r)
	for _, h := range c.heads(issuer, "gone", "count", "absent") {
		c.expect(gone(h), "a head that was forgotten is %+v", h)
	}
	c.expect(c.head("stays").Version == 1, "a head is gone that was not named")
	c.ok(swapping(2, store.Swap{Key: "gone", State: "anew"}))
	c.ok(txAt(600))
	c.expect(c.head("gone").State == "anew", "a head was forgotten by an Expires that was forgotten with the one before it")
}

func forgetMarks(c *check) {
	key := lineage.Selector{Kind: lineage.SelectKey, Value: "kid"}
	c.ok(revoking(1, lineage.Cut, subject("alice"), subject("bob"), key), revoking(1, lineage.Block, subject("carol")), txAt(100))
	before := c.marks(issuer, subject("alice"), subject("bob"), subject("carol"), key)
	c.ok(revoking(101, lineage.Cut, subject("alice")))
	naming := func(sels ...lineage.Selector) store.Removal {
		r := removal()
		for _, sel := range sels {
			r.Marks = append(r.Marks, before[sel])
		}
		return r
	}
	c.keeps(store.ErrConflict, naming(subject("bob"), subject("alice"))) // it has risen since
	c.keeps(store.ErrInvalid, naming(subject("carol")))
	r := removal()
	r.Marks = []lineage.Mark{c.mark(subject("alice"))} // cuts until 103
	c.ok(txAt(105))
	c.keeps(store.ErrInvalid, r)
	c.expect(len(c.marks(issuer, subject("alice"), subject("bob"), subject("carol"), key)) == 4, "a mark was forgotten that was refused")
	c.forget(naming(subject("bob"), key))
	c.expect(len(c.marks(issuer, subject("bob"), key)) == 0, "a mark that was forgotten is still there")
	c.expect(len(c.marks(issuer, subject("alice"), subject("carol"))) == 2, "a mark is gone that was not named")
	c.ok(unrevoked(105, at(1), subject("bob")), txAt(106))
	c.forget(r)
	c.dead(106, at(1), subject("carol"))
}

func forgetFloor(c *check) {
	all := lineage.Selector{Kind: lineage.SelectPath, Value: "/"}
	c.ok(revoking(1, lineage.Cut, subject("alice")), revoking(10, lineage.Cut, subject("bob")), txAt(100))
	for _, sel := range []lineage.Selector{subject("bob"), subject("alice")} { // the second is older
		r := removal()
		r.Marks, r.Floor = []lineage.Mark{c.mark(sel)}, all
		c.forget(r)
		c.expect(c.mark(all).Before.Equal(at(12)), "the floor is at %v; want the latest that was cut", c.mark(all).Before)
	}
	c.dead(100, at(11), all)
	c.ok(unrevoked(100, at(12), all))
	c.ok(revoking(200, lineage.Block, all))
	c.expect(c.mark(all).Blocked && c.mark(all).Before.Equal(at(202)), "the floor is %+v after a block", c.mark(all))
	c.expect(len(c.feed(issuer, 0)) == 3, "the floor is an entry of the feed")
}

// gapless requires that the feed from a position on has exactly the entries from one number to another.
func (c *check) gapless(after, from, to uint64) {
	c.Helper()
	got := c.feed(issuer, after)
	c.expect(uint64(len(got)) == to+1-from, "the feed after %d has %d entries; want those from %d to %d", after, len(got), from, to)
	for i, r := range got {
		c.expect(r.Seq == from+uint64(i), "entry %d of the feed after %d has the number %d", i, after, r.Seq)
	}
}

func (c *check) goneAfter(after uint64) {
	c.Helper()
	n := 0
	for _, err := range c.store.Feed(c.Context(), issuer, after) {
		c.expect(errors.Is(err, store.ErrGone), "Feed after %d: %v; want ErrGone", after, err)
		n++
	}
	c.expect(n == 1, "Feed after %d yielded %d times; want ErrGone once", after, n)
}

func forgetFeed(c *check) {
	txs := make([]store.Tx, 600)
	for i := range txs {
		txs[i] = revoking(i, lineage.Cut, subject(fmt.Sprint("s", i)))
	}
	c.ok(txs...)
	c.ok(txAt(500 + 5)) // as far as entry 500 and a little further
	r := removal()
	r.Feed = 601
	c.keeps(store.ErrInvalid, r)
	r.Feed = 599 // it cuts until 600
	c.keeps(store.ErrInvalid, r)
	c.gapless(0, 1, 600)
	r.Feed = 400
	c.forget(r)
	for range 2 {
		c.gapless(0, 401, 600)
		c.gapless(400, 401, 600)
		c.gapless(500, 501, 600)
		c.gapless(600, 601, 600)
		for _, after := range []uint64{1, 399, 601} {
			c.goneAfter(after)
		}
		c.forget(r) // is passed over
	}
	c.expect(c.mark(subject("s3")).Seq == 4, "a mark went with an entry of the feed")
	c.ok(revoking(601, lineage.Cut, subject("bob")))
	c.gapless(600, 601, 601)
}

func forgetWholeFeed(c *check) {
	c.ok(revoking(1, lineage.Cut, subject("a"), subject("b")), txAt(100))
	r := removal()
	r.Feed = 2
	c.forget(r)
	c.gapless(0, 3, 2)
	c.gapless(2, 3, 2)
	c.goneAfter(1)
	c.goneAfter(3)
	c.ok(revoking(101, lineage.Cut, subject("a")))
	c.gapless(0, 3, 3)
	c.gapless(2, 3, 3)
	c.goneAfter(1)
}
