package bolt

import (
	"bytes"
	"context"
	"fmt"
	"iter"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	return read(ctx, s, issuer, func(sp *space) ([]store.Entry, error) {
		out := make([]store.Entry, 0, len(ids))
		for _, id := range ids {
			e, err := sp.entry(id)
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		return out, nil
	})
}

// Heads implements store.Store.
func (s *Store) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	return read(ctx, s, issuer, func(sp *space) ([]store.Head, error) {
		out := make([]store.Head, 0, len(keys))
		for _, k := range keys {
			h, _, err := sp.head(hashKey(k))
			if err != nil {
				return nil, err
			}
			h.Key = k
			out = append(out, h)
		}
		return out, nil
	})
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	return read(ctx, s, issuer, func(sp *space) ([]lineage.Mark, error) {
		var out []lineage.Mark
		for _, sel := range sels {
			m, found, err := sp.mark(hashSelector(sel))
			if err != nil {
				return nil, err
			}
			if found {
				out = append(out, m)
			}
		}
		return out, nil
	})
}

// read returns what f reads in one transaction: all of it or an error.
func read[T any](ctx context.Context, s *Store, issuer string, f func(*space) ([]T, error)) (out []T, err error) {
	err = s.view(ctx, issuer, func(sp *space) (err error) {
		out, err = f(sp)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	selector := hashSelector(sel)
	return s.walk(ctx, issuer, from, func(last []byte) (part []found, next []byte, err error) {
		err = s.indexed(ctx, issuer, func(sp *space) (err error) {
			part, next, err = sp.records(selector, last)
			return err
		})
		return part, next, err
	})
}

// walk yields the records that more finds behind a place, and then behind the next, until there is none.
func (s *Store) walk(ctx context.Context, issuer string, from store.Position, more func(last []byte) ([]found, []byte, error)) iter.Seq2[lineage.Record, error] {
	return func(yield func(lineage.Record, error) bool) {
		next, err := s.scanStart(ctx, issuer, from)
		for err == nil && next != nil {
			var part []found
			part, next, err = more(next)
			for _, f := range part {
				var r lineage.Record
				if r, err = f.record(); err != nil {
					break
				}
				if !yield(r, nil) {
					return
				}
			}
		}
		if err != nil {
			yield(lineage.Record{}, err)
		}
	}
}

// scanStart returns the place behind which a scan begins.
func (s *Store) scanStart(ctx context.Context, issuer string, from store.Position) ([]byte, error) {
	start := firstPlace
	if !from.Since.IsZero() {
		start = moment(from.Since)
	}
	if from.After.IsZero() {
		return start[:], nil
	}
	err := s.view(ctx, issuer, func(sp *space) error {
		k, err := sp.record(from.After)
		if err != nil {
			return err
		}
		if k == nil {
			return fmt.Errorf("%w: scan from an unknown record", store.ErrInvalid)
		}
		if behind := placeOf(k.record); bytes.Compare(behind[:], start[:]) > 0 {
			start = behind
		}
		return nil
	})
	return start[:], err
}

// record decodes what was found.
func (f found) record() (lineage.Record, error) {
	r, err := decodeRecord(f.value)
	if place := placeOf(r); err == nil && string(place[:]) != string(f.place) {
		err = errDamaged
	}
	return r, err
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
			if len(part) == 0 {
				return
			}
			for _, r := range part {
				if !yield(r, nil) {
					return
				}
				after = r.Seq
			}
		}
	}
}

func (s *Store) feed(ctx context.Context, issuer string, after uint64) ([]lineage.Revocation, error) {
	s.syncing.RLock()
	defer s.syncing.RUnlock()
	return read(ctx, s, issuer, func(sp *space) ([]lineage.Revocation, error) { return sp.revocations(after) })
}
