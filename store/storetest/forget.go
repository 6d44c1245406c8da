package storetest

import (
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var forgetCases = []testCase{
	{"Forget/Records", "Forget takes out the records that it names, with their places in every index, and nothing else", forgetRecords},
	{"Forget/NotOver", "a record is kept until it has expired, or one without an end was issued, before the store time less Leeway", forgetNotOver},
	{"Forget/Bodies", "an erased record keeps its envelope, and is found by what its envelope implies alone", forgetBodies},
	{"Forget/StaysErased", "a body that was erased does not come back by a Tx that has it", staysErased},
	{"Forget/Heads", "a head is forgotten if it has the version that is named, else the Removal is ErrConflict", forgetHeads},
	{"Forget/Marks", "a mark is forgotten only as it was named, if it does not block and cuts until before the limit", forgetMarks},
	{"Forget/Floor", "the mark of the floor rises to what the forgotten ones have cut, and never falls", forgetFloor},
	{"Forget/Feed", "the feed begins behind what was forgotten; sequence numbers go on; positions before are ErrGone, but 0", forgetFeed},
	{"Forget/WholeFeed", "a feed of which everything was forgotten is empty, and goes on with the next number", forgetWholeFeed},
	{"Forget/Unused", "a Removal under the condition that a selector is unused is ErrConflict while another record carries it", forgetUnused},
	{"Forget/Atomic", "a Removal that is refused takes out nothing", forgetAtomic},
	{"Forget/Repeated", "what is not there is passed over", forgetRepeated},
	{"Forget/Invalid", "a Removal without an issuer, or with a key that is too long, is ErrInvalid", forgetInvalid},
	{"Forget/Isolated", "Forget touches one issuer", forgetIsolated},
	{"Forget/Order", "Records yields every record, erased ones too, ordered and positioned like Scan", recordsInOrder},
	{"Forget/Slices", "what is taken out slice by slice is gone in the end, and everything else is byte for byte as it was", forgetSlices},
	{"Forget/WhileScanned", "a Scan goes on where records were forgotten under it", forgetWhileScanned},
	{"Forget/WhileCommitting", "Forget and Commit each happen at one moment", forgetWhileCommitting},
}

// later than everything that the cases make has expired.
const afterAll = 100_000

func (c *check) forgetter() store.Forgetter {
	c.Helper()
	f, ok := c.store.(store.Forgetter)
	c.expect(ok, "Options.Forgets is declared, and the store is no store.Forgetter")
	return f
}

func removal(records ...lineage.Record) store.Removal {
	r := store.Removal{Issuer: issuer, Leeway: leeway}
	for _, rec := range records {
		r.Records = append(r.Records, rec.ID())
	}
	return r
}

func erasing(records ...lineage.Record) store.Removal {
	r := removal(records...)
	r.Records, r.Bodies = nil, r.Records
	return r
}

func (c *check) forget(r store.Removal) {
	c.Helper()
	err := c.forgetter().Forget(c.Context(), r)
	c.expect(err == nil, "Forget: %v", err)
}

// keeps calls Forget, which must fail with target alone.
func (c *check) keeps(target error, r store.Removal) {
	c.Helper()
	err := c.forgetter().Forget(c.Context(), r)
	c.expect(err != nil, "something was taken out; want %q", target)
	for _, known := range []error{store.ErrConflict, store.ErrInvalid} {
		c.expect(errors.Is(err, known) == (known == target), "refused with %q; want %q and no other", err, target)
	}
}

func (c *check) every(issuer string, from store.Position) (out []lineage.Record) {
	c.Helper()
	for r, err := range c.forgetter().Records(c.Context(), issuer, from) {
		c.expect(err == nil, "Records: %v", err)
		out = append(out, r)
	}
	return out
}

// exactly requires that the records are there, in this order, and no other.
func (c *check) exactly(want ...lineage.Record) {
	c.Helper()
	slices.SortFunc(want, byPlace)
	c.same(c.every(issuer, store.Position{}), want, "all records")
}

func byPlace(a, b lineage.Record) int {
	if n := a.IssuedAt.Compare(b.IssuedAt); n != 0 {
		return n
	}
	x, y := a.ID(), b.ID()
	return slices.Compare(x[:], y[:])
}

func tokenOf(r lineage.Record) lineage.Selector {
	return lineage.Selector{Kind: lineage.SelectToken, Value: r.ID().String()}
}

func forgetRecords(c *check) {
	root := c.record(issuer, 1, subject("alice"))
	child := c.child(root, 2, subject("tool"))
	other := c.record(issuer, 2, subject("alice"))
	c.ok(adding(2, root, child, other), counting(2, store.Add{Key: tokenOf(child).String(), N: 1, Max: 9}))
	c.ok(revoking(3, lineage.Cut, tokenOf(root)), txAt(afterAll))
	mark := c.mark(tokenOf(root))
	c.forget(removal(root))
	c.expect(c.has(child) && !c.has(root), "what was derived from a record that was forgotten is not what it was")
	c.forget(removal(child, root))
	c.expect(!c.has(root) && !c.has(child), "a record that was forgotten is still there")
	c.expect(c.has(other), "a record is gone that was not named")
	c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{other}, "a scan")
	for _, sel := range []lineage.Selector{subject("tool"), tokenOf(root), tokenOf(child)} {
		c.same(c.scan(issuer, sel, store.Position{}), nil, "a scan by "+sel.Kind+" of what was forgotten")
	}
	c.exactly(other)
	c.expect(c.head(tokenOf(child).String()).Count == 1 && c.mark(tokenOf(root)) == mark, "a head or a mark went with a record")
	for _, err := range c.store.Scan(c.Context(), issuer, subject("alice"), store.Position{After: root.ID()}) {
		c.expect(errors.Is(err, store.ErrInvalid), "a scan from behind a record that was forgotten: %v", err)
	}
	c.ok(adding(afterAll, root)) // as if it had never been
	c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{root, other}, "a scan for a record that was put anew")
}

