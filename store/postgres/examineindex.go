package postgres

import (
	"bytes"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// records yields the records, and looks for each in the index.
func (x *examiner) records() error {
	at := spot{earliest, []byte{}}
	for more := true; more && !x.over; x.flush() {
		var part []lineage.Record
		n := 0
		_, err := x.look(x.ctx, x.issuer, func(b *pgx.Batch, number int64) { b.Queue(x.sql.records, number, at.issued, at.id, chunk) },
			func(results pgx.BatchResults) error {
				return each(results, func(rows pgx.Rows) error {
					n++
					r, err := x.record(rows, &at)
					if r.ID() != (lineage.ID{}) {
						part = append(part, r)
					}
					return err
				})
			})
		if err == nil {
			err = x.indexed(part)
		}
		if err != nil {
			return err
		}
		more = n == chunk
	}
	return nil
}

// record reads one record, and what lies beside it; an empty one where it is damaged.
func (x *examiner) record(rows pgx.Rows, at *spot) (lineage.Record, error) {
	var raw, body, selectors []byte
	if err := rows.Scan(&raw, &body, &at.issued, &at.id, &selectors); err != nil {
		return lineage.Record{}, err
	}
	at.issued = at.issued.UTC()
	var id lineage.ID
	copy(id[:], at.id)
	r, err := lineage.Decode(raw, body)
	if err != nil || !bytes.Equal(at.id, id[:]) || r.ID() != id || !r.IssuedAt.Equal(at.issued) {
		x.fault("records", id, "the record is damaged")
		return lineage.Record{}, nil
	}
	var want []byte
	for _, sel := range r.Selectors() {
		want = append(want, sumOf(sel)...)
	}
	if !bytes.Equal(want, selectors) {
		x.fault("records", id, "the selectors beside the record are not its own")
	}
	return r, nil
}

// indexed looks for the selectors of records in the index, and yields the records.
func (x *examiner) indexed(part []lineage.Record) error {
	var sums, ids [][]byte
	var issued []time.Time
	for _, r := range part {
		id := r.ID()
		x.out = append(x.out, store.Piece{Record: &r})
		for _, sel := range r.Selectors() {
			sums, issued, ids = append(sums, sumOf(sel)), append(issued, r.IssuedAt), append(ids, id[:])
		}
	}
	x.carried += uint64(len(sums))
	_, err := x.look(x.ctx, x.issuer, func(b *pgx.Batch, number int64) { b.Queue(x.sql.missing, number, sums, issued, ids) },
		func(results pgx.BatchResults) error {
			return each(results, func(rows pgx.Rows) error {
				var raw []byte
				var n int64
				err := rows.Scan(&raw, &n)
				var id lineage.ID
				copy(id[:], raw)
				x.lost += uint64(n)
				x.fault("carriers", id, "the record is not found by %d of its selectors", n)
				return err
			})
		})
	return err
}

// page is how many rows of the index are counted at a time.
const page = 1 << 14

// carriers looks for rows of the index that no record has to do with. Where there are as many as there have to be, there are
// none.
func (x *examiner) carriers() error {
	found, err := x.pages(false)
	if err == nil && found != x.carried-x.lost {
		_, err = x.pages(true)
	}
	return err
}

// pages counts the rows of the index, and reports those that lead nowhere if that is wanted.
func (x *examiner) pages(extra bool) (found uint64, err error) {
	selector, at := []byte{}, spot{earliest, []byte{}}
	for n := int64(page); n == page && !x.over && err == nil; x.flush() {
		n = 0
		from, behind := selector, at
		_, err = x.look(x.ctx, x.issuer, func(b *pgx.Batch, number int64) {
			b.Queue(x.sql.count, number, from, behind.issued, behind.id, page)
			if extra {
				b.Queue(x.sql.extra, number, from, behind.issued, behind.id, page)
			}
		}, func(results pgx.BatchResults) error {
			err := each(results, func(rows pgx.Rows) error { return rows.Scan(&n, &selector, &at.issued, &at.id) })
			if err != nil || !extra {
				return err
			}
			return each(results, func(rows pgx.Rows) error {
				var raw []byte
				err := rows.Scan(&raw)
				var id lineage.ID
				copy(id[:], raw)
				x.fault("carriers", id, "leads to a record that is not there, or does not carry the selector")
				return err
			})
		})
		at.issued = at.issued.UTC()
		found += uint64(n)
	}
	return found, err
}
