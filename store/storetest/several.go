package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var severalCases = []testCase{
	{"Several/Conditions", "every condition of a Tx counts, wherever it stands among the others, each selector as of its own Since", everyCondition},
	{"Several/Repeat", "a Tx of which not all Records are there is no repeat, whichever of them is", repeatInPart},
	{"Several/Record", "a record that a Tx names twice is there once, and with other bytes it is ErrInvalid", sameRecord},
	{"Several/Reads", "a read answers for all that it names, however many, and as often as they are named", manyReads},
	{"Several/Marks", "an Entry has every mark and every head of its record's selectors, as Revoked and Heads have them", manyMarks},
	{"Several/Places", "a scan passes over none of the records of one moment, however many these are", oneMoment},
	{"Several/Revocations", "each revocation of a Tx is an entry of its own, also of the same selector", sameRevocation},
	{"Several/Large", "a record as large as one can be, and a head's value of a MiB, are kept whole", largeValues},
	{"Several/Background", "a Tx marked Background is judged and applied like any other", background},
}

// everyCondition breaks each of the conditions of one Tx in turn.
func everyCondition(c *check) {
	sel := func(i int) lineage.Selector { return subject(fmt.Sprint("s", i)) }
	key := func(i int) string { return fmt.Sprint("k", i) }
	tx := adding(20, c.record(issuer, 20, subject("new")))
	for i := range 4 {
		c.ok(swapping(1, store.Swap{Key: key(i), State: "on"}), counting(1, store.Add{Key: key(i), N: 5, Max: 9}))
		tx.Requires = append(tx.Requires, store.Require{Key: key(i), State: "on", AnyVersion: i%2 == 1, Version: uint64(1 - i%2)})
		tx.Swaps = append(tx.Swaps, store.Swap{Key: "n" + key(i), State: "new"})
		tx.Adds = append(tx.Adds, store.Add{Key: "n" + key(i), N: 1, Max: 1})
		tx.Unrevoked = append(tx.Unrevoked, store.Unrevoked{
			Selectors: []lineage.Selector{sel(2 * i), sel(2*i + 1)}, Since: at(10 * (i + 1)),
		})
	}
	applied := func() bool {
		heads := c.heads(issuer, "nk0", "nk1", "nk2", "nk3")
		whole := slices.ContainsFunc(heads, func(h store.Head) bool { return h.Version > 0 || h.Count > 0 })
		c.expect(whole == c.has(tx.Records[0]), "a part of a transaction was applied: %+v", heads)
		return whole
	}
	for i := range 4 {
		wrong := tx
		wrong.Requires = slices.Clone(tx.Requires)
		wrong.Requires[i].State = "off"
		c.conflict(key(i), wrong)
		wrong = tx
		wrong.Swaps = slices.Clone(tx.Swaps)
		wrong.Swaps[i].Version = 1
		c.conflict(tx.Swaps[i].Key, wrong)
		wrong = tx
		wrong.Adds = slices.Clone(tx.Adds)
		wrong.Adds[i].N = 2
		c.conflict(tx.Adds[i].Key, wrong)
		c.expect(!applied(), "a transaction was applied of which a condition did not hold")
	}
	for i := range 8 { // kills what was issued before 5, 15, 25, 35: of each pair one moment too early for its Since, then later
		cut := revoking(1, lineage.Cut, sel(i))
		cut.Revocations[0].At, cut.Leeway = at(10*(i/2)+5), 0
		c.ok(cut)
		c.refusedBy(sel(i), unrevoked(20, at(10*(i/2)+4), sel(7-i), sel(i)))
	}
	for i := range 8 {
		wrong := tx
		wrong.Unrevoked = slices.Clone(tx.Unrevoked)
		wrong.Unrevoked[i/2].Since = at(10*(i/2) + 4)
		wrong.Unrevoked[i/2].Selectors = []lineage.Selector{subject("nobody"), sel(i)}
		c.refusedBy(sel(i), wrong)
	}
	c.expect(!applied(), "a transaction was applied of which a condition did not hold")
	c.ok(tx)
	c.expect(applied(), "a transaction was not applied of which every condition holds")
}

// refusedBy commits tx, which the mark of the selector must refuse.
func (c *check) refusedBy(sel lineage.Selector, tx store.Tx) {
	c.Helper()
	var cf *store.Conflict
	err := c.refused(store.ErrConflict, tx)
	c.expect(errors.As(err, &cf) && cf.Mark.Selector == sel, "the conflict is %#v; want one with the mark of %v", err, sel)
}

func repeatInPart(c *check) {
	known := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, known))
	for name, place := range map[string]int{"first": 0, "middle": 1, "last": 2} {
		fresh := []lineage.Record{c.record(issuer, 2, subject(name)), c.record(issuer, 2, subject(name))}
		tx := adding(2, slices.Insert(slices.Clone(fresh), place, known)...)
		tx.Swaps = []store.Swap{{Key: name, State: "set"}}
		c.ok(tx)
		c.expect(c.has(fresh[0]) && c.has(fresh[1]) && c.head(name).Version == 1, "nothing was applied where the %s record was there", name)
		tx.Time = at(500)
		c.ok(tx) // whatever its time is
		c.expect(c.head(name).Version == 1, "a repeat was applied")
	}
	c.ok(adding(1, c.record(issuer, 1))) // ErrBehind if a repeat had raised the store time
	c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{known}, "the scan")
}

