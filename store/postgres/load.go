package postgres

import (
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// query asks for what the transactions name. The lock comes first: what is read after it is what the commit before left.
func (sp *space) query(b *pgx.Batch, s *Store) {
	b.Queue(s.sql.lock, sp.number)
	ids, issued := make([][]byte, 0, len(sp.issued)), make([]time.Time, 0, len(sp.issued))
	for id, at := range sp.issued {
		ids, issued = append(ids, id[:]), append(issued, at)
	}
	b.Queue(s.sql.named, sp.number, ids, issued)
	sums := make([][]byte, 0, len(sp.heads))
	for key := range sp.heads {
		sums = append(sums, sum(key))
	}
	b.Queue(s.sql.heads, sp.number, sums)
	sums = make([][]byte, 0, len(sp.marks))
	for sel := range sp.marks {
		sums = append(sums, sumOf(sel))
	}
	b.Queue(s.sql.marks, sp.number, sums)
	b.Queue(s.sql.expired, sp.number, packTime(sp.latest))
}

// loadExpired reads the last answer to query.
func (sp *space) loadExpired(results pgx.BatchResults) error {
	return each(results, func(rows pgx.Rows) error {
		var e expiredAt
		var until []byte
		err := rows.Scan(&e.sum, &until)
		if err == nil {
			e.until, err = unpackTime(until)
		}
		sp.expired = append(sp.expired, e)
		return err
	})
}

// load reads the answers to query, but for the last.
func (sp *space) load(results pgx.BatchResults) error {
	var clock, name []byte
	var seq int64
	err := results.QueryRow().Scan(&clock, &seq, &name)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && string(name) != sp.issuer:
		return errReplaced
	case err != nil:
		return err
	}
	if sp.now, err = unpackTime(clock); err != nil {
		return err
	}
	sp.seq = uint64(seq)
	if err := each(results, func(rows pgx.Rows) error {
		r, err := scanRecord(rows)
		sp.records[r.ID()] = &r
		return err
	}); err != nil {
		return err
	}
	if err := each(results, func(rows pgx.Rows) error {
		h, err := scanHead(rows)
		sp.heads[h.Key] = h
		return err
	}); err != nil {
		return err
	}
	return each(results, func(rows pgx.Rows) error {
		m, err := scanMark(rows)
		sp.marks[m.Selector] = m
		return err
	})
}

// each calls read for every row of the next answer.
func each(results pgx.BatchResults, read func(pgx.Rows) error) error {
	rows, err := results.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := read(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func scanRecord(rows pgx.Rows, more ...any) (lineage.Record, error) {
	var raw, body []byte
	if err := rows.Scan(append([]any{&raw, &body}, more...)...); err != nil {
		return lineage.Record{}, err
	}
	r, err := lineage.Decode(raw, body)
	if err != nil {
		return lineage.Record{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return r, nil
}

func scanHead(rows pgx.Rows) (store.Head, error) {
	var h store.Head
	var key, state, expires []byte
	var version, count int64
	if err := rows.Scan(&key, &version, &state, &h.Value, &count, &expires); err != nil {
		return h, err
	}
	h.Key, h.State, h.Version, h.Count = string(key), string(state), uint64(version), uint64(count)
	if expires == nil {
		return h, nil
	}
	var err error
	h.Expires, err = unpackTime(expires)
	return h, err
}

func scanMark(rows pgx.Rows) (lineage.Mark, error) {
	var m lineage.Mark
	var kind, value, before []byte
	var seq int64
	if err := rows.Scan(&kind, &value, &m.Cut, &before, &m.Blocked, &seq); err != nil {
		return m, err
	}
	m.Selector, m.Seq = lineage.Selector{Kind: string(kind), Value: string(value)}, uint64(seq)
	var err error
	m.Before, err = unpackTime(before)
	return m, err
}

func scanRevocation(rows pgx.Rows) (lineage.Revocation, error) {
	var r lineage.Revocation
	var seq int64
	var kind, value, action, at, before, reason, by []byte
	if err := rows.Scan(&seq, &kind, &value, &action, &at, &before, &reason, &by); err != nil {
		return r, err
	}
	r.Seq, r.Selector = uint64(seq), lineage.Selector{Kind: string(kind), Value: string(value)}
	r.Action, r.Reason, r.By = lineage.Action(action), string(reason), string(by)
	var err error
	if r.At, err = unpackTime(at); err != nil {
		return r, err
	}
	r.Before, err = unpackTime(before)
	return r, err
}
