package storetest

import (
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var clockCases = []testCase{
	{"Clock/Far", "a time is kept to the nanosecond, in whatever year it lies", farTimes},
	{"Clock/Zones", "a time is a moment: the zone that it is written in does not matter", zones},
	{"Clock/Back", "a clock that goes back within the leeway harms nothing; beyond it, records are refused and all else is not", clockBack},
	{"Clock/Ahead", "a clock that runs far ahead takes the store time with it for good: others issue nothing, and still revoke", clockAhead},
	{"Clock/Nanoseconds", "store time is compared to the nanosecond, by ErrBehind and by Expires", nanoseconds},
	{"Clock/ScanFar", "a scan orders records of any year, and begins at any moment", scanFar},
}

// far are moments, in order, beyond what some way to write a time can hold: the first and last year of four digits, the ends of
// 32 and of 64 bits of seconds, milliseconds and nanoseconds since 1970, and the first of them.
var far = []time.Time{
	time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), time.Date(1582, 10, 4, 23, 59, 59, 0, time.UTC),
	time.Date(1677, 9, 21, 0, 12, 43, 145224192, time.UTC), time.Date(1901, 12, 13, 20, 45, 52, 0, time.UTC),
	time.Date(1969, 12, 31, 23, 59, 59, 999999999, time.UTC), time.Unix(0, 0).UTC(), time.Date(2000, 2, 29, 12, 0, 0, 123456789, time.UTC),
	time.Date(2038, 1, 19, 3, 14, 8, 0, time.UTC), time.Date(2106, 2, 7, 6, 28, 16, 1, time.UTC),
	time.Date(2262, 4, 11, 23, 47, 16, 854775808, time.UTC), time.Date(9999, 12, 31, 23, 59, 50, 999999999, time.UTC),
}

func farTimes(c *check) {
	for i, moment := range far {
		tx := swapping(1, store.Swap{Key: "k", Version: uint64(i), State: "s", Expires: moment})
		tx.Time, tx.Leeway = moment, 0
		tx.Revocations = []lineage.Revocation{{Selector: subject("alice"), At: moment.Add(time.Hour - 1)}}
		if i == len(far)-1 {
			tx.Revocations[0].At = moment // the year has five digits soon
		}
		at := tx.Revocations[0].At
		c.ok(tx)
		h := c.head("k")
		c.expect(h.Version == uint64(i+1) && h.Expires.Equal(moment), "a head that expires at %v does so at %v", moment, h.Expires)
		r, before := c.last(), lineage.Time(at.Add(time.Millisecond-1))
		c.expect(r.At.Equal(lineage.Time(at)), "a revocation at %v has the time %v", at, r.At)
		c.expect(r.Before.Equal(before), "a revocation at %v, without leeway, has Before %v; want %v", at, r.Before, before)
		c.expect(c.mark(subject("alice")).Before.Equal(before), "the mark has Before %v; want %v", c.mark(subject("alice")).Before, before)
		alive := unrevoked(0, before, subject("alice"))
		alive.Time = moment
		c.ok(alive)
		alive.Unrevoked[0].Since = before.Add(-1)
		c.refused(store.ErrConflict, alive)
	}
}

func zones(c *check) {
	east, west := time.FixedZone("east", 14*3600), time.FixedZone("west", -12*3600-30)
	tx := swapping(10, store.Swap{Key: "k", State: "s", Expires: at(20).In(east)})
	tx.Time = at(10).In(west)
	tx.Revocations = []lineage.Revocation{{Selector: subject("alice"), At: at(10).In(east)}}
	c.ok(tx)
	c.expect(c.head("k").Expires.Equal(at(20)), "the head expires at %v; want %v", c.head("k").Expires, at(20))
	c.expect(c.last().Before.Equal(at(10).Add(leeway)), "Before is %v; want %v", c.last().Before, at(10).Add(leeway))
	c.dead(10, at(11).In(east), subject("alice"))
	c.ok(unrevoked(10, at(12).In(west), subject("alice")))
	late := adding(0, c.record(issuer, 1))
	late.Time = at(8).In(east)
	c.ok(late)
	late = adding(0, c.record(issuer, 1))
	late.Time = at(8).Add(-1).In(west)
	c.refused(store.ErrBehind, late)
	c.ok(txAt(20))
	c.expect(c.head("k").Version == 1, "a head was forgotten at the moment of its Expires")
	tx = txAt(0)
	tx.Time = at(20).Add(1).In(east)
	c.ok(tx)
	c.expect(gone(c.head("k")), "a head that has expired is still there")
}

