package postgres

import (
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// remover is what a removal names, read under the issuer's lock, and what is to be deleted of it. It is a store.Remover.
type remover struct {
	*space
	named   store.Removal
	oldest  uint64
	entries []lineage.Revocation
	carried map[lineage.Selector]bool

	dropped, erased []lineage.Record
	heads           []string
	marks           []lineage.Selector
	until           uint64
}

// note takes down what is read: what is not there has its place.
func (rm *remover) note() {
	for _, id := range slices.Concat(rm.named.Records, rm.named.Bodies) {
		rm.records[id] = nil
	}
	for _, h := range rm.named.Heads {
		rm.space.heads[h.Key] = store.Head{Key: h.Key}
	}
	for _, m := range rm.named.Marks {
		rm.space.marks[m.Selector] = lineage.Mark{}
	}
	rm.space.marks[rm.named.Floor] = lineage.Mark{}
	rm.oldest = 1
}

// ids are all records that are named, as the database has them.
func (rm *remover) ids() [][]byte {
	out := make([][]byte, 0, len(rm.records))
	for id := range rm.records {
		out = append(out, id[:])
	}
	return out
}

// Oldest implements store.Remover.
func (rm *remover) Oldest() (uint64, error) { return rm.oldest, nil }

// Revocation implements store.Remover.
func (rm *remover) Revocation(seq uint64) (lineage.Revocation, error) {
	if i := seq - rm.oldest; i < uint64(len(rm.entries)) && rm.entries[i].Seq == seq {
		return rm.entries[i], nil
	}
	return lineage.Revocation{}, rm.fail(errDamaged)
}

// Carried implements store.Remover. The records that are named were left out when it was asked.
func (rm *remover) Carried(sel lineage.Selector, _ []lineage.ID) (bool, error) {
	return rm.carried[sel], nil
}

// DropRecord implements store.Remover.
func (rm *remover) DropRecord(r lineage.Record) error {
	rm.dropped = append(rm.dropped, r)
	return nil
}

// EraseRecord implements store.Remover.
func (rm *remover) EraseRecord(r lineage.Record) error {
	rm.erased = append(rm.erased, r)
	return nil
}

// DropHead implements store.Remover.
func (rm *remover) DropHead(key string) error {
	rm.heads = append(rm.heads, key)
	return nil
}

// DropMark implements store.Remover.
func (rm *remover) DropMark(sel lineage.Selector) error {
	rm.space.marks[sel] = lineage.Mark{}
	rm.marks = append(rm.marks, sel)
	return nil
}

// DropRevocations implements store.Remover.
func (rm *remover) DropRevocations(until uint64) error {
	rm.until = until
	return nil
}

// write puts what is to be deleted into the batch: one statement for each table.
func (rm *remover) write(b *pgx.Batch, s *Store) {
	var ids, selectors, gone, goneOf [][]byte
	var issued, goneAt []time.Time
	takeOut := func(r lineage.Record, sels []lineage.Selector) {
		id := r.ID()
		for _, sel := range sels {
			gone, goneAt, goneOf = append(gone, sumOf(sel)), append(goneAt, r.IssuedAt), append(goneOf, id[:])
		}
		ids, issued = append(ids, id[:]), append(issued, r.IssuedAt)
	}
	for _, r := range rm.dropped {
		takeOut(r, r.Selectors())
	}
	if len(ids) > 0 {
		b.Queue(s.forgets.dropRecords, rm.number, ids, issued)
	}
	ids, issued = nil, nil
	for _, r := range rm.erased {
		rest, left := r.Erase().Selectors(), []byte{}
		for _, sel := range rest {
			left = append(left, sumOf(sel)...)
		}
		selectors = append(selectors, left)
		takeOut(r, slices.DeleteFunc(slices.Clone(r.Selectors()), func(sel lineage.Selector) bool { return slices.Contains(rest, sel) }))
	}
	if len(ids) > 0 {
		b.Queue(s.forgets.eraseRecords, rm.number, ids, issued, selectors)
	}
	if len(gone) > 0 {
		b.Queue(s.forgets.dropCarriers, rm.number, gone, goneAt, goneOf)
	}
	rm.writeRest(b, s)
}

func (rm *remover) writeRest(b *pgx.Batch, s *Store) {
	var keys, sels [][]byte
	for _, key := range rm.heads {
		keys = append(keys, sum(key))
	}
	for _, sel := range rm.marks {
		sels = append(sels, sumOf(sel))
	}
	if len(keys) > 0 {
		b.Queue(s.forgets.dropHeads, rm.number, keys)
	}
	if len(sels) > 0 {
		b.Queue(s.forgets.dropMarks, rm.number, sels)
	}
	if len(rm.newMarks) > 0 {
		rm.writeMarks(b, s)
	}
	if rm.until > 0 {
		b.Queue(s.forgets.dropFeed, rm.number, int64(rm.until))
	}
}
