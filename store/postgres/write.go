package postgres

import (
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// write puts what the transactions have made of the state into the batch: one statement for each table, whatever the number
// of rows.
func (sp *space) write(b *pgx.Batch, s *Store) {
	if len(sp.newRecords) > 0 {
		sp.writeRecords(b, s)
	}
	if len(sp.newHeads) > 0 {
		sp.writeHeads(b, s)
	}
	if len(sp.newMarks) > 0 {
		sp.writeMarks(b, s)
	}
	if len(sp.revocations) > 0 {
		sp.writeRevocations(b, s)
	}
	if sp.ticked {
		b.Queue(s.sql.setClock, sp.number, packTime(sp.now), int64(sp.seq))
		sp.writeForgotten(b, s)
	}
}

// writeForgotten deletes heads that the store time has left behind, but for those that are written anew.
func (sp *space) writeForgotten(b *pgx.Batch, s *Store) {
	written := make(map[string]bool, len(sp.newHeads))
	for key := range sp.newHeads {
		written[string(sum(key))] = true
	}
	var sums, until [][]byte // in the order of time
	for _, e := range sp.expired {
		if e.until.Before(sp.now) && !written[string(e.sum)] {
			sums, until = append(sums, e.sum), append(until, packTime(e.until))
		}
	}
	if n := len(sums); n > 0 {
		b.Queue(s.sql.forget, sp.number, sums, until[0], until[n-1])
	}
}

func (sp *space) writeRecords(b *pgx.Batch, s *Store) {
	n := len(sp.newRecords)
	ids, envelopes, bodies, selectors := make([][]byte, n), make([][]byte, n), make([][]byte, n), make([][]byte, n)
	issued := make([]time.Time, n)
	var carrier, carried [][]byte
	var carriedAt []time.Time
	for i, r := range sp.newRecords {
		id := r.ID()
		ids[i], issued[i], envelopes[i], bodies[i] = id[:], r.IssuedAt, r.Raw(), r.RawBody()
		selectors[i] = []byte{}
		for _, sel := range r.Selectors() {
			key := sumOf(sel)
			selectors[i] = append(selectors[i], key...)
			carrier, carried, carriedAt = append(carrier, key), append(carried, id[:]), append(carriedAt, r.IssuedAt)
		}
	}
	b.Queue(s.sql.addRecords, sp.number, ids, issued, envelopes, bodies, selectors)
	b.Queue(s.sql.addCarriers, sp.number, carrier, carriedAt, carried)
}

func (sp *space) writeHeads(b *pgx.Batch, s *Store) {
	var sums, keys, states, values, expires [][]byte
	var versions, counts []int64
	for key := range sp.newHeads {
		h := sp.heads[key]
		sums, keys, states, values = append(sums, sum(key)), append(keys, []byte(key)), append(states, []byte(h.State)), append(values, h.Value)
		versions, counts = append(versions, int64(h.Version)), append(counts, int64(h.Count))
		if h.Expires.IsZero() {
			expires = append(expires, nil)
		} else {
			expires = append(expires, packTime(h.Expires))
		}
	}
	b.Queue(s.sql.putHeads, sp.number, sums, keys, versions, states, values, counts, expires)
}

func (sp *space) writeMarks(b *pgx.Batch, s *Store) {
	var sums, kinds, values, befores [][]byte
	var cut, blocked []bool
	var seqs []int64
	for sel := range sp.newMarks {
		m := sp.marks[sel]
		sums, kinds, values = append(sums, sumOf(sel)), append(kinds, []byte(sel.Kind)), append(values, []byte(sel.Value))
		cut, befores, blocked, seqs = append(cut, m.Cut), append(befores, packTime(m.Before)), append(blocked, m.Blocked), append(seqs, int64(m.Seq))
	}
	b.Queue(s.sql.putMarks, sp.number, sums, kinds, values, cut, befores, blocked, seqs)
}

func (sp *space) writeRevocations(b *pgx.Batch, s *Store) {
	var seqs []int64
	var kinds, values, actions, at, before, reasons, by [][]byte
	for _, r := range sp.revocations {
		seqs, kinds, values = append(seqs, int64(r.Seq)), append(kinds, []byte(r.Selector.Kind)), append(values, []byte(r.Selector.Value))
		actions, at, before = append(actions, []byte(r.Action)), append(at, packTime(r.At)), append(before, packTime(r.Before))
		reasons, by = append(reasons, []byte(r.Reason)), append(by, []byte(r.By))
	}
	b.Queue(s.sql.addRevocations, sp.number, seqs, kinds, values, actions, at, before, reasons, by)
	if !s.opts.Silent {
		b.Queue(s.sql.notify, s.channel(), strconv.FormatInt(sp.number, 10))
	}
}

// channel is what commits with revocations notify.
func (s *Store) channel() string { return s.opts.Schema + "_feed" }
