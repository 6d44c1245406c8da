package storetest

import (
	"crypto/sha256"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var recordCases = []testCase{
	{"Records/RoundTrip", "Get returns the exact bytes of each record, one entry per id, in the order asked for", roundTrip},
	{"Records/Missing", "an id that is not there yields an Entry whose Record has the zero ID, and no error", missing},
	{"Records/Erased", "an erased record keeps its address and its envelope", erased},
	{"Records/Repeat", "a Tx whose Records are all there already, byte for byte, succeeds and changes nothing", repeatCommit},
	{"Records/RepeatAfterRevocation", "the repeat of a commit succeeds whatever has been committed since", repeatLate},
	{"Records/OtherBytes", "a record whose id is there with other bytes is ErrInvalid", otherBytes},
	{"Records/Foreign", "a record of another issuer, or one without an id, is ErrInvalid", foreignRecord},
	{"Records/EntryMarks", "an Entry has the marks and heads of all of its record's selectors, its ancestors' among them", entryMarks},
}

func roundTrip(c *check) {
	root := c.record(issuer, 1, subject("alice"))
	child, task := c.child(root, 2), c.task(3)
	c.ok(adding(3, root, child), adding(3, task))
	unknown := lineage.ID(sha256.Sum256([]byte("unknown")))
	want := []lineage.Record{child, {}, root, task, child}
	for i, e := range c.get(issuer, child.ID(), unknown, root.ID(), task.ID(), child.ID()) {
		c.expect(e.Record.Equal(want[i]), "entry %d is not the record that was committed", i)
		if want[i].Body == nil {
			continue
		}
		c.expect(e.Record.Body != nil, "entry %d has lost its body", i)
		c.expect(slices.Equal(e.Record.Selectors(), want[i].Selectors()), "entry %d has other selectors", i)
		c.expect(len(e.Marks) == 0 && len(e.Heads) == 0, "entry %d has marks or heads that nothing wrote", i)
	}
}

func missing(c *check) {
	unknown := lineage.ID(sha256.Sum256([]byte("unknown")))
	for range 2 { // in an empty store, and in one that has something
		for _, iss := range []string{issuer, "https://other.example", ""} {
			for _, e := range c.get(iss, unknown, lineage.ID{}) {
				c.expect(e.Record.ID().IsZero() && len(e.Marks)+len(e.Heads) == 0, "an unknown id of %q was found", iss)
			}
		}
		c.expect(len(c.get(issuer)) == 0, "Get of no ids returned entries")
		c.ok(adding(1, c.record(issuer, 1)))
	}
}

func erased(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r.Erase()))
	got := c.get(issuer, r.ID())[0].Record
	c.expect(got.ID() == r.ID() && got.Equal(r.Erase()), "the erased record was not read back")
	c.expect(got.Body == nil && got.RawBody() == nil, "the erased record has a body")
}

// everything is a Tx that writes in every way there is.
func everything(c *check, n int, prefix string) store.Tx {
	c.Helper()
	tx := adding(n, c.record(issuer, n, subject(prefix)))
	tx.Swaps = []store.Swap{{Key: prefix + "swap", State: "s", Value: []byte("v")}}
	tx.Adds = []store.Add{{Key: prefix + "add", N: 1, Max: 10}}
	tx.Revocations = []lineage.Revocation{{Selector: subject(prefix), At: at(n)}}
	return tx
}

func repeatCommit(c *check) {
	tx := everything(c, 1, "a")
	c.ok(tx)
	c.ok(tx)
	c.ok(tx, tx)
	h := c.heads(issuer, "aswap", "aadd")
	c.expect(h[0].Version == 1, "the swap of a repeated commit was applied %d times", h[0].Version)
	c.expect(h[1].Count == 1, "the add of a repeated commit was applied %d times", h[1].Count)
	c.expect(len(c.feed(issuer, 0)) == 1, "the revocation of a repeated commit was applied again")
	c.expect(len(c.scan(issuer, subject("a"), store.Position{})) == 1, "the record of a repeated commit is there twice")

	both := everything(c, 2, "b")
	both.Records = append(both.Records, tx.Records...)
	c.ok(both)
	c.expect(c.head("bswap").Version == 1, "a commit was taken for a repeat although one of its records was new")
}

