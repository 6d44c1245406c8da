package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// forgetful is a store that breaks one rule of a store.Forgetter.
type forgetful struct {
	*memory.Store
	forget func(s *memory.Store, ctx context.Context, r store.Removal) error
	all    func(s *memory.Store, ctx context.Context, from store.Position) iter.Seq2[lineage.Record, error]
	commit func(s *memory.Store, ctx context.Context, txs []store.Tx) []error
	feed   func(s *memory.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error]
}

func (m forgetful) Forget(ctx context.Context, r store.Removal) error {
	if m.forget == nil {
		return m.Store.Forget(ctx, r)
	}
	return m.forget(m.Store, ctx, r)
}

func (m forgetful) Records(ctx context.Context, iss string, from store.Position) iter.Seq2[lineage.Record, error] {
	if m.all == nil || iss != issuer {
		return m.Store.Records(ctx, iss, from)
	}
	return m.all(m.Store, ctx, from)
}

func (m forgetful) Commit(ctx context.Context, txs []store.Tx) []error {
	if m.commit == nil {
		return m.Store.Commit(ctx, txs)
	}
	return m.commit(m.Store, ctx, txs)
}

func (m forgetful) Feed(ctx context.Context, iss string, after uint64) iter.Seq2[lineage.Revocation, error] {
	if m.feed == nil || iss != issuer {
		return m.Store.Feed(ctx, iss, after)
	}
	return m.feed(m.Store, ctx, after)
}

// removing is a store that forgets something else than it is told to.
func removing(change func(r *store.Removal)) forgetful {
	return forgetful{forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		change(&r)
		return s.Forget(ctx, r)
	}}
}

