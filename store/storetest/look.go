package storetest

import (
	"context"
	"slices"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var lookCases = []testCase{
	{"Look/Same", "Look returns what Get returns of the ids, and what Revoked returns of the selectors", lookSame},
	{"Look/OneMoment", "what Look returns is of one moment: it has all that a Tx wrote, or nothing of it", lookAtOnce},
	{"Look/Ended", "where the context has ended, Look returns its error and no data", lookEnded},
}

// looker is the store as what it was declared to be.
func (c *check) looker() store.Looker {
	c.Helper()
	l, ok := c.store.(store.Looker)
	c.expect(ok, "the store is no store.Looker, and Options.Looks says that it is")
	return l
}

func lookSame(c *check) {
	alice, bob := c.record(issuer, 1, subject("alice")), c.record(issuer, 2, subject("bob"))
	c.ok(adding(2, alice, bob), revoking(3, lineage.Cut, subject("alice"), subject("carol")))
	c.ok(swapping(3, store.Swap{Key: subject("bob").String(), State: "s"}))
	unknown := c.record(issuer, 4)
	for name, q := range map[string]struct {
		ids  []lineage.ID
		sels []lineage.Selector
	}{
		"nothing":             {},
		"records":             {[]lineage.ID{bob.ID(), unknown.ID(), alice.ID(), bob.ID(), {}}, nil},
		"selectors":           {nil, []lineage.Selector{subject("carol"), subject("nobody")}},
		"both":                {[]lineage.ID{alice.ID()}, []lineage.Selector{subject("carol"), subject("bob")}},
		"of the record":       {[]lineage.ID{alice.ID()}, []lineage.Selector{subject("alice")}},
		"of another issuer's": {[]lineage.ID{c.record(otherIssuer, 1).ID()}, []lineage.Selector{subject("carol")}},
	} {
		for _, iss := range []string{issuer, otherIssuer} {
			entries, marks, err := c.looker().Look(c.Context(), iss, q.ids, q.sels)
			c.expect(err == nil, "Look for %s: %v", name, err)
			want := c.get(iss, q.ids...)
			c.expect(slices.EqualFunc(entries, want, sameEntry), "Look for %s found %d entries that Get does not", name, len(entries))
			of, found := c.marks(iss, q.sels...), map[lineage.Selector]lineage.Mark{}
			for _, m := range marks {
				c.expect(m == of[m.Selector], "Look for %s found a mark of %v that Revoked does not", name, m.Selector)
				found[m.Selector] = m
			}
			c.expect(len(found) == len(of), "Look for %s found %d marks; Revoked %d", name, len(found), len(of))
		}
	}
}

// sameEntry reports whether two entries are alike, in whatever order their marks and heads are.
func sameEntry(a, b store.Entry) bool {
	byKey := func(h store.Head, in []store.Head) bool {
		return slices.ContainsFunc(in, func(o store.Head) bool { return o.Key == h.Key && o.Version == h.Version && o.State == h.State })
	}
	return a.Record.ID() == b.Record.ID() && len(a.Marks) == len(b.Marks) && len(a.Heads) == len(b.Heads) &&
		!slices.ContainsFunc(a.Marks, func(m lineage.Mark) bool { return !slices.Contains(b.Marks, m) }) &&
		!slices.ContainsFunc(a.Heads, func(h store.Head) bool { return !byKey(h, b.Heads) })
}

func lookAtOnce(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r))
	var torn, failed atomic.Int64
	whileWriting(30, func(uint64) { // the mark of the record, and one beside it
		if c.one(revoking(1, lineage.Cut, subject("alice"), subject("bob"))) != nil {
			failed.Add(1)
		}
	}, func() {
		entries, marks, err := c.looker().Look(c.Context(), issuer, []lineage.ID{r.ID()}, []lineage.Selector{subject("bob")})
		if err != nil || len(entries) != 1 || len(entries[0].Marks) != len(marks) {
			failed.Add(1)
			return
		}
		for i, m := range marks { // the second of two entries of one Tx
			if m.Seq != entries[0].Marks[i].Seq+1 {
				torn.Add(1)
			}
		}
	})
	c.expect(failed.Load() == 0, "%d calls failed, or had one of two marks", failed.Load())
	c.expect(torn.Load() == 0, "%d answers had the record of before a Tx and the mark of after it, or the other way round", torn.Load())
}

func lookEnded(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r), revoking(1, lineage.Cut, subject("bob")))
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	entries, marks, err := c.looker().Look(ctx, issuer, []lineage.ID{r.ID()}, []lineage.Selector{subject("bob")})
	c.expect(err != nil && entries == nil && marks == nil, "Look with a context that has ended returned %d entries, %d marks, and the error %v",
		len(entries), len(marks), err)
}
