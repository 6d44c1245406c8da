package storetest

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
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
	c.forget(erasing(task))
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

func forgetHeads(c *check) {
	c.ok(swapping(1, store.Swap{Key: "gone", State: "s", Value: []byte("v"), Expires: at(500)}, store.Swap{Key: "stays"}),
		counting(1, store.Add{Key: "gone", N: 2, Max: 9}, store.Add{Key: "count", N: 2, Max: 9}))
	r := removal()
	r.Heads = []store.HeadVersion{{Key: "gone", Version: 2}}
	c.keeps(store.ErrConflict, r)
	r.Heads = []store.HeadVersion{{Key: "gone", Version: 1}, {Key: "count"}, {Key: "absent"}}
	c.forget(r)
	for _, h := range c.heads(issuer, "gone", "count", "absent") {
		c.expect(gone(h), "a head that was forgotten is %+v", h)
	}
	c.expect(c.head("stays").Version == 1, "a head is gone that was not named")
	c.ok(swapping(2, store.Swap{Key: "gone", State: "anew"}))
	c.ok(txAt(600))
	c.expect(c.head("gone").State == "anew", "a head was forgotten by an Expires that was forgotten with the one before it")
}

func forgetMarks(c *check) {
	key := lineage.Selector{Kind: lineage.SelectKey, Value: "kid"}
	c.ok(revoking(1, lineage.Cut, subject("alice"), subject("bob"), key), revoking(1, lineage.Block, subject("carol")), txAt(100))
	before := c.marks(issuer, subject("alice"), subject("bob"), subject("carol"), key)
	c.ok(revoking(101, lineage.Cut, subject("alice")))
	naming := func(sels ...lineage.Selector) store.Removal {
		r := removal()
		for _, sel := range sels {
			r.Marks = append(r.Marks, before[sel])
		}
		return r
	}
	c.keeps(store.ErrConflict, naming(subject("bob"), subject("alice"))) // it has risen since
	c.keeps(store.ErrInvalid, naming(subject("carol")))
	r := removal()
	r.Marks = []lineage.Mark{c.mark(subject("alice"))} // cuts until 103
	c.ok(txAt(105))
	c.keeps(store.ErrInvalid, r)
	c.expect(len(c.marks(issuer, subject("alice"), subject("bob"), subject("carol"), key)) == 4, "a mark was forgotten that was refused")
	c.forget(naming(subject("bob"), key))
	c.expect(len(c.marks(issuer, subject("bob"), key)) == 0, "a mark that was forgotten is still there")
	c.expect(len(c.marks(issuer, subject("alice"), subject("carol"))) == 2, "a mark is gone that was not named")
	c.ok(unrevoked(105, at(1), subject("bob")), txAt(106))
	c.forget(r)
	c.dead(106, at(1), subject("carol"))
}

func forgetFloor(c *check) {
	all := lineage.Selector{Kind: lineage.SelectPath, Value: "/"}
	c.ok(revoking(1, lineage.Cut, subject("alice")), revoking(10, lineage.Cut, subject("bob")), txAt(100))
	for _, sel := range []lineage.Selector{subject("bob"), subject("alice")} { // the second is older
		r := removal()
		r.Marks, r.Floor = []lineage.Mark{c.mark(sel)}, all
		c.forget(r)
		c.expect(c.mark(all).Before.Equal(at(12)), "the floor is at %v; want the latest that was cut", c.mark(all).Before)
	}
	c.dead(100, at(11), all)
	c.ok(unrevoked(100, at(12), all))
	c.ok(revoking(200, lineage.Block, all))
	c.expect(c.mark(all).Blocked && c.mark(all).Before.Equal(at(202)), "the floor is %+v after a block", c.mark(all))
	c.expect(len(c.feed(issuer, 0)) == 3, "the floor is an entry of the feed")
}

// gapless requires that the feed from a position on has exactly the entries from one number to another.
func (c *check) gapless(after, from, to uint64) {
	c.Helper()
	got := c.feed(issuer, after)
	c.expect(uint64(len(got)) == to+1-from, "the feed after %d has %d entries; want those from %d to %d", after, len(got), from, to)
	for i, r := range got {
		c.expect(r.Seq == from+uint64(i), "entry %d of the feed after %d has the number %d", i, after, r.Seq)
	}
}