func clockBack(c *check) {
	c.ok(txAt(100), expiring(100, "k", 0, at(101)), txAt(102))
	for i, n := range []int{101, 100, 1, -100_000, 102} { // the store time stays at 102
		name := c.record(issuer, 1, subject("r")) // of any time: what counts is that of the Tx
		if n >= 100 {
			c.ok(adding(n, name))
		} else {
			c.refused(store.ErrBehind, adding(n, name))
			c.expect(!c.has(name), "a record was written by a clock that is behind")
		}
		c.ok(swapping(n, store.Swap{Key: "head", Version: uint64(i)}), counting(n, store.Add{Key: "head", N: 1, Max: 9}),
			requiring(n, store.Require{Key: "head", Version: uint64(i + 1)}), revoking(n, lineage.Cut, subject("alice")))
		c.expect(c.last().Before.Equal(at(102).Add(leeway)), "with the clock at %d s, Before is %v; want %v", n, c.last().Before, at(102).Add(leeway))
		c.expect(gone(c.head("k")), "with the clock at %d s, a head is back that was forgotten", n)
	}
	c.ok(expiring(1, "new", 0, at(103)))
	c.expect(c.head("new").Version == 1, "a head was forgotten before its Expires")
	c.ok(expiring(1, "stillborn", 0, at(101)))
	c.expect(gone(c.head("stillborn")), "a head is there that had expired, by the store time, when a clock that is behind wrote it")
}

func clockAhead(c *check) {
	c.ok(adding(1, c.record(issuer, 1)), expiring(1, "k", 0, at(1000)))
	jump := txAt(0)
	jump.Time = far[len(far)-1]
	c.ok(jump)
	c.expect(gone(c.head("k")), "a head that has expired is still there")
	c.refused(store.ErrBehind, adding(2, c.record(issuer, 2)))
	c.ok(revoking(2, lineage.Block, subject("alice")), swapping(2, store.Swap{Key: "head"}))
	c.dead(2, at(1_000_000), subject("alice"))
	c.expect(c.last().Before.After(jump.Time), "Before is %v, and the store time %v", c.last().Before, jump.Time)
	c.ok(in(otherIssuer, adding(2, c.record(otherIssuer, 2)))) // has a time of its own
}

func nanoseconds(c *check) {
	now := at(100).Add(123456789)
	tx := expiring(0, "k", 0, now)
	tx.Time = now
	c.ok(tx)
	late := adding(0, c.record(issuer, 1))
	late.Time = now.Add(-leeway - 1)
	c.refused(store.ErrBehind, late)
	late.Time = now.Add(-leeway)
	c.ok(late)
	c.expect(c.head("k").Version == 1, "a head was forgotten at the moment of its Expires")
	c.conflict("k", expiring(1, "k", 0, now))
	tx = txAt(0)
	tx.Time = now.Add(1)
	c.ok(tx)
	c.expect(gone(c.head("k")), "a head is there a nanosecond after its Expires")
	late = adding(0, c.record(issuer, 2))
	late.Time = now.Add(-leeway)
	c.refused(store.ErrBehind, late)
}

func scanFar(c *check) {
	var all []lineage.Record
	for _, moment := range far[1 : len(far)-1] {
		for range 2 {
			r, err := seal(lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer}, moment, []lineage.Selector{subject("alice")})
			c.expect(err == nil, "storetest: %v", err)
			all = append(all, r)
		}
	}
	tx := adding(1, slices.Clone(all)...)
	slices.Reverse(tx.Records)
	tx.Leeway = 0
	c.ok(tx)
	slices.SortFunc(all, inOrder)
	c.same(c.scan(issuer, subject("alice"), store.Position{}), all, "the scan")
	for _, moment := range far {
		for _, since := range []time.Time{moment, moment.Add(1), moment.Add(-1), moment.Add(time.Millisecond)} {
			if !since.IsZero() {
				c.same(c.scan(issuer, subject("alice"), store.Position{Since: since}), notBefore(all, since), "the scan since "+since.String())
			}
		}
	}
	for i, r := range all {
		c.same(c.scan(issuer, subject("alice"), store.Position{After: r.ID()}), all[i+1:], "the scan behind a record of "+r.IssuedAt.String())
	}
}