func forgetNotOver(c *check) {
	r := c.record(issuer, 1, subject("alice")) // expires at 3601
	denial, err := seal(lineage.Envelope{Kind: lineage.KindDenial, Issuer: issuer}, at(3601), []lineage.Selector{subject("alice")})
	c.expect(err == nil && !denial.ExpiresAt.IsZero(), "storetest: %v", err)
	endless := denial.Envelope
	endless.ExpiresAt = time.Time{}
	if denial, err = lineage.Seal(endless, *denial.Body); err != nil {
		c.Fatalf("storetest: %v", err)
	}
	c.ok(adding(1, r), adding(3601, denial))
	edge := txAt(3603) // less Leeway, it is the moment itself
	c.ok(edge)
	for _, rec := range []lineage.Record{r, denial} {
		c.keeps(store.ErrInvalid, removal(rec))
		c.expect(c.has(rec), "a record was forgotten that was refused")
	}
	edge.Time = edge.Time.Add(1)
	c.ok(edge)
	c.forget(removal(r, denial))
	c.expect(!c.has(r) && !c.has(denial), "a record that is over is still there")
}

func forgetBodies(c *check) {
	task := c.task(1, subject("alice"))
	child := c.child(task, 2, subject("tool"))
	c.ok(adding(2, task, child), revoking(3, lineage.Cut, subject("alice"), tokenOf(task)))
	c.ok(swapping(3, store.Swap{Key: tokenOf(task).String()}, store.Swap{Key: subject("alice").String()}))
	c.forget(erasing(task))
	for _, h := range c.heads(issuer, tokenOf(task).String(), subject("alice").String()) {
		c.expect(h.Version == 1, "a head went with a body")
	}
	got := c.get(issuer, task.ID(), child.ID())
	c.expect(got[0].Record.Equal(task.Erase()), "the record is not what is left without its body")
	c.expect(len(got[0].Marks) == 1 && got[0].Marks[0].Selector == tokenOf(task), "the marks of an erased record are %v", got[0].Marks)
	c.expect(got[1].Record.Equal(child) && len(got[1].Marks) == 2, "the record below has changed")
	c.same(c.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{child}, "a scan by what only the body said")
	c.same(c.scan(issuer, tokenOf(task), store.Position{}), []lineage.Record{task.Erase(), child}, "a scan by what the envelope implies")
	c.exactly(task.Erase(), child)
	if err := lineage.VerifyChain(child.ID(), []lineage.Record{got[0].Record, child}); err != nil {
		c.expect(errors.Is(err, lineage.ErrChain), "the chain over an erased record: %v", err) // the kit's child outlives its parent
	}
	c.forget(erasing(child, task))
	c.same(c.scan(issuer, subject("tool"), store.Position{}), nil, "a scan for whom nothing is left of")
	c.ok(txAt(afterAll))
	c.forget(removal(task, child))
	c.exactly()
	c.same(c.scan(issuer, tokenOf(task), store.Position{}), nil, "a scan for what was erased and forgotten")
}

func staysErased(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r))
	c.forget(erasing(r))
	c.ok(adding(1, r)) // a repeat
	fresh := c.record(issuer, 2, subject("bob"))
	tx := adding(2, r, fresh)
	tx.Swaps = []store.Swap{{Key: "k", State: "s"}}
	c.ok(tx)
	c.expect(c.has(fresh) && c.head("k").Version == 1, "a commit with a record that was erased did nothing")
	c.expect(c.get(issuer, r.ID())[0].Record.Body == nil, "a body that was erased is there again")
	c.same(c.scan(issuer, subject("alice"), store.Position{}), nil, "a scan by what only the body said")
}
