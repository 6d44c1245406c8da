package storetest

import (
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var markCases = []testCase{
	{"Marks/Before", "Before is the later of the store time and the revocation's time, plus the leeway, rounded up to whole milliseconds", beforeFormula},
	{"Marks/Rise", "the Before of a selector only rises", beforeRises},
	{"Marks/Cut", "a cut kills what was issued before it, and not what is issued later", cutDated},
	{"Marks/Block", "a block kills everything until it is lifted; what was dead before the lift stays dead", blockAndLift},
	{"Marks/Absolute", "what names a thing that never comes back is dead whenever it was issued", absolute},
	{"Marks/Suspend", "suspend and resume are entries of the feed and kill nothing", suspendResume},
	{"Marks/Revoked", "Revoked returns the marks of those selectors that were revoked, and of no others", revokedOnly},
	{"Marks/Behind", "a Tx with Records is refused with ErrBehind if its time is further than its leeway behind the store time", behind},
	{"Marks/SameTx", "the conditions of a Tx are judged before its own revocations, which hold for all that is read later", sameTx},
}

// last returns the newest entry of the feed.
func (c *check) last() lineage.Revocation {
	c.Helper()
	all := c.feed(issuer, 0)
	c.expect(len(all) > 0, "the feed is empty")
	return all[len(all)-1]
}

func beforeFormula(c *check) {
	cut := func(storeTime, asked time.Time, want time.Time) {
		c.Helper()
		tx := store.Tx{Issuer: issuer, Time: storeTime, Leeway: leeway}
		tx.Revocations = []lineage.Revocation{{Selector: subject("alice"), At: asked, Seq: 99, Before: at(9999)}}
		c.ok(tx)
		r := c.last()
		c.expect(r.Before.Equal(want), "Before is %v; want %v", r.Before, want)
		c.expect(r.At.Equal(lineage.Time(asked)), "At is %v; want %v", r.At, asked)
		m := c.mark(subject("alice"))
		c.expect(m.Before.Equal(want) && m.Seq == r.Seq, "the mark has Before %v and Seq %d; its entry %v and %d", m.Before, m.Seq, want, r.Seq)
	}
	cut(at(10), at(10), at(10).Add(leeway))
	cut(at(20), at(15), at(20).Add(leeway))
	cut(at(20), at(30), at(30).Add(leeway))
	cut(at(40), time.Time{}, at(40).Add(leeway))
	cut(at(40), at(50).Add(300*time.Microsecond), at(50).Add(leeway+time.Millisecond))
}

func beforeRises(c *check) {
	c.ok(revoking(10, lineage.Cut, subject("alice")))
	first := c.mark(subject("alice")).Before
	for _, action := range []lineage.Action{lineage.Cut, lineage.Block, lineage.Lift} {
		c.ok(revoking(3, action, subject("alice"))) // from a node whose clock is behind
		got := c.mark(subject("alice")).Before
		c.expect(!got.Before(first), "action %q lowered Before from %v to %v", action, first, got)
	}
	c.ok(txAt(60), revoking(1, lineage.Cut, subject("alice")))
	c.expect(c.mark(subject("alice")).Before.Equal(at(60).Add(leeway)), "Before did not follow the store time: %v", c.mark(subject("alice")).Before)
}

// dead commits a Tx on the condition that sel is not revoked as of since, which must not hold.
func (c *check) dead(n int, since time.Time, sel lineage.Selector) {
	c.Helper()
	var cf *store.Conflict
	err := c.refused(store.ErrConflict, unrevoked(n, since, subject("nobody"), sel))
	c.expect(errors.As(err, &cf) && cf.Mark == c.mark(sel), "the conflict is %#v; want one with the mark of %v", err, sel)
}

func cutDated(c *check) {
	for _, kind := range []string{lineage.SelectSubject, lineage.SelectActor, lineage.SelectClient, lineage.SelectConnection, lineage.SelectPath} {
		sel := lineage.Selector{Kind: kind, Value: "/some/name"}
		c.ok(unrevoked(10, at(1), sel))
		c.ok(revoking(10, lineage.Cut, sel))
		edge := at(10).Add(leeway)
		c.dead(10, at(1), sel)
		c.dead(10, edge.Add(-time.Millisecond), sel)
		c.dead(10, time.Time{}, sel)
		c.ok(unrevoked(10, edge, sel), unrevoked(10, at(100), sel))
	}
}

func blockAndLift(c *check) {
	sel := subject("alice")
	c.ok(revoking(10, lineage.Block, sel))
	c.expect(c.mark(sel).Blocked, "a blocked selector has a mark that is not blocked")
	c.dead(10, at(1), sel)
	c.dead(10, at(100_000), sel)
	c.ok(revoking(20, lineage.Cut, sel))
	c.dead(20, at(100_000), sel) // a cut does not lift
	c.ok(revoking(30, lineage.Lift, sel))
	c.expect(!c.mark(sel).Blocked, "a lifted selector is still blocked")
	c.dead(30, at(1), sel)
	c.dead(30, at(30).Add(leeway-time.Millisecond), sel)
	c.ok(unrevoked(30, at(30).Add(leeway), sel))
}

func absolute(c *check) {
	r := c.record(issuer, 1).ID().String()
	for _, sel := range []lineage.Selector{
		{Kind: lineage.SelectToken, Value: r}, {Kind: lineage.SelectTask, Value: r}, {Kind: lineage.SelectGrant, Value: r},
		{Kind: lineage.SelectSession, Value: "sid"}, {Kind: lineage.SelectKey, Value: "kid"},
	} {
		c.ok(unrevoked(10, at(1), sel))
		c.ok(revoking(10, lineage.Cut, sel))
		c.expect(c.mark(sel).Cut, "the mark of %v is not cut", sel)
		c.dead(10, at(1), sel)
		c.dead(10, at(100_000), sel)
	}
}

func suspendResume(c *check) {
	sel := lineage.Selector{Kind: lineage.SelectTask, Value: c.task(1).ID().String()}
	c.ok(revoking(1, lineage.Suspend, sel), revoking(2, lineage.Resume, sel), revoking(3, lineage.Suspend, sel))
	c.expect(len(c.marks(issuer, sel)) == 0, "a suspended task has a mark")
	c.ok(unrevoked(3, at(1), sel))
	feed := c.feed(issuer, 0)
	c.expect(len(feed) == 3 && feed[0].Action == lineage.Suspend && feed[1].Action == lineage.Resume, "the feed is %+v", feed)
	c.ok(revoking(4, lineage.Cut, sel), revoking(5, lineage.Resume, sel))
	c.dead(5, at(100_000), sel) // a resume does not bring back what was cut
}

func revokedOnly(c *check) {
	c.expect(len(c.marks(issuer, subject("a"), subject("b"))) == 0, "an empty store has marks")
	c.ok(adding(1, c.record(issuer, 1, subject("a"), subject("b"))), revoking(2, lineage.Cut, subject("a"), subject("c")))
	got := c.marks(issuer, subject("a"), subject("b"), lineage.Selector{Kind: lineage.SelectActor, Value: "a"})
	c.expect(len(got) == 1 && got[subject("a")].Selector == subject("a"), "the marks are %v", got)
	c.expect(len(c.marks(issuer)) == 0, "Revoked of nothing returned marks")
}

func behind(c *check) {
	c.ok(txAt(100), txAt(50)) // the store time never falls
	late := txAt(98)
	late.Time, late.Records = at(98).Add(-time.Millisecond), []lineage.Record{c.record(issuer, 97)}
	c.refused(store.ErrBehind, late)
	late.Leeway += time.Millisecond
	c.ok(late)
	c.ok(adding(98, c.record(issuer, 98)))
	old := everything(c, 1, "x")
	old.Records = nil
	c.ok(old) // a revocation is never refused for the clock
	c.expect(c.mark(subject("x")).Before.Equal(at(100).Add(leeway)), "a late revocation does not reach up to the store time")
}

func sameTx(c *check) {
	r := c.record(issuer, 10, subject("alice"))
	tx := adding(10, r)
	tx.Unrevoked = []store.Unrevoked{{Selectors: r.Selectors(), Since: r.Since}}
	tx.Revocations = []lineage.Revocation{{Selector: subject("alice"), At: at(10)}}
	c.ok(tx)
	e := c.get(issuer, r.ID())[0]
	c.expect(len(e.Marks) == 1 && e.Marks[0].Kills(r.Since), "the revocation is not seen with the record: %v", e.Marks)
}