func repeatLate(c *check) {
	tx := adding(1, c.record(issuer, 1, subject("alice")))
	tx.Swaps = []store.Swap{{Key: "k", State: "one"}}
	tx.Requires = []store.Require{{Key: "absent"}}
	tx.Unrevoked = []store.Unrevoked{{Selectors: []lineage.Selector{subject("alice")}, Since: at(1)}}
	c.ok(tx)
	c.ok(revoking(500, lineage.Block, subject("alice")), swapping(500,
		store.Swap{Key: "k", Version: 1, State: "two"}, store.Swap{Key: "absent", State: "there"}))
	c.ok(tx)
	h := c.head("k")
	c.expect(h.Version == 2 && h.State == "two", "the repeat changed the head: version %d, state %q", h.Version, h.State)
}

func otherBytes(c *check) {
	r := c.record(issuer, 1)
	c.ok(adding(1, r))
	tx := everything(c, 2, "x")
	tx.Records = append(tx.Records, r.Erase())
	c.refused(store.ErrInvalid, tx)
	c.expect(c.has(r), "the record that was there is gone")
	c.nothingOf(tx)
}

func foreignRecord(c *check) {
	foreign := c.record("https://other.example", 1)
	for name, r := range map[string]lineage.Record{"foreign": foreign, "zero": {}} {
		tx := everything(c, 1, name)
		tx.Records = append(tx.Records, r)
		c.refused(store.ErrInvalid, tx)
		c.nothingOf(tx)
	}
	c.expect(!c.has(foreign), "a record entered an issuer through the transaction of another")
}

func entryMarks(c *check) {
	task := c.task(1, subject("alice"))
	child := c.child(task, 2, subject("bob"))
	grandchild := c.child(child, 3)
	taskKey := lineage.Selector{Kind: lineage.SelectTask, Value: task.ID().String()}
	childKey := lineage.Selector{Kind: lineage.SelectToken, Value: child.ID().String()}
	c.ok(adding(3, task, child, grandchild), swapping(3, store.Swap{Key: taskKey.String(), State: "active", Value: []byte("v")},
		store.Swap{Key: "unrelated", State: "active"}), counting(3, store.Add{Key: subject("bob").String(), N: 2, Max: 9}))
	c.ok(revoking(4, lineage.Cut, childKey, subject("alice"), subject("carol")))

	want := map[lineage.ID][]lineage.Selector{
		task.ID():       {subject("alice")},
		child.ID():      {childKey, subject("alice")},
		grandchild.ID(): {childKey, subject("alice")},
	}
	for _, e := range c.get(issuer, task.ID(), child.ID(), grandchild.ID()) {
		var got []lineage.Selector
		for _, m := range e.Marks {
			got = append(got, m.Selector)
			c.expect(m == c.mark(m.Selector), "Get and Revoked disagree about %v", m.Selector)
		}
		id := e.Record.ID()
		c.expect(slices.Equal(lineage.Union(got), lineage.Union(want[id])), "the marks are those of %v; want %v", got, want[id])
		heads := map[string]store.Head{}
		for _, h := range e.Heads {
			heads[h.Key] = h
		}
		h := heads[taskKey.String()]
		c.expect(h.State == "active" && string(h.Value) == "v" && h.Version == 1, "the head of the record's task is not in its entry")
		_, counted := heads[subject("bob").String()]
		c.expect(counted == (id != task.ID()) && len(heads) == len(e.Heads), "the entry's heads are not those of its selectors")
		_, unrelated := heads["unrelated"]
		c.expect(!unrelated, "the entry has a head that is none of its selectors'")
	}
}