func (c *check) goneAfter(after uint64) {
	c.Helper()
	n := 0
	for _, err := range c.store.Feed(c.Context(), issuer, after) {
		c.expect(errors.Is(err, store.ErrGone), "Feed after %d: %v; want ErrGone", after, err)
		n++
	}
	c.expect(n == 1, "Feed after %d yielded %d times; want ErrGone once", after, n)
}

func forgetFeed(c *check) {
	for i := range 600 {
		c.ok(revoking(i, lineage.Cut, subject(fmt.Sprint("s", i))))
	}
	c.ok(txAt(500 + 5)) // as far as entry 500 and a little further
	r := removal()
	r.Feed = 601
	c.keeps(store.ErrInvalid, r)
	r.Feed = 599 // it cuts until 600
	c.keeps(store.ErrInvalid, r)
	c.gapless(0, 1, 600)
	r.Feed = 400
	c.forget(r)
	for range 2 {
		c.gapless(0, 401, 600)
		c.gapless(400, 401, 600)
		c.gapless(500, 501, 600)
		c.gapless(600, 601, 600)
		for _, after := range []uint64{1, 399, 601} {
			c.goneAfter(after)
		}
		c.forget(r) // is passed over
	}
	c.expect(c.mark(subject("s3")).Seq == 4, "a mark went with an entry of the feed")
	c.ok(revoking(601, lineage.Cut, subject("bob")))
	c.gapless(600, 601, 601)
}

func forgetWholeFeed(c *check) {
	c.ok(revoking(1, lineage.Cut, subject("a"), subject("b")), txAt(100))
	r := removal()
	r.Feed = 2
	c.forget(r)
	c.gapless(0, 3, 2)
	c.gapless(2, 3, 2)
	c.goneAfter(1)
	c.goneAfter(3)
	c.ok(revoking(101, lineage.Cut, subject("a")))
	c.gapless(0, 3, 3)
	c.gapless(2, 3, 3)
	c.goneAfter(1)
}

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

func recordsInOrder(c *check) {
	var all []lineage.Record
	for i := range 600 {
		r := c.record(issuer, i/3-50, subject(fmt.Sprint("s", i%7)))
		if i%5 == 0 {
			r = r.Erase()
		}
		all = append(all, r)
	}
	for part := range slices.Chunk(all, 50) {
		tx := adding(1000, part...)
		tx.Leeway = time.Hour
		c.ok(tx)
	}
	c.exactly(slices.Clone(all)...)
	slices.SortFunc(all, byPlace)
	for _, n := range []int{0, 1, 255, 256, 257, 599} {
		c.same(c.every(issuer, store.Position{After: all[n].ID()}), all[n+1:], fmt.Sprint("all records behind number ", n))
		since := slices.IndexFunc(all, func(r lineage.Record) bool { return !r.IssuedAt.Before(all[n].IssuedAt) })
		c.same(c.every(issuer, store.Position{Since: all[n].IssuedAt}), all[since:], fmt.Sprint("all records since number ", n))
	}
	for _, err := range c.forgetter().Records(c.Context(), issuer, store.Position{After: c.record(issuer, 1).ID()}) {
		c.expect(errors.Is(err, store.ErrInvalid), "all records behind an unknown one: %v", err)
	}
}

func forgetSlices(c *check) {
	const n, keep = 700, 150
	var all []lineage.Record
	for i := range n {
		all = append(all, c.record(issuer, i, subject("alice"), subject(fmt.Sprint("s", i%11))))
	}
	for part := range slices.Chunk(all, 35) {
		c.ok(adding(n, part...))
	}
	c.ok(txAt(afterAll), revoking(afterAll, lineage.Cut, subject("alice")))
	for part := range slices.Chunk(all[:n-keep], 64) {
		c.forget(removal(part...))
		c.same(c.every(issuer, store.Position{})[:1], []lineage.Record{all[slices.IndexFunc(all, c.has)]}, "the oldest record between slices")
	}
	left := all[n-keep:]
	c.exactly(slices.Clone(left)...)
	c.same(c.scan(issuer, subject("alice"), store.Position{}), left, "a scan of what was kept")
	for i := range 11 {
		var want []lineage.Record
		for j, r := range left {
			if (n-keep+j)%11 == i {
				want = append(want, r)
			}
		}
		c.same(c.scan(issuer, subject(fmt.Sprint("s", i)), store.Position{}), want, "a scan of what was kept")
	}
	more := c.record(issuer, 3, subject("alice")) // before all that was kept
	tx := adding(afterAll, more)
	c.ok(tx)
	c.same(c.scan(issuer, subject("alice"), store.Position{}), append([]lineage.Record{more}, left...), "a scan after a record came late")
}

