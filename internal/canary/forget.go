package canary

import (
	"context"
	"errors"
	"iter"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Records implements store.Forgetter for a Store that is one.
func (s Store) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	if f, ok := s.Store.(store.Forgetter); ok {
		return f.Records(ctx, issuer, from)
	}
	return func(yield func(lineage.Record, error) bool) { yield(lineage.Record{}, errors.ErrUnsupported) }
}

// Forget implements store.Forgetter for a Store that is one.
func (s Store) Forget(ctx context.Context, r store.Removal) error {
	f, ok := s.Store.(store.Forgetter)
	if !ok {
		return errors.ErrUnsupported
	}
	err := f.Forget(ctx, r)
	if err != nil {
		s.Keeper.Show("store errors", err)
	}
	return err
}
