package postgres

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var _ store.Forgetter = (*Store)(nil)

// Records implements store.Forgetter.
func (s *Store) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.walk(ctx, issuer, from, func(b *pgx.Batch, number int64, at spot) {
		b.Queue(s.forgets.records, number, at.issued, at.id, chunk)
	})
}

// Forget implements store.Forgetter, in two round trips under the lock of the issuer. What is deleted takes up space until the
// database reclaims it (VACUUM): see DropPartitions.
func (s *Store) Forget(ctx context.Context, r store.Removal) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.Timeout)
	defer cancel()
	var err error
	for range attempts {
		if err = s.forget(ctx, r); !again(err) {
			break
		}
	}
	if err == nil || errors.Is(err, store.ErrConflict) || errors.Is(err, store.ErrInvalid) {
		return err
	}
	s.unlearn(err)
	return fmt.Errorf("postgres: forget: %w", hide(err))
}

func (s *Store) forget(ctx context.Context, r store.Removal) error {
	var number int64
	if r.Issuer != "" && len(r.Issuer) <= store.MaxKey {
		var err error
		if number, err = s.number(ctx, r.Issuer); err != nil {
			return err
		}
	}
	rm := &remover{space: newSpace(r.Issuer, number), named: r, carried: map[lineage.Selector]bool{}}
	if number == 0 { // there is nothing, but r is checked all the same
		rm.note()
		return store.Remove(rm, r)
	}
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	err = rm.run(ctx, s, conn)
	if err != nil && !conn.Conn().IsClosed() {
		if _, undone := conn.Exec(ctx, "ROLLBACK"); undone != nil {
			conn.Conn().Close(ctx) //nolint:errcheck // the pool discards it
		}
	}
	return err
}

var _ store.Remover = (*remover)(nil)

func (rm *remover) run(ctx context.Context, s *Store, conn *pgxpool.Conn) error {
	rm.note()
	if err := rm.load(ctx, s, conn); err != nil {
		return err
	}
	if err := store.Remove(rm, rm.named); err != nil {
		return errors.Join(rm.failed, err)
	}
	b := &pgx.Batch{}
	rm.write(b, s)
	b.Queue("COMMIT")
	return conn.SendBatch(ctx, b).Close()
}

// load locks the issuer and reads all that the removal names, in one round trip.
func (rm *remover) load(ctx context.Context, s *Store, conn *pgxpool.Conn) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN ISOLATION LEVEL READ COMMITTED")
	s.limit(b)
	b.Queue(s.sql.lock, rm.number)
	b.Queue(s.sql.get, rm.number, rm.ids())
	var keys, sels [][]byte
	for key := range rm.space.heads {
		keys = append(keys, sum(key))
	}
	for sel := range rm.space.marks {
		sels = append(sels, sumOf(sel))
	}
	b.Queue(s.sql.heads, rm.number, keys)
	b.Queue(s.sql.marks, rm.number, sels)
	b.Queue(s.sql.bounds, rm.number)
	b.Queue(s.forgets.entries, rm.number, int64(rm.named.Feed))
	for _, sel := range rm.named.Unused {
		b.Queue(s.forgets.carried, rm.number, sumOf(sel), rm.ids())
	}
	results := conn.SendBatch(ctx, b)
	defer results.Close() //nolint:errcheck // what went wrong was seen when it was read
	for range 2 {
		if _, err := results.Exec(); err != nil {
			return err
		}
	}
	if err := rm.space.load(results); err != nil {
		return err
	}
	if err := rm.loadRest(results); err != nil {
		return err
	}
	return results.Close()
}

// loadRest reads the answers about the feed, and whether the selectors that must be unused are carried.
func (rm *remover) loadRest(results pgx.BatchResults) error {
	var last int64
	var first *int64
	if err := results.QueryRow().Scan(&last, &first); err != nil {
		return err
	}
	if rm.oldest = uint64(last) + 1; first != nil {
		rm.oldest = uint64(*first)
	}
	if err := each(results, func(rows pgx.Rows) error {
		r, err := scanRevocation(rows)
		rm.entries = append(rm.entries, r)
		return err
	}); err != nil {
		return err
	}
	for _, sel := range rm.named.Unused {
		var carried bool
		if err := results.QueryRow().Scan(&carried); err != nil {
			return err
		}
		rm.carried[sel] = carried
	}
	return nil
}

// forgetStatements are the SQL by which things are taken out.
type forgetStatements struct {
	records, entries, carried               string
	dropRecords, eraseRecords, dropCarriers string
	dropHeads, dropMarks, dropFeed          string
}

func forgetStatementsFor(schema string) forgetStatements {
	return forgetStatements{
		records: in(schema, `SELECT envelope, body, issued, id FROM {s}.records
			WHERE issuer = $1 AND issued >= $2 AND (issued, id) > ($2, $3) ORDER BY issued, id LIMIT $4`),
		entries: in(schema, `SELECT seq, kind, value, action, at, before, reason, by FROM {s}.revocations
			WHERE issuer = $1 AND seq <= $2 ORDER BY seq`),
		carried: in(schema, `SELECT EXISTS (SELECT 1 FROM {s}.carriers WHERE issuer = $1 AND selector = $2 AND id <> ALL($3))`),
		dropRecords: in(schema, `DELETE FROM {s}.records r USING unnest($2::bytea[], $3::timestamptz[]) AS x(id, issued)
			WHERE r.issuer = $1 AND r.id = x.id AND r.issued = x.issued`),
		eraseRecords: in(schema, `UPDATE {s}.records r SET body = NULL, selectors = x.selectors
			FROM unnest($2::bytea[], $3::timestamptz[], $4::bytea[]) AS x(id, issued, selectors)
			WHERE r.issuer = $1 AND r.id = x.id AND r.issued = x.issued`),
		dropCarriers: in(schema, `DELETE FROM {s}.carriers c
			USING unnest($2::bytea[], $3::timestamptz[], $4::bytea[]) AS x(selector, issued, id)
			WHERE c.issuer = $1 AND c.selector = x.selector AND c.issued = x.issued AND c.id = x.id`),
		dropHeads: in(schema, `DELETE FROM {s}.heads WHERE issuer = $1 AND sum = ANY($2)`),
		dropMarks: in(schema, `DELETE FROM {s}.marks WHERE issuer = $1 AND sum = ANY($2)`),
		dropFeed:  in(schema, `DELETE FROM {s}.revocations WHERE issuer = $1 AND seq <= $2`),
	}
}
