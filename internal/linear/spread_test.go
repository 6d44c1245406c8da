package linear_test

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// spread sends each call to the next of two nodes.
type spread struct {
	of    [2]store.Store
	calls atomic.Uint64
}

func (s *spread) next() store.Store { return s.of[s.calls.Add(1)%2] }

func (s *spread) Commit(ctx context.Context, txs []store.Tx) []error {
	return s.next().Commit(ctx, txs)
}

func (s *spread) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	return s.next().Get(ctx, issuer, ids)
}

func (s *spread) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	return s.next().Heads(ctx, issuer, keys)
}

func (s *spread) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	return s.next().Revoked(ctx, issuer, sels)
}

func (s *spread) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.next().Scan(ctx, issuer, sel, from)
}

func (s *spread) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return s.next().Feed(ctx, issuer, after)
}

func (s *spread) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.next().(store.Forgetter).Records(ctx, issuer, from)
}

func (s *spread) Forget(ctx context.Context, r store.Removal) error {
	return s.next().(store.Forgetter).Forget(ctx, r)
}
