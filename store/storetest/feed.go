package storetest

import (
	"errors"
	"fmt"
	"math"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var feedCases = []testCase{
	{"Feed/Entries", "Feed yields each revocation as it was committed, with the Seq and Before that the store has set", feedEntries},
	{"Feed/Gapless", "sequence numbers start at 1 and rise by one per entry, in the order of the commits", feedGapless},
	{"Feed/Gone", "a position beyond the newest entry is ErrGone", feedGone},
	{"Feed/Grows", "commits may happen while a feed is read, and no entry appears behind one already yielded", feedGrows},
	{"Feed/Stop", "a reader may stop at any entry and continue behind it", feedStop},
}

func feedEntries(c *check) {
	tx := txAt(10)
	tx.Revocations = []lineage.Revocation{
		{Selector: subject("alice"), At: at(9), Reason: "left the\x00 company \xff", By: "op's"},
		{Selector: lineage.Selector{Kind: lineage.SelectPath, Value: "/agents"}, Action: lineage.Block, At: at(11)},
		{Selector: lineage.Selector{Kind: lineage.SelectKey, Value: "kid"}, At: at(10)},
	}
	c.ok(tx)
	got := c.feed(issuer, 0)
	c.expect(len(got) == len(tx.Revocations), "the feed has %d entries; want %d", len(got), len(tx.Revocations))
	for i, r := range got {
		want := tx.Revocations[i]
		c.expect(r.Seq == uint64(i+1) && !r.Before.IsZero(), "entry %d has Seq %d and Before %v", i, r.Seq, r.Before)
		c.expect(r.Selector == want.Selector && r.Action == want.Action && r.At.Equal(want.At), "entry %d is %+v; want %+v", i, r, want)
		c.expect(r.Reason == want.Reason && r.By == want.By, "entry %d has the reason %q by %q", i, r.Reason, r.By)
	}
}

// fill commits n revocations of numbered subjects.
func (c *check) fill(n int) {
	c.Helper()
	txs := make([]store.Tx, n)
	for i := range txs {
		txs[i] = revoking(1, lineage.Cut, subject(fmt.Sprint(i)))
	}
	c.ok(txs...)
}

func feedGapless(c *check) {
	const n = 600 // more than one page of any adapter
	c.fill(n)
	c.refused(store.ErrConflict, everythingBut(c, "refused"))
	c.ok(revoking(1, lineage.Cut, subject("x"), subject("y")))
	for _, after := range []uint64{0, 1, 255, 256, 257, n, n + 1} {
		got := c.feed(issuer, after)
		c.expect(len(got) == n+2-int(after), "after %d there are %d entries; want %d", after, len(got), n+2-int(after))
		for i, r := range got {
			c.expect(r.Seq == after+uint64(i)+1, "entry %d behind %d has Seq %d", i, after, r.Seq)
			if r.Seq <= n {
				c.expect(r.Selector == subject(fmt.Sprint(r.Seq-1)), "entry %d is of %v", r.Seq, r.Selector)
			}
		}
	}
}

// everythingBut is a Tx that would write in every way but for a condition that does not hold.
func everythingBut(c *check, prefix string) store.Tx {
	tx := everything(c, 1, prefix)
	tx.Requires = []store.Require{{Key: "absent", State: "there"}}
	return tx
}

func feedGone(c *check) {
	gone := func(after uint64) {
		c.Helper()
		var errs []error
		for r, err := range c.store.Feed(c.Context(), issuer, after) {
			c.expect(err != nil, "Feed after %d yielded entry %d", after, r.Seq)
			errs = append(errs, err)
		}
		c.expect(len(errs) == 1 && errors.Is(errs[0], store.ErrGone), "Feed after %d yielded %v; want ErrGone", after, errs)
	}
	c.expect(len(c.feed(issuer, 0)) == 0, "an empty store has a feed")
	gone(1)
	gone(math.MaxUint64)
	c.fill(3)
	c.expect(len(c.feed(issuer, 3)) == 0, "there are entries behind the newest")
	gone(4)
	gone(math.MaxUint64)
}

func feedGrows(c *check) {
	c.fill(300)
	seq := uint64(0)
	for r, err := range c.store.Feed(c.Context(), issuer, 0) {
		c.expect(err == nil, "Feed: %v", err)
		seq++
		c.expect(r.Seq == seq, "Seq %d was yielded behind %d", r.Seq, seq-1)
		if seq == 1 || seq == 300 {
			c.ok(revoking(2, lineage.Cut, subject("later")))
		}
	}
	c.expect(seq >= 300, "the feed ended at %d of 300", seq)
	rest := c.feed(issuer, seq)
	c.expect(seq+uint64(len(rest)) == 302, "after the feed ended at %d there are %d entries; want 302 in all", seq, len(rest))
}

func feedStop(c *check) {
	c.fill(10)
	seq := uint64(0)
	for range 10 {
		for r, err := range c.store.Feed(c.Context(), issuer, seq) {
			c.expect(err == nil && r.Seq == seq+1, "Feed after %d yielded %d, %v", seq, r.Seq, err)
			seq = r.Seq
			break
		}
		c.ok(txAt(1))
	}
	c.expect(seq == 10, "a reader that took one entry at a time got to %d of 10", seq)
}
