package storetest_test

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// more are mutants that break a rule of time, of faults, of names or of concurrency.
var more = map[string]mutant{
	"Clock/Far": changing(func(tx *store.Tx) { // nanoseconds since 1970 in 64 bits
		tx.Swaps = slices.Clone(tx.Swaps)
		for i, s := range tx.Swaps {
			tx.Swaps[i].Expires = time.Unix(0, s.Expires.UnixNano())
		}
	}),
	"Clock/Zones": changing(func(tx *store.Tx) { tx.Time = zoneless(tx.Time) }),
	"Clock/Back": changing(func(tx *store.Tx) {
		if len(tx.Records) > 0 {
			tx.Leeway = time.Hour
		}
	}),
	"Clock/Ahead": changing(func(tx *store.Tx) {
		if tx.Time.Year() > 2100 {
			tx.Time = noon
		}
	}),
	"Clock/Nanoseconds": changing(func(tx *store.Tx) { tx.Time = tx.Time.Truncate(time.Millisecond) }),
	"Clock/ScanFar": from(func(p store.Position) store.Position {
		if !p.Since.IsZero() {
			p.Since = time.Unix(0, p.Since.UnixNano())
		}
		return p
	}),
	"Fault/Commit, half of a Tx": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		adds := tx
		tx.Adds, adds.Swaps, adds.Records, adds.Revocations, adds.Requires = nil, nil, nil, nil, nil
		return errors.Join(one(s, ctx, tx), one(s, ctx, adds))
	}),
	"Fault/Commit, taken for a conflict": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		err := one(s, ctx, tx)
		if errors.Is(err, context.Canceled) {
			return store.ErrConflict
		}
		return err
	}),
	"Fault/Reads": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		heads, err := s.Heads(ctx, issuer, keys)
		if err != nil {
			heads = make([]store.Head, len(keys)) // an empty answer
			for i, k := range keys {
				heads[i].Key = k
			}
		}
		return heads, nil
	}},
	"Fault/Iterators, feed": {feed: func(s store.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		return silent(s.Feed(ctx, issuer, after))
	}},
	"Fault/Iterators, scan": {scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		return silent(s.Scan(ctx, issuer, sel, from))
	}},
	"Isolation/Similar": changing(func(tx *store.Tx) {
		tx.Revocations = slices.Clone(tx.Revocations)
		for i, r := range tx.Revocations {
			tx.Revocations[i].Selector.Value = strings.TrimSpace(r.Selector.Value)
		}
	}),
	"Isolation/Huge": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		cut := make([]string, len(keys))
		for i, k := range keys {
			cut[i] = k[:min(len(k), store.MaxKey)]
		}
		return s.Heads(ctx, issuer, cut)
	}},
	"Concurrent/Skew":        changing(func(tx *store.Tx) { tx.Requires = nil }),
	"Concurrent/SkewOfMarks": changing(func(tx *store.Tx) { tx.Unrevoked = nil }),
	"Concurrent/WholeEntry":  {get: staleMarks()},
	"Concurrent/Monotonic":   {heads: staleHeads()},
	"Concurrent/Issuers": {commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		if !slices.IsSortedFunc(txs, func(a, b store.Tx) int { return strings.Compare(a.Issuer, b.Issuer) }) {
			return slices.Repeat([]error{errors.New("deadlock")}, len(txs))
		}
		return s.Commit(ctx, txs)
	}},
}

// zoneless takes the digits of a clock for those of UTC.
func zoneless(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// silent ends where seq has an error.
func silent[T any](seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for v, err := range seq {
			if err != nil || !yield(v, nil) {
				return
			}
		}
	}
}

// staleMarks returns entries with the marks of the call before.
func staleMarks() func([]store.Entry) []store.Entry {
	var mu sync.Mutex
	var before []lineage.Mark
	return func(entries []store.Entry) []store.Entry {
		mu.Lock()
		defer mu.Unlock()
		before, entries[0].Marks = entries[0].Marks, before
		return entries
	}
}

// staleHeads answers every second call as the first one.
func staleHeads() func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	var mu sync.Mutex
	var calls int
	var first []store.Head
	return func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		heads, err := s.Heads(ctx, issuer, keys)
		mu.Lock()
		defer mu.Unlock()
		if calls++; calls == 1 {
			first = heads
		}
		if calls%2 == 1 {
			return first, err
		}
		return heads, err
	}
}