func sameRecord(c *check) {
	one, two := c.record(issuer, 1, subject("alice")), c.record(issuer, 2, subject("alice"))
	c.ok(adding(2, one, two, one, one))
	c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{one, two}, "the scan")
	c.expect(c.has(one) && c.has(two), "a record is not there")
	three := c.record(issuer, 3, subject("alice"))
	c.refused(store.ErrInvalid, adding(3, three, three.Erase()))
	c.expect(!c.has(three), "a record of a refused transaction is there")
}

func manyReads(c *check) {
	const n = 1100
	var txs []store.Tx
	var ids []lineage.ID
	var keys []string
	var sels []lineage.Selector
	for i := range n {
		r := c.record(issuer, 1, subject(fmt.Sprint(i)))
		tx := adding(1, r)
		tx.Swaps = []store.Swap{{Key: fmt.Sprint("k", i), State: fmt.Sprint(i)}}
		tx.Revocations = []lineage.Revocation{{Selector: subject(fmt.Sprint(i)), At: at(1)}}
		txs, ids, keys, sels = append(txs, tx), append(ids, r.ID()), append(keys, tx.Swaps[0].Key), append(sels, subject(fmt.Sprint(i)))
	}
	c.ok(txs...)
	ids, keys = append(ids, ids[:2]...), append(keys, keys[:2]...)
	for i, e := range c.get(issuer, ids...) {
		c.expect(e.Record.ID() == ids[i] && len(e.Marks) == 1, "entry %d is not that of its record, with its mark", i)
	}
	for i, h := range c.heads(issuer, keys...) {
		c.expect(h.State == fmt.Sprint(i%n), "head %d has the state %q", i, h.State)
	}
	marks := c.marks(issuer, append(sels, sels[0])...)
	c.expect(len(marks) == n, "%d of %d selectors have a mark", len(marks), n)
}

func manyMarks(c *check) {
	var sels []lineage.Selector
	for i := range 24 {
		sels = append(sels, subject(fmt.Sprint(i)))
	}
	r := c.record(issuer, 1, sels...)
	c.ok(adding(1, r))
	for i, sel := range sels {
		action := lineage.Cut
		if i%3 == 0 {
			action = lineage.Block
		}
		c.ok(revoking(2, action, sel), swapping(2, store.Swap{Key: sel.String(), State: fmt.Sprint(i)}))
	}
	e := c.get(issuer, r.ID())[0]
	want := c.marks(issuer, sels...)
	c.expect(len(want) == len(sels) && len(e.Marks) == len(sels) && len(e.Heads) == len(sels),
		"the entry has %d marks and %d heads of %d", len(e.Marks), len(e.Heads), len(sels))
	for i, sel := range sels {
		c.expect(want[sel].Blocked == (i%3 == 0), "the mark of %v is %+v", sel, want[sel])
		c.expect(slices.Contains(e.Marks, want[sel]), "the entry has another mark of %v than Revoked", sel)
		at := slices.IndexFunc(e.Heads, func(h store.Head) bool { return h.Key == sel.String() })
		c.expect(at >= 0 && e.Heads[at].State == fmt.Sprint(i), "the entry lacks the head of %v", sel)
		c.same(c.scan(issuer, sel, store.Position{}), []lineage.Record{r}, "the scan by one of many selectors")
	}
}

func oneMoment(c *check) {
	const n = 1100
	var txs []store.Tx
	var want []lineage.Record
	for i := range n {
		r := c.record(issuer, 1+i/(n-50), subject("alice"))
		want, txs = append(want, r), append(txs, adding(2, r))
	}
	c.ok(txs...)
	slices.SortFunc(want, inOrder)
	c.same(c.scan(issuer, subject("alice"), store.Position{}), want, "the scan")
	c.same(c.scan(issuer, subject("alice"), store.Position{Since: at(1), After: want[n/2].ID()}), want[n/2+1:], "the scan from the middle")
}

func sameRevocation(c *check) {
	tx := revoking(1, lineage.Cut, subject("alice"), subject("alice"), subject("alice"))
	tx.Revocations[1].By, tx.Revocations[1].Reason = "Ops Ä", " by hand "
	c.ok(tx)
	got := c.feed(issuer, 0)
	c.expect(len(got) == 3, "the feed has %d entries of three", len(got))
	c.expect(got[1].By == "Ops Ä" && got[1].Reason == " by hand ", "an entry was changed: %+v", got[1])
	c.expect(c.mark(subject("alice")).Seq == 3, "the mark is of entry %d; want the last", c.mark(subject("alice")).Seq)
}

func largeValues(c *check) {
	env := lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: at(1), Since: at(1), ExpiresAt: at(3601)}
	body := lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "g", Code: strings.Repeat("x", 250<<10)}
	r, err := lineage.Seal(env, body)
	c.expect(err == nil, "storetest: %v", err)
	tx := adding(1, r)
	value := strings.Repeat("\x00\xffvalue\n", 1<<17)
	tx.Swaps = []store.Swap{{Key: "large", State: "s", Value: []byte(value)}}
	c.ok(tx)
	c.expect(c.has(r) && c.get(issuer, r.ID())[0].Record.Body != nil, "the record was not kept whole")
	c.expect(string(c.head("large").Value) == value, "the value has %d bytes; want %d", len(c.head("large").Value), len(value))
}

func background(c *check) {
	tx := everything(c, 1, "denied")
	tx.Background = true
	twice := tx
	twice.Records = nil
	c.expect(c.commit(tx)[0] == nil, "a transaction in the background was refused")
	c.expect(c.has(tx.Records[0]) && c.head("deniedswap").Version == 1 && c.head("deniedadd").Count == 1, "a transaction in the background was not applied")
	c.expect(len(c.feed(issuer, 0)) == 1, "its revocation is not in the feed")
	c.conflict("deniedswap", twice)
}
