package storetest_test

import (
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// several are mutants that do right by the first of many things, or by few.
var several = map[string]mutant{
	"Several/Conditions, the first Require": changing(func(tx *store.Tx) { tx.Requires = first(tx.Requires, 1) }),
	"Several/Conditions, the first Unrevoked": changing(func(tx *store.Tx) {
		tx.Unrevoked = first(tx.Unrevoked, 1)
	}),
	"Several/Conditions, the first selector": changing(func(tx *store.Tx) {
		tx.Unrevoked = slices.Clone(tx.Unrevoked)
		for i, u := range tx.Unrevoked {
			tx.Unrevoked[i].Selectors = first(u.Selectors, 1)
		}
	}),
	"Several/Conditions, one Since for all": changing(func(tx *store.Tx) {
		tx.Unrevoked = slices.Clone(tx.Unrevoked)
		for i := range tx.Unrevoked {
			tx.Unrevoked[i].Since = slices.MaxFunc(tx.Unrevoked, func(a, b store.Unrevoked) int { return a.Since.Compare(b.Since) }).Since
		}
	}),
	"Several/Conditions, the maximum of the first Add": changing(func(tx *store.Tx) {
		tx.Adds = slices.Clone(tx.Adds)
		for i := 1; i < len(tx.Adds); i++ {
			tx.Adds[i].Max = math.MaxUint64
		}
	}),
	"Several/Conditions, records all the same": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		err := one(s, ctx, tx)
		if err != nil && tx.Issuer == issuer {
			_ = one(s, ctx, store.Tx{Issuer: issuer, Time: tx.Time, Leeway: max(tx.Leeway, 0), Records: tx.Records})
		}
		return err
	}),
	"Several/Repeat, by the first record": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		for _, r := range first(tx.Records, 1) {
			if got, err := s.Get(ctx, tx.Issuer, []lineage.ID{r.ID()}); err == nil && got[0].Record.Equal(r) {
				return nil
			}
		}
		return one(s, ctx, tx)
	}),
	"Several/Repeat, takes its time": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		err := one(s, ctx, tx)
		if err == nil {
			return one(s, ctx, store.Tx{Issuer: tx.Issuer, Time: tx.Time})
		}
		return err
	}),
	"Several/Reads, a hundred entries": {get: func(entries []store.Entry) []store.Entry {
		clear(entries[min(100, len(entries)):])
		return entries
	}},
	"Several/Reads, as many heads as parameters": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		heads, err := s.Heads(ctx, issuer, keys)
		for i := 999; i < len(heads); i++ {
			heads[i] = store.Head{Key: keys[i]}
		}
		return heads, err
	}},
	"Several/Reads, each head once": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		heads, err := s.Heads(ctx, issuer, keys)
		for i := range heads {
			if slices.Contains(keys[:i], keys[i]) {
				heads[i] = store.Head{Key: keys[i]}
			}
		}
		return heads, err
	}},
	"Several/Reads, a page of marks": {marks: func(s store.Store, ctx context.Context, sels []lineage.Selector) ([]lineage.Mark, error) {
		marks, err := s.Revoked(ctx, issuer, sels)
		return first(marks, 256), err
	}},
	"Several/Marks, the first eight": {get: func(entries []store.Entry) []store.Entry {
		for i, e := range entries {
			entries[i].Marks = first(e.Marks, 8)
		}
		return entries
	}},
	"Several/Marks, without blocks": {get: func(entries []store.Entry) []store.Entry {
		for _, e := range entries {
			for i := range e.Marks {
				e.Marks[i].Blocked = false
			}
		}
		return entries
	}},
	"Several/Places, pages by time": {scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		return byTime(s, ctx, sel, from, 500)
	}},
	"Several/Places, one page": {scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		return func(yield func(lineage.Record, error) bool) {
			n := 0
			for r, err := range s.Scan(ctx, issuer, sel, from) {
				if n++; n > 1000 || !yield(r, err) {
					return
				}
			}
		}
	}},
	"Several/Revocations, each once": changing(func(tx *store.Tx) {
		same := func(a, b lineage.Revocation) bool { return a.Selector == b.Selector && a.Action == b.Action }
		tx.Revocations = slices.CompactFunc(slices.Clone(tx.Revocations), same)
	}),
	"Several/Revocations, names in lower case": changing(func(tx *store.Tx) {
		tx.Revocations = slices.Clone(tx.Revocations)
		for i := range tx.Revocations {
			tx.Revocations[i].By = strings.ToLower(tx.Revocations[i].By)
		}
	}),
	"Several/Large, values": changing(func(tx *store.Tx) {
		tx.Swaps = slices.Clone(tx.Swaps)
		for i, s := range tx.Swaps {
			tx.Swaps[i].Value = first(s.Value, 1<<16)
		}
	}),
	"Several/Large, bodies": changing(func(tx *store.Tx) {
		tx.Records = slices.Clone(tx.Records)
		for i, r := range tx.Records {
			if len(r.RawBody()) > 1<<16 {
				tx.Records[i] = r.Erase()
			}
		}
	}),
	"Several/Background": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		if tx.Background { // later, perhaps
			return nil
		}
		return one(s, ctx, tx)
	}),
}

func init() { maps.Copy(more, several) }

func first[S ~[]E, E any](list S, n int) S { return list[:min(n, len(list))] }

// byTime goes on, page after page, at the moment after that of the last record.
func byTime(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position, page int) iter.Seq2[lineage.Record, error] {
	return func(yield func(lineage.Record, error) bool) {
		for {
			n := 0
			for r, err := range s.Scan(ctx, issuer, sel, from) {
				if !yield(r, err) {
					return
				}
				from.Since = r.IssuedAt.Add(time.Millisecond)
				if n++; n == page {
					break
				}
			}
			if n < page {
				return
			}
		}
	}
}
