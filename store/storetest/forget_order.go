package storetest

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

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
	rest := all
	for part := range slices.Chunk(all[:n-keep], 64) {
		c.forget(removal(part...))
		rest = rest[len(part):]
		c.same(c.every(issuer, store.Position{}), rest, "all records between slices")
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
