package storetest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var scanCases = []testCase{
	{"Scan/Order", "Scan yields the records that carry the selector, each once, by issue time and then id", scanOrder},
	{"Scan/Resume", "a scan from a record continues directly behind it", scanResume},
	{"Scan/Selectors", "a record is found by its own selectors, its ancestors' and those its envelope implies, and by no others", scanSelectors},
	{"Scan/Commits", "commits may happen while a scan is read", scanCommits},
	{"Scan/Unknown", "a scan of what is not there yields nothing, and one from an unknown record only an error", scanUnknown},
}

// mixed commits n records of alice, many at the same time, in no order, and returns them as a scan must.
func (c *check) mixed(n int) []lineage.Record {
	c.Helper()
	var txs []store.Tx
	var all []lineage.Record
	for i := range n {
		r := c.record(issuer, i*37%(n/3+1), subject("alice"))
		all = append(all, r)
		tx := adding(n, r)
		txs = append(txs, tx)
	}
	c.ok(txs...)
	slices.SortFunc(all, func(a, b lineage.Record) int {
		x, y := a.ID(), b.ID()
		return cmp.Or(a.IssuedAt.Compare(b.IssuedAt), bytes.Compare(x[:], y[:]))
	})
	return all
}

func (c *check) same(got, want []lineage.Record, what string) {
	c.Helper()
	c.expect(len(got) == len(want), "%s yielded %d records; want %d", what, len(got), len(want))
	for i := range want {
		c.expect(got[i].Equal(want[i]), "%s: the record at place %d is not the one of that time and id", what, i)
	}
}

func scanOrder(c *check) {
	want := c.mixed(530) // more than two pages of any adapter
	c.ok(adding(530, c.record(issuer, 1, subject("bob"))))
	c.same(c.scan(issuer, subject("alice"), lineage.ID{}), want, "the scan")
}

func scanResume(c *check) {
	want := c.mixed(40)
	for i, r := range want {
		c.same(c.scan(issuer, subject("alice"), r.ID()), want[i+1:], "the resumed scan")
	}
	var got []lineage.Record
	for from := (lineage.ID{}); len(got) < len(want); from = got[len(got)-1].ID() {
		before := len(got)
		for r, err := range c.store.Scan(c.Context(), issuer, subject("alice"), from) {
			c.expect(err == nil, "Scan: %v", err)
			got = append(got, r)
			if len(got)%7 == 0 {
				break
			}
		}
		c.expect(len(got) > before, "a resumed scan yielded nothing, with %d records still to come", len(want)-before)
	}
	c.same(got, want, "a scan that was stopped and resumed")
}

func scanSelectors(c *check) {
	task := c.task(1, subject("alice"))
	child := c.child(task, 2, subject("ali"), lineage.Selector{Kind: lineage.SelectActor, Value: "alice"})
	grandchild := c.child(child, 3, lineage.Selector{Kind: lineage.SelectPath, Value: "/agents"})
	other := c.record(issuer, 4, subject("alice:"))
	c.ok(adding(4, task, child, grandchild, other))
	all := []lineage.Record{task, child, grandchild, other}
	var sels []lineage.Selector
	for _, r := range all {
		sels = append(sels, r.Selectors()...)
	}
	sels = append(lineage.Union(sels), subject("al"), subject("Alice"), subject("alice%"), subject("*"), subject(""),
		lineage.Selector{}, lineage.Selector{Kind: "subject:alice"}, lineage.Selector{Kind: "subjectalice"})
	for _, sel := range sels {
		var want []lineage.Record
		for _, r := range all {
			if slices.Contains(r.Selectors(), sel) {
				want = append(want, r)
			}
		}
		c.same(c.scan(issuer, sel, lineage.ID{}), want, "the scan of "+sel.String())
	}
}

func scanCommits(c *check) {
	want := c.mixed(300)
	seen := map[lineage.ID]bool{}
	for r, err := range c.store.Scan(c.Context(), issuer, subject("alice"), lineage.ID{}) {
		c.expect(err == nil, "Scan: %v", err)
		c.expect(!seen[r.ID()], "a record was yielded twice")
		seen[r.ID()] = true
		if len(seen)%100 == 1 {
			c.ok(adding(300, c.record(issuer, 299, subject("alice")), c.record(issuer, 0, subject("alice"))))
		}
		if len(seen) > 1000 {
			c.broken("the scan does not end")
		}
	}
	for _, r := range want {
		c.expect(seen[r.ID()], "a record that was there before the scan began was not yielded")
	}
}

func scanUnknown(c *check) {
	unknown := lineage.ID(sha256.Sum256([]byte("unknown")))
	for range 2 {
		c.expect(len(c.scan(issuer, subject("alice"), lineage.ID{})) == 0, "a record was found by a selector that none carries")
		c.expect(len(c.scan("https://other.example", subject("bob"), lineage.ID{})) == 0, "a record was found in another issuer")
		n := 0
		for r, err := range c.store.Scan(c.Context(), issuer, subject("bob"), unknown) {
			n++
			c.expect(err != nil && r.ID().IsZero(), "a scan from an unknown record yielded a record")
		}
		c.expect(n == 1, "a scan from an unknown record yielded %d times; want one error", n)
		c.ok(adding(1, c.record(issuer, 1, subject("bob"))))
	}
}
