package storetest

import (
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func forgetUnused(c *check) {
	a, b := c.record(issuer, 1, subject("alice"), subject("both")), c.record(issuer, 2, subject("both"))
	c.ok(adding(2, a, b), swapping(2, store.Swap{Key: "about", State: "set"}))
	r := erasing(a)
	r.Heads, r.Unused = []store.HeadVersion{{Key: "about", Version: 1}}, []lineage.Selector{subject("alice"), subject("both")}
	c.keeps(store.ErrConflict, r)
	c.expect(c.has(a) && c.head("about").Version == 1, "a Removal that was refused has done something")
	r.Unused = r.Unused[:1]
	c.forget(r)
	c.expect(gone(c.head("about")), "the head is still there")
	last := removal()
	last.Unused = []lineage.Selector{subject("both")}
	c.keeps(store.ErrConflict, last)
	c.forget(erasing(b))
	c.forget(last)
	c.ok(adding(3, c.record(issuer, 3, subject("both"))))
	c.keeps(store.ErrConflict, last)
}

func forgetAtomic(c *check) {
	over, live := c.record(issuer, 1, subject("alice")), c.record(issuer, 5000, subject("alice"))
	c.ok(adding(1, over), swapping(1, store.Swap{Key: "k"}), revoking(1, lineage.Cut, subject("alice")), adding(5000, live))
	whole := removal(over)
	whole.Bodies = []lineage.ID{live.ID()}
	whole.Heads = []store.HeadVersion{{Key: "k", Version: 1}}
	whole.Marks, whole.Feed = []lineage.Mark{c.mark(subject("alice"))}, 1
	for name, change := range map[string]func(r *store.Removal){
		"a record":   func(r *store.Removal) { r.Records = append(r.Records, live.ID()) },
		"a head":     func(r *store.Removal) { r.Heads = append(r.Heads, store.HeadVersion{Key: "k2", Version: 1}) },
		"a mark":     func(r *store.Removal) { r.Marks = append(r.Marks, lineage.Mark{Selector: subject("x"), Seq: 7}) },
		"the feed":   func(r *store.Removal) { r.Feed = 2 },
		"a selector": func(r *store.Removal) { r.Unused, r.Bodies = []lineage.Selector{subject("alice")}, nil },
	} {
		r := whole
		r.Records, r.Heads, r.Marks = slices.Clone(r.Records), slices.Clone(r.Heads), slices.Clone(r.Marks)
		change(&r)
		err := c.forgetter().Forget(c.Context(), r)
		c.expect(errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrInvalid), "%s does not fit: %v", name, err)
		c.expect(c.has(over) && c.has(live) && c.head("k").Version == 1 && c.mark(subject("alice")).Seq == 1,
			"a Removal of which %s does not fit has done something", name)
		c.gapless(0, 1, 1)
		c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{over, live}, "a scan after a refusal")
	}
	c.forget(whole)
	c.exactly(live.Erase())
	c.gapless(0, 2, 1)
	c.expect(gone(c.head("k")) && len(c.marks(issuer, subject("alice"))) == 0, "a head or a mark is still there")
}

func forgetRepeated(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.forget(removal(r)) // nothing is there at all
	c.ok(adding(1, r), txAt(afterAll))
	both := removal(r, r)
	both.Bodies = []lineage.ID{r.ID(), r.ID()}
	for range 3 {
		c.forget(both)
		c.exactly()
	}
}

func forgetInvalid(c *check) {
	r := removal()
	r.Issuer = ""
	c.keeps(store.ErrInvalid, r)
	r = removal()
	r.Heads = []store.HeadVersion{{Key: string(make([]byte, store.MaxKey+1))}}
	c.keeps(store.ErrInvalid, r)
	r = removal()
	r.Leeway = -1
	c.keeps(store.ErrInvalid, r)
}

func forgetIsolated(c *check) {
	const other = "https://other.example"
	mine, theirs := c.record(issuer, 1, subject("alice")), c.record(other, 1, subject("alice"))
	for _, iss := range []string{issuer, other} {
		tx := revoking(1, lineage.Cut, subject("alice"))
		tx.Issuer, tx.Swaps = iss, []store.Swap{{Key: "k"}}
		if tx.Records = []lineage.Record{mine}; iss == other {
			tx.Records = []lineage.Record{theirs}
		}
		c.ok(tx, store.Tx{Issuer: iss, Time: at(afterAll)})
	}
	r := removal(mine, theirs)
	r.Heads, r.Marks, r.Feed = []store.HeadVersion{{Key: "k", Version: 1}}, []lineage.Mark{c.mark(subject("alice"))}, 1
	r.Unused = []lineage.Selector{subject("alice")} // the other issuer's does not count
	c.forget(r)
	c.exactly()
	c.expect(c.has(theirs) && c.heads(other, "k")[0].Version == 1 && len(c.marks(other, subject("alice"))) == 1, "another issuer's state is gone")
	c.expect(len(c.feed(other, 0)) == 1 && len(c.every(other, store.Position{})) == 1, "another issuer's feed or index has changed")
	c.same(c.scan(other, subject("alice"), store.Position{}), []lineage.Record{theirs}, "a scan of another issuer")
	c.expect(len(c.every("https://nobody.example", store.Position{})) == 0, "an issuer without a record has some")
}
