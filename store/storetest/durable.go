package storetest

import (
	"testing"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// RunDurable checks that what was committed outlives the store that committed it. open opens the store that belongs to
// dir, an empty directory at first, and returns it with what closes it; an adapter that keeps no files can take dir as
// the name of a place of its own. No two are open at once.
func RunDurable(t *testing.T, open func(t *testing.T, dir string) (s store.Store, closeStore func())) {
	t.Helper()
	for _, tc := range durableCases {
		t.Run(tc.name, func(t *testing.T) {
			d := &durable{check: &check{T: t, rule: tc.rule}, open: open, dir: t.TempDir()}
			d.restart()
			defer func() { d.close() }()
			tc.run(d)
		})
	}
}

type durable struct {
	*check
	open  func(t *testing.T, dir string) (store.Store, func())
	dir   string
	close func()
}

func (d *durable) restart() {
	d.Helper()
	if d.close != nil {
		d.close()
	}
	d.store, d.close = d.open(d.T, d.dir)
}

var durableCases = []struct {
	name, rule string
	run        func(d *durable)
}{
	{"Durable/Everything", "a Commit that has returned nil is durable, in all it wrote", everythingStays},
	{"Durable/Refused", "whatever was refused before a restart is refused after it", refusedStays},
	{"Durable/Continues", "sequence numbers, versions and counts go on where they were", continues},
	{"Durable/Forgotten", "what was forgotten stays so, and the oldest entry of the feed is remembered", forgottenStays},
}

func everythingStays(d *durable) {
	task := d.task(1, subject("alice"))
	child, gone := d.child(task, 2), d.record(issuer, 2).Erase()
	swap := swapping(3, store.Swap{Key: "k\x00", State: "on", Value: []byte("v\xff"), Expires: at(5000)})
	swap.Adds = []store.Add{{Key: "k\x00", N: 7, Max: 7}}
	d.ok(adding(2, task, child), adding(2, gone), swap)
	d.ok(revoking(4, lineage.Block, subject("alice")), revoking(4, lineage.Suspend, lineage.Selector{Kind: lineage.SelectTask, Value: task.ID().String()}))
	wantFeed, wantMark := d.feed(issuer, 0), d.mark(subject("alice"))
	for range 3 {
		d.restart()
		d.expect(d.has(task) && d.has(child) && d.has(gone), "a record is gone after a restart")
		e := d.get(issuer, child.ID())[0]
		d.expect(len(e.Marks) == 1 && e.Marks[0] == wantMark, "the marks of a record after a restart: %v", e.Marks)
		d.same(d.scan(issuer, subject("alice"), store.Position{}), []lineage.Record{task, child}, "a scan after a restart")
		got := d.feed(issuer, 0)
		d.expect(len(got) == 2 && got[0] == wantFeed[0] && got[1] == wantFeed[1], "the feed after a restart: %+v", got)
		h := d.head("k\x00")
		d.expect(h.Version == 1 && h.State == "on" && string(h.Value) == "v\xff" && h.Count == 7 && h.Expires.Equal(at(5000)),
			"a head after a restart: %+v", h)
	}
}

func refusedStays(d *durable) {
	r := d.record(issuer, 1)
	d.ok(adding(1, r), swapping(1, store.Swap{Key: "once", State: "spent", Expires: at(500)}), counting(1, store.Add{Key: "n", N: 3, Max: 3}),
		revoking(2, lineage.Cut, subject("alice"), lineage.Selector{Kind: lineage.SelectKey, Value: "kid"}), txAt(400))
	d.restart()
	d.conflict("once", swapping(1, store.Swap{Key: "once", State: "spent"}))
	d.conflict("n", counting(1, store.Add{Key: "n", N: 1, Max: 3}))
	d.dead(400, at(1), subject("alice"))
	d.dead(400, at(9999), lineage.Selector{Kind: lineage.SelectKey, Value: "kid"})
	d.refused(store.ErrBehind, adding(397, d.record(issuer, 397)))
	tx := adding(1, r)
	tx.Adds = []store.Add{{Key: "m", N: 1, Max: 9}}
	d.ok(tx) // a repeat
	d.expect(d.head("m").Count == 0, "the repeat of a commit was applied after a restart")
}

func continues(d *durable) {
	for i := range 4 {
		d.ok(swapping(i, store.Swap{Key: "k", Version: uint64(i)}), counting(i, store.Add{Key: "k", N: 1, Max: 9}), revoking(i, lineage.Cut, subject("a")))
		d.restart()
		h := d.head("k")
		d.expect(h.Version == uint64(i+1) && h.Count == uint64(i+1), "the head after restart %d: %+v", i, h)
		feed := d.feed(issuer, 0)
		d.expect(len(feed) == i+1 && feed[i].Seq == uint64(i+1), "the feed after restart %d: %+v", i, feed)
		d.expect(d.mark(subject("a")).Before.Equal(at(i).Add(leeway)), "the mark after restart %d: %+v", i, d.mark(subject("a")))
	}
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
