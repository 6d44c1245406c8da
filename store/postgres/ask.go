package postgres

import (
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// entries is a question for records, each with what has been written about it.
type entries struct {
	ids     []lineage.ID
	records map[lineage.ID]lineage.Record
	marks   map[lineage.Selector]lineage.Mark
	heads   map[string]store.Head
}

func newEntries(ids []lineage.ID) *entries {
	return &entries{ids, map[lineage.ID]lineage.Record{}, map[lineage.Selector]lineage.Mark{}, map[string]store.Head{}}
}

func (q *entries) queue(b *pgx.Batch, s *Store, number int64) {
	raw := make([][]byte, len(q.ids))
	for i, id := range q.ids {
		raw[i] = id[:]
	}
	b.Queue(s.sql.get, number, raw)
	b.Queue(s.sql.getMarks, number, raw)
	b.Queue(s.sql.getHeads, number, raw)
}

func (q *entries) read(results pgx.BatchResults) error {
	return errors.Join(
		each(results, func(rows pgx.Rows) error {
			r, err := scanRecord(rows)
			q.records[r.ID()] = r
			return err
		}),
		each(results, func(rows pgx.Rows) error {
			m, err := scanMark(rows)
			q.marks[m.Selector] = m
			return err
		}),
		each(results, func(rows pgx.Rows) error {
			h, err := scanHead(rows)
			q.heads[h.Key] = h
			return err
		}))
}

// answer returns one entry per id.
func (q *entries) answer() []store.Entry {
	out := make([]store.Entry, len(q.ids))
	for i, id := range q.ids {
		e := store.Entry{Record: q.records[id]}
		for _, sel := range e.Record.Selectors() {
			if m, ok := q.marks[sel]; ok {
				e.Marks = append(e.Marks, m)
			}
			if h, ok := q.heads[sel.String()]; ok {
				e.Heads = append(e.Heads, h)
			}
		}
		out[i] = e
	}
	return out
}

// marks is a question for the marks of selectors.
type marks struct {
	sums  [][]byte
	found []lineage.Mark
}

func marksOf(sels []lineage.Selector) *marks {
	q := &marks{sums: make([][]byte, len(sels))}
	for i, sel := range sels {
		q.sums[i] = sumOf(sel)
	}
	return q
}

func (q *marks) queue(b *pgx.Batch, s *Store, number int64) { b.Queue(s.sql.marks, number, q.sums) }

func (q *marks) read(results pgx.BatchResults) error {
	return each(results, func(rows pgx.Rows) error {
		m, err := scanMark(rows)
		q.found = append(q.found, m)
		return err
	})
}
