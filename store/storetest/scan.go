package storetest

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var scanCases = []testCase{
	{"Scan/Order", "Scan yields the records that carry the selector, each once, by issue time and then id", scanOrder},
	{"Scan/Resume", "a scan from a record continues directly behind it", scanResume},
	{"Scan/Since", "a scan since a moment yields what was issued then or later, and nothing that was issued earlier", scanSince},
	{"Scan/SinceAndAfter", "where a position has a moment and a record, a scan yields what both let through", scanBoth},
	{"Scan/SinceOfOthers", "a position leaves out nothing but by time and id, whatever else lies at the same time", scanOthers},
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
	slices.SortFunc(all, inOrder)
	return all
}

// inOrder compares two records as a scan orders them.
func inOrder(a, b lineage.Record) int {
	x, y := a.ID(), b.ID()
	return cmp.Or(a.IssuedAt.Compare(b.IssuedAt), bytes.Compare(x[:], y[:]))
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
	c.same(c.scan(issuer, subject("alice"), store.Position{}), want, "the scan")
}

func scanResume(c *check) {
	want := c.mixed(40)
	for i, r := range want {
		c.same(c.scan(issuer, subject("alice"), store.Position{After: r.ID()}), want[i+1:], "the resumed scan")
	}
	var got []lineage.Record
	for from := (store.Position{}); len(got) < len(want); from.After = got[len(got)-1].ID() {
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

// notBefore returns the records of list that a scan since a moment must yield.
func notBefore(list []lineage.Record, since time.Time) []lineage.Record {
	return slices.DeleteFunc(slices.Clone(list), func(r lineage.Record) bool { return r.IssuedAt.Before(since) })
}

func scanSince(c *check) {
	all := c.mixed(300)                                                              // 101 moments of two or three records each; more than a page
	for _, n := range []int{-1, 0, 1, 2, 13, 14, 15, 16, 50, 85, 86, 99, 100, 101} { // 256 records lie before the 86th, and behind the 14th
		for _, off := range []time.Duration{-1, 0, 1, time.Millisecond} {
			since := at(n).Add(off).In(time.FixedZone("east", 3600))
			want := notBefore(all, since)
			c.same(c.scan(issuer, subject("alice"), store.Position{Since: since}), want, "the scan since "+since.String())
		}
	}
	c.expect(len(notBefore(all, at(100))) > 0 && len(notBefore(all, at(101))) == 0, "storetest: the last moment is not the 100th")
	c.expect(len(c.scan(issuer, subject("alice"), store.Position{Since: at(1_000_000_000)})) == 0, "there are records of the far future")
	c.same(c.scan(issuer, subject("alice"), store.Position{Since: at(-2_000_000_000)}), all, "the scan since long ago")
}

func scanBoth(c *check) {
	all := c.mixed(60)
	for _, n := range []int{-1, 0, 1, 10, 19, 20, 21} {
		for i, r := range all {
			if i%10 != 0 && r.IssuedAt.Sub(at(n)).Abs() > time.Second {
				continue // far from where the two meet, one in ten is enough
			}
			want := notBefore(all[i+1:], at(n))
			got := c.scan(issuer, subject("alice"), store.Position{Since: at(n), After: r.ID()})
			c.same(got, want, fmt.Sprintf("the scan since %d s behind record %d of %v", n, i, r.IssuedAt))
		}
	}
}

func scanOthers(c *check) {
	bob, alice := c.record(issuer, 5, subject("bob")), []lineage.Record{
		c.record(issuer, 4, subject("alice")), c.record(issuer, 5, subject("alice")), c.record(issuer, 6, subject("alice")),
	}
	foreign := c.record("https://other.example", 5, subject("alice"))
	c.ok(adding(6, bob), adding(6, alice...), store.Tx{Issuer: foreign.Issuer, Time: at(6), Records: []lineage.Record{foreign}})
	c.same(c.scan(issuer, subject("alice"), store.Position{Since: at(5)}), alice[1:], "the scan of alice")
	c.same(c.scan(issuer, subject("bob"), store.Position{Since: at(5)}), []lineage.Record{bob}, "the scan of bob")
	c.same(c.scan(foreign.Issuer, subject("alice"), store.Position{Since: at(5)}), []lineage.Record{foreign}, "the scan of the other issuer")
	c.same(c.scan(issuer, subject("carol"), store.Position{Since: at(5)}), nil, "the scan of nobody")
	behind := slices.DeleteFunc(slices.Clone(alice), func(r lineage.Record) bool { return inOrder(r, bob) < 0 })
	c.same(c.scan(issuer, subject("alice"), store.Position{Since: at(4), After: bob.ID()}), behind, "the scan behind another's record")
	n := 0
	for r, err := range c.store.Scan(c.Context(), issuer, subject("alice"), store.Position{Since: at(4), After: foreign.ID()}) {
		n++
		c.expect(errors.Is(err, store.ErrInvalid) && r.ID().IsZero(), "a scan from another issuer's record yielded a record")
	}
	c.expect(n == 1, "a scan from another issuer's record yielded %d times; want one error", n)
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
		c.same(c.scan(issuer, sel, store.Position{}), want, "the scan of "+sel.String())
	}
}

func scanCommits(c *check) {
	want := c.mixed(300)
	seen := map[lineage.ID]bool{}
	for r, err := range c.store.Scan(c.Context(), issuer, subject("alice"), store.Position{}) {
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
		c.expect(len(c.scan(issuer, subject("alice"), store.Position{})) == 0, "a record was found by a selector that none carries")
		c.expect(len(c.scan("https://other.example", subject("bob"), store.Position{})) == 0, "a record was found in another issuer")
		n := 0
		for r, err := range c.store.Scan(c.Context(), issuer, subject("bob"), store.Position{After: unknown}) {
			n++
			c.expect(errors.Is(err, store.ErrInvalid) && r.ID().IsZero(), "a scan from an unknown record yielded a record or %v; want ErrInvalid", err)
		}
		c.expect(n == 1, "a scan from an unknown record yielded %d times; want one error", n)
		c.ok(adding(1, c.record(issuer, 1, subject("bob"))))
	}
}
