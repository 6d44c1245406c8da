package postgres

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var _ store.Examiner = (*Store)(nil)

// Examine implements store.Examiner. It reads each table once, a chunk in a transaction: a role that may only read is enough.
func (s *Store) Examine(ctx context.Context, issuer string) iter.Seq2[store.Piece, error] {
	return func(yield func(store.Piece, error) bool) {
		x := &examiner{Store: s, ctx: ctx, issuer: issuer, yield: yield, sql: examineStatementsFor(s.opts.Schema)}
		for _, step := range []func() error{x.clock, x.feed, x.marks, x.heads, x.records, x.carriers} {
			err := step()
			x.flush()
			if err != nil && !x.over {
				yield(store.Piece{}, err)
			}
			if err != nil || x.over {
				return
			}
		}
	}
}

// examiner goes through the tables.
type examiner struct {
	*Store
	ctx    context.Context
	issuer string
	yield  func(store.Piece, error) bool
	over   bool // nobody wants more
	sql    examineStatements

	out     []store.Piece
	carried uint64 // how many rows of carriers there have to be
	lost    uint64 // how many of these are not there
}

func (x *examiner) fault(in string, id lineage.ID, format string, args ...any) {
	x.out = append(x.out, store.Piece{Fault: &store.Fault{In: in, ID: id, What: fmt.Sprintf(format, args...)}})
}

// flush yields what was found.
func (x *examiner) flush() {
	for _, p := range x.out {
		if x.over = x.over || !x.yield(p, nil); x.over {
			break
		}
	}
	x.out = x.out[:0]
}

// sweep asks for the rows behind a place, and then for those behind the last, until there are none. Row is called with each, and
// moves the place.
func (x *examiner) sweep(ask func(b *pgx.Batch, number int64), row func(pgx.Rows) error) error {
	for n := chunk; n == chunk && !x.over; {
		n = 0
		_, err := x.look(x.ctx, x.issuer, ask, func(results pgx.BatchResults) error {
			return each(results, func(rows pgx.Rows) error {
				n++
				return row(rows)
			})
		})
		if x.flush(); err != nil {
			return err
		}
	}
	return nil
}

func (x *examiner) clock() error {
	_, err := x.look(x.ctx, x.issuer, func(b *pgx.Batch, number int64) { b.Queue(x.sql.clock, number) },
		func(results pgx.BatchResults) error {
			var now []byte
			var last int64
			var first *int64
			if err := results.QueryRow().Scan(&now, &last, &first); err != nil {
				return err
			}
			at, err := unpackTime(now)
			if err != nil {
				x.fault("issuers", lineage.ID{}, "the store time is damaged")
				return nil
			}
			c := &store.Clock{Time: at, Seq: uint64(last), Oldest: uint64(last) + 1}
			if first != nil {
				c.Oldest = uint64(*first)
			}
			x.out = append(x.out, store.Piece{Clock: c})
			return nil
		})
	return err
}

func (x *examiner) feed() error {
	at := int64(-1) << 63
	return x.sweep(func(b *pgx.Batch, number int64) { b.Queue(x.sql.feed, number, at, chunk) }, func(rows pgx.Rows) error {
		if err := rows.Scan(&at, nil, nil, nil, nil, nil, nil, nil); err != nil {
			return err
		}
		r, err := scanRevocation(rows)
		if err != nil {
			x.fault("revocations", lineage.ID{}, "entry %d is damaged", at)
			return nil
		}
		x.out = append(x.out, store.Piece{Revocation: &r})
		return nil
	})
}

func (x *examiner) marks() error {
	at := []byte{}
	return x.sweep(func(b *pgx.Batch, number int64) { b.Queue(x.sql.marks, number, at, chunk) }, func(rows pgx.Rows) error {
		m, err := scanMark(behind{rows, &at})
		if err != nil || !bytes.Equal(at, sumOf(m.Selector)) {
			x.fault("marks", lineage.ID{}, "a mark is damaged")
			return nil
		}
		x.out = append(x.out, store.Piece{Mark: &m})
		return nil
	})
}

func (x *examiner) heads() error {
	at := []byte{}
	return x.sweep(func(b *pgx.Batch, number int64) { b.Queue(x.sql.heads, number, at, chunk) }, func(rows pgx.Rows) error {
		h, err := scanHead(behind{rows, &at})
		if err != nil || !bytes.Equal(at, sum(h.Key)) {
			x.fault("heads", lineage.ID{}, "a head is damaged")
			return nil
		}
		x.out = append(x.out, store.Piece{Head: &h})
		return nil
	})
}

// behind is rows of which the first column is a place.
type behind struct {
	pgx.Rows
	at *[]byte
}

// Scan implements pgx.Rows.
func (b behind) Scan(into ...any) error { return b.Rows.Scan(append([]any{b.at}, into...)...) }

// examineStatements are the SQL by which everything is read.
type examineStatements struct{ clock, feed, marks, heads, records, missing, count, extra string }

func examineStatementsFor(schema string) examineStatements {
	const page = `SELECT selector, issued, id FROM {s}.carriers
		WHERE issuer = $1 AND selector >= $2 AND (selector, issued, id) > ($2, $3, $4) ORDER BY selector, issued, id LIMIT $5`
	return examineStatements{
		clock: in(schema, `SELECT i.clock, i.seq, (SELECT min(seq) FROM {s}.revocations WHERE issuer = $1) FROM {s}.issuers i WHERE i.id = $1`),
		feed: in(schema, `SELECT seq, kind, value, action, at, before, reason, by FROM {s}.revocations
			WHERE issuer = $1 AND seq > $2 ORDER BY seq LIMIT $3`),
		marks: in(schema, `SELECT m.sum, `+markColumns+` FROM {s}.marks m WHERE m.issuer = $1 AND m.sum > $2 ORDER BY m.sum LIMIT $3`),
		heads: in(schema, `SELECT h.sum, `+headColumns+` FROM {s}.heads h WHERE h.issuer = $1 AND h.sum > $2 ORDER BY h.sum LIMIT $3`),
		records: in(schema, `SELECT envelope, body, issued, id, selectors FROM {s}.records
			WHERE issuer = $1 AND issued >= $2 AND (issued, id) > ($2, $3) ORDER BY issued, id LIMIT $4`),
		missing: in(schema, `SELECT x.id, count(*) FROM unnest($2::bytea[], $3::timestamptz[], $4::bytea[]) AS x(selector, issued, id)
			WHERE NOT EXISTS (SELECT 1 FROM {s}.carriers c
				WHERE c.issuer = $1 AND c.selector = x.selector AND c.issued = x.issued AND c.id = x.id)
			GROUP BY x.id`),
		count: in(schema, `WITH page AS (`+page+`) SELECT (SELECT count(*) FROM page), selector, issued, id FROM page
			ORDER BY selector DESC, issued DESC, id DESC LIMIT 1`),
		extra: in(schema, `WITH page AS (`+page+`) SELECT p.id FROM page p WHERE NOT EXISTS (SELECT 1 FROM {s}.records r
			WHERE r.issuer = $1 AND r.id = p.id AND r.issued = p.issued AND position(p.selector IN r.selectors) > 0)`),
	}
}