func forgetWhileScanned(c *check) {
	const n = 600
	var all []lineage.Record
	for i := range n {
		all = append(all, c.record(issuer, i, subject("alice")))
	}
	for part := range slices.Chunk(all, 50) {
		c.ok(adding(n, part...))
	}
	c.ok(txAt(afterAll))
	scans := map[string]iter.Seq2[lineage.Record, error]{
		"Scan":    c.store.Scan(c.Context(), issuer, subject("alice"), store.Position{}),
		"Records": c.forgetter().Records(c.Context(), issuer, store.Position{}),
	}
	first := 0
	for name, scan := range scans {
		seen := 0
		for r, err := range scan {
			c.expect(err == nil, "%s over what is forgotten: %v", name, err)
			if seen == 10 {
				c.forget(removal(all[first : first+250]...))
				first += 250
			}
			seen++
			if r.ID() == all[n-1].ID() {
				seen += n
			}
		}
		c.expect(seen > n, "%s did not come to the last record", name)
	}
}

func forgetWhileCommitting(c *check) {
	var old []lineage.Record
	for i := range 200 {
		old = append(old, c.record(issuer, i%20, subject("old")))
	}
	c.ok(adding(20, old...), txAt(afterAll))
	var fresh []lineage.Record
	for i := range 60 {
		fresh = append(fresh, c.record(issuer, afterAll+i, subject("fresh")))
	}
	errs := make(chan error, 200)
	var wait sync.WaitGroup
	for _, r := range fresh {
		wait.Go(func() {
			tx := adding(afterAll, r)
			tx.Adds = []store.Add{{Key: "n", N: 1, Max: 1000}}
			errs <- c.store.Commit(c.Context(), []store.Tx{tx})[0]
		})
	}
	for part := range slices.Chunk(old, 10) {
		wait.Go(func() { errs <- c.forgetter().Forget(c.Context(), removal(part...)) })
	}
	wait.Wait()
	close(errs)
	for err := range errs {
		c.expect(err == nil, "a Commit or a Forget among others: %v", err)
	}
	c.exactly(slices.Clone(fresh)...)
	c.expect(c.head("n").Count == uint64(len(fresh)), "%d of %d commits were counted", c.head("n").Count, len(fresh))
	slices.SortFunc(fresh, byPlace)
	c.same(c.scan(issuer, subject("fresh"), store.Position{}), fresh, "a scan of what was committed meanwhile")
}

// forgottenStays is a case of RunDurable, for stores that are a store.Forgetter.
func forgottenStays(d *durable) {
	if _, ok := d.store.(store.Forgetter); !ok {
		d.Skip("the store keeps everything")
	}
	over, erased, live := d.record(issuer, 1, subject("alice")), d.record(issuer, 2, subject("alice")), d.record(issuer, 9000, subject("bob"))
	d.ok(adding(2, over, erased), swapping(2, store.Swap{Key: "k"}), revoking(2, lineage.Cut, subject("a"), subject("b")))
	d.ok(revoking(9000, lineage.Cut, subject("c")), adding(9000, live))
	r := removal(over)
	r.Bodies = []lineage.ID{erased.ID()}
	r.Heads, r.Marks, r.Feed = []store.HeadVersion{{Key: "k", Version: 1}}, []lineage.Mark{d.mark(subject("a"))}, 2
	d.forget(r)
	for range 2 {
		d.restart()
		d.exactly(erased.Erase(), live)
		d.same(d.scan(issuer, subject("alice"), store.Position{}), nil, "a scan after a restart")
		d.expect(gone(d.head("k")) && len(d.marks(issuer, subject("a"))) == 0, "a head or a mark is back after a restart")
		d.expect(len(d.marks(issuer, subject("b"))) == 1, "a mark is gone after a restart that was not named")
		d.gapless(0, 3, 3)
		d.goneAfter(1)
	}
	d.forget(removal(erased))
	d.restart()
	d.exactly(live)
}

func (s *turns) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.reader().(store.Forgetter).Records(ctx, issuer, from)
}

func (s *turns) Forget(ctx context.Context, r store.Removal) error {
	return s.of[(s.commits.Add(1)+1)%2].(store.Forgetter).Forget(ctx, r)
}