var forgetMutants = map[string]forgetful{
	"Forget/Records": removing(func(r *store.Removal) { r.Bodies, r.Records = r.Records, nil }),
	"Forget/Records, what is below": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		err := s.Forget(ctx, r)
		for rec := range s.Records(ctx, r.Issuer, store.Position{}) {
			if err == nil && slices.ContainsFunc(rec.Ancestors, func(id lineage.ID) bool { return slices.Contains(r.Records, id) }) {
				_ = s.Forget(ctx, store.Removal{Issuer: r.Issuer, Leeway: r.Leeway, Records: []lineage.ID{rec.ID()}})
			}
		}
		return err
	}},
	"Forget/Bodies, heads too": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		for _, h := range headsBy(s, ctx, r.Issuer, r.Bodies) {
			r.Heads = append(r.Heads, store.HeadVersion{Key: h.Key, Version: h.Version})
		}
		return s.Forget(ctx, r)
	}},
	"Forget/Feed, marks too": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		for e := range s.Feed(ctx, r.Issuer, 0) {
			if marks, err := s.Revoked(ctx, r.Issuer, []lineage.Selector{e.Selector}); err == nil && e.Seq <= r.Feed {
				r.Marks = append(r.Marks, marks...)
			}
		}
		return s.Forget(ctx, r)
	}},
	"Forget/NotOver":     removing(func(r *store.Removal) { r.Leeway = 0 }),
	"Forget/Bodies":      removing(func(r *store.Removal) { r.Bodies = nil }),
	"Forget/Heads":       removing(func(r *store.Removal) { r.Heads = nil }),
	"Forget/Floor":       removing(func(r *store.Removal) { r.Floor = lineage.Selector{} }),
	"Forget/Feed":        removing(func(r *store.Removal) { r.Feed = max(r.Feed, 1) - 1 }),
	"Forget/Unused":      removing(func(r *store.Removal) { r.Unused = nil }),
	"Forget/Slices":      removing(func(r *store.Removal) { r.Records = r.Records[:min(len(r.Records), 60)] }),
	"Forget/Invalid":     removing(func(r *store.Removal) { r.Leeway = max(r.Leeway, 0) }),
	"Forget/Marks":       removing(func(r *store.Removal) { r.Marks = nil }),
	"Forget/StaysErased": {forget: nil, commit: restoring()},
	"Forget/Atomic": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		records := store.Removal{Issuer: r.Issuer, Leeway: r.Leeway, Records: r.Records}
		r.Records = nil
		return errors.Join(s.Forget(ctx, records), s.Forget(ctx, r))
	}},
	"Forget/Repeated": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		for _, id := range r.Records {
			if got, _ := s.Get(ctx, r.Issuer, []lineage.ID{id}); got[0].Record.ID().IsZero() {
				return store.ErrConflict
			}
		}
		return s.Forget(ctx, r)
	}},
	"Forget/Isolated": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		other := r
		other.Issuer = "https://other.example"
		_ = s.Forget(ctx, other)
		return s.Forget(ctx, r)
	}},
	"Forget/Order": {all: func(s *memory.Store, ctx context.Context, from store.Position) iter.Seq2[lineage.Record, error] {
		return func(yield func(lineage.Record, error) bool) {
			for r, err := range s.Records(ctx, issuer, from) {
				if r.Body == nil && err == nil {
					continue // only what has a body
				}
				if !yield(r, err) {
					return
				}
			}
		}
	}},
	"Forget/WholeFeed": {feed: func(s *memory.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		if after == 0 { // 0 is a position like any other
			for r, err := range s.Feed(ctx, issuer, 0) {
				if err == nil && r.Seq > 1 {
					return func(yield func(lineage.Revocation, error) bool) { yield(lineage.Revocation{}, store.ErrGone) }
				}
			}
		}
		return s.Feed(ctx, issuer, after)
	}},
	"Forget/WhileScanned": {all: func(s *memory.Store, ctx context.Context, from store.Position) iter.Seq2[lineage.Record, error] {
		return func(yield func(lineage.Record, error) bool) {
			for { // page after page, by a record that may be gone
				n := 0
				for r, err := range s.Records(ctx, issuer, from) {
					if err != nil || !yield(r, nil) {
						yield(lineage.Record{}, err)
						return
					}
					from.After = r.ID()
					if n++; n == 50 {
						break
					}
				}
				if n < 50 {
					return
				}
			}
		}
	}},
	"Forget/WhileCommitting": {forget: func(s *memory.Store, ctx context.Context, r store.Removal) error {
		for _, id := range r.Records {
			if id[0]%7 == 0 { // somebody had the lock
				continue
			}
			if err := s.Forget(ctx, store.Removal{Issuer: r.Issuer, Leeway: r.Leeway, Records: []lineage.ID{id}}); err != nil {
				return err
			}
		}
		return nil
	}},
}

// headsBy are the heads that come with some records.
func headsBy(s *memory.Store, ctx context.Context, issuer string, ids []lineage.ID) (out []store.Head) {
	entries, _ := s.Get(ctx, issuer, ids)
	for _, e := range entries {
		out = append(out, e.Heads...)
	}
	return out
}

// restoring puts the bodies of records back that lost them.
func restoring() func(s *memory.Store, ctx context.Context, txs []store.Tx) []error {
	return func(s *memory.Store, ctx context.Context, txs []store.Tx) []error {
		for _, tx := range txs {
			for _, r := range tx.Records {
				got, _ := s.Get(ctx, tx.Issuer, []lineage.ID{r.ID()})
				if got[0].Record.ID() == r.ID() && got[0].Record.Body == nil {
					s.Commit(ctx, []store.Tx{{Issuer: tx.Issuer, Time: at9000}})
					_ = s.Forget(ctx, store.Removal{Issuer: tx.Issuer, Records: []lineage.ID{r.ID()}})
				}
			}
		}
		txs = slices.Clone(txs)
		for i := range txs {
			txs[i].Leeway = 1e6 * time.Hour
		}
		return s.Commit(ctx, txs)
	}
}

// at9000 is when all that the case makes has expired.
var at9000 = time.Date(2026, 3, 1, 15, 0, 0, 0, time.UTC)

func init() {
	for name, m := range forgetMutants {
		powers[name] = powerOf(m)
	}
}

func powerOf(m forgetful) power {
	return power{func(*testing.T) store.Store {
		m.Store = memory.New()
		return m
	}, storetest.Options{Forgets: true}}
}
