package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// look runs one read-only transaction in one round trip, in which everything is of one moment: queue asks, and read takes the
// answers in that order. Where nothing was ever committed for the issuer, nothing is asked, and look reports false.
func (s *Store) look(ctx context.Context, issuer string, queue func(b *pgx.Batch, number int64), read func(pgx.BatchResults) error) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	number, err := s.number(ctx, issuer)
	if number == 0 || err != nil {
		return false, wrap(err)
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return false, wrap(err)
	}
	defer conn.Release()
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
	b.Queue(s.sql.asked, s.bound(), number)
	queue(b, number)
	b.Queue("COMMIT")
	err = func() error {
		results := conn.SendBatch(ctx, b)
		defer results.Close() //nolint:errcheck // what went wrong was seen when it was read
		if _, err := results.Exec(); err != nil {
			return err
		}
		var name []byte
		if err := results.QueryRow().Scan(nil, nil, &name); err != nil {
			return err
		}
		if string(name) != issuer {
			return errReplaced
		}
		if err := read(results); err != nil {
			return err
		}
		return results.Close()
	}()
	if err != nil {
		s.unlearn(err)
		conn.Conn().Close(context.WithoutCancel(ctx)) //nolint:errcheck // the pool discards a connection in a transaction
	}
	return err == nil, wrap(err)
}

// wrap names the package in an error, but for the errors of the contract.
func wrap(err error) error {
	if err == nil || errors.Is(err, store.ErrGone) || errors.Is(err, store.ErrInvalid) {
		return err
	}
	return fmt.Errorf("postgres: %w", hide(err))
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	q := newEntries(ids)
	if _, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) { q.queue(b, s, number) }, q.read); err != nil {
		return nil, err
	}
	return q.answer(), nil
}

// Look implements store.Looker.
func (s *Store) Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]store.Entry, []lineage.Mark, error) {
	q, m := newEntries(ids), marksOf(sels)
	_, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) {
		q.queue(b, s, number)
		m.queue(b, s, number)
	}, func(results pgx.BatchResults) error { return errors.Join(q.read(results), m.read(results)) })
	if err != nil {
		return nil, nil, err
	}
	return q.answer(), m.found, nil
}

// Heads implements store.Store.
func (s *Store) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	sums := make([][]byte, len(keys))
	for i, key := range keys {
		sums[i] = sum(key)
	}
	found := map[string]store.Head{}
	_, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) { b.Queue(s.sql.read, number, sums) },
		func(results pgx.BatchResults) error {
			return each(results, func(rows pgx.Rows) error {
				h, err := scanHead(rows)
				found[h.Key] = h
				return err
			})
		})
	if err != nil {
		return nil, err
	}
	out := make([]store.Head, len(keys))
	for i, key := range keys {
		out[i] = found[key]
		out[i].Key = key
	}
	return out, nil
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	q := marksOf(sels)
	if _, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) { q.queue(b, s, number) }, q.read); err != nil {
		return nil, err
	}
	return q.found, nil
}

// earliest lies before every time of issue: that of a record is written with four digits for its year.
var earliest = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
