package postgres

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// chunk is how many entries Scan and Feed read at a time.
const chunk = 256

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.walk(ctx, issuer, from, func(b *pgx.Batch, number int64, at spot) {
		b.Queue(s.sql.scan, number, sumOf(sel), at.issued, at.id, chunk)
	})
}

// walk yields the records that are asked for from a position on, and then behind the last, until there is none.
func (s *Store) walk(ctx context.Context, issuer string, from store.Position, ask func(*pgx.Batch, int64, spot)) iter.Seq2[lineage.Record, error] {
	return func(yield func(lineage.Record, error) bool) {
		at, err := s.start(ctx, issuer, from)
		for err == nil {
			var part []lineage.Record
			if part, err = s.next(ctx, issuer, ask, &at); err != nil {
				break
			}
			for _, r := range part {
				if !yield(r, nil) {
					return
				}
			}
			if len(part) < chunk {
				return
			}
		}
		yield(lineage.Record{}, err)
	}
}

// spot is behind what a scan has yielded.
type spot struct {
	issued time.Time
	id     []byte
}

// start returns where a scan from the position begins.
func (s *Store) start(ctx context.Context, issuer string, from store.Position) (spot, error) {
	at := spot{issued: earliest, id: []byte{}}
	if since := from.Since.Add(time.Millisecond - 1).Truncate(time.Millisecond); !from.Since.IsZero() && since.After(at.issued) {
		at.issued = since.UTC()
	}
	if from.After.IsZero() {
		return at, ctx.Err()
	}
	found := false
	_, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) { b.Queue(s.sql.place, number, from.After[:]) },
		func(results pgx.BatchResults) error {
			return each(results, func(rows pgx.Rows) error {
				var issued time.Time
				err := rows.Scan(&issued)
				if found = true; !issued.Before(at.issued) {
					at = spot{issued.UTC(), from.After[:]}
				}
				return err
			})
		})
	if err == nil && !found {
		err = fmt.Errorf("%w: scan from an unknown record", store.ErrInvalid)
	}
	return at, err
}

// next reads the next records behind at, and moves it.
func (s *Store) next(ctx context.Context, issuer string, ask func(*pgx.Batch, int64, spot), at *spot) ([]lineage.Record, error) {
	var out []lineage.Record
	_, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) { ask(b, number, *at) }, func(results pgx.BatchResults) error {
		return each(results, func(rows pgx.Rows) error {
			r, err := scanRecord(rows, &at.issued, &at.id)
			out = append(out, r)
			return err
		})
	})
	return out, err
}

// Feed implements store.Store.
func (s *Store) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		for {
			part, err := s.feed(ctx, issuer, after)
			if err != nil {
				yield(lineage.Revocation{}, err)
				return
			}
			for _, r := range part {
				if !yield(r, nil) {
					return
				}
				after = r.Seq
			}
			if len(part) < chunk {
				return
			}
		}
	}
}

// feed reads the next entries behind after.
func (s *Store) feed(ctx context.Context, issuer string, after uint64) ([]lineage.Revocation, error) {
	var out []lineage.Revocation
	var last int64
	var first *int64
	_, err := s.look(ctx, issuer, func(b *pgx.Batch, number int64) {
		b.Queue(s.sql.bounds, number)
		b.Queue(s.sql.feed, number, int64(after), chunk)
	}, func(results pgx.BatchResults) error {
		if err := results.QueryRow().Scan(&last, &first); err != nil {
			return err
		}
		return each(results, func(rows pgx.Rows) error {
			r, err := scanRevocation(rows)
			out = append(out, r)
			return err
		})
	})
	switch {
	case err != nil:
		return nil, err
	case after == 0: // all that is kept
	case after > uint64(last), first != nil && after+1 < uint64(*first), first == nil && after < uint64(last):
		return nil, store.ErrGone
	}
	return out, nil
}
