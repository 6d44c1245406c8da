// Package memory is a store that lives as long as the process: for tests, for examples, and for hosts that accept
// that a restart ends every token.
package memory

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Store is an in-memory store.Store. Its zero value is not usable; see New.
type Store struct {
	mu      sync.RWMutex
	issuers map[string]*space
}

var (
	_ store.Store     = (*Store)(nil)
	_ store.Forgetter = (*Store)(nil)
)

// New returns an empty store.
func New() *Store { return &Store{issuers: map[string]*space{}} }

// Commit implements store.Store.
func (s *Store) Commit(ctx context.Context, txs []store.Tx) []error {
	errs := make([]error, len(txs))
	s.mu.Lock()
	defer s.mu.Unlock()
	cancelled := ctx.Err()
	for i, tx := range txs {
		if errs[i] = cancelled; cancelled == nil {
			errs[i] = store.Apply(s.space(tx.Issuer), tx)
		}
	}
	return errs
}

// Get implements store.Store.
func (s *Store) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]store.Entry, len(ids))
	sp := s.issuers[issuer]
	if sp == nil {
		return out, nil
	}
	for i, id := range ids {
		r, found, err := sp.Record(id)
		if err != nil {
			return nil, err
		}
		if found {
			out[i] = sp.entry(r)
		}
	}
	return out, nil
}

// entry returns a record with all that was written about it later.
func (sp *space) entry(r lineage.Record) store.Entry {
	e := store.Entry{Record: r}
	var room [256]byte
	for _, sel := range r.Selectors() {
		if m, ok := sp.marks.get(sel); ok {
			e.Marks = append(e.Marks, m)
		}
		if !sp.headed[kindOf(sel.Kind)] {
			continue
		}
		key := append(append(append(room[:0], sel.Kind...), ':'), sel.Value...)
		if h, ok := sp.heads[string(key)]; ok { // is not copied
			e.Heads = append(e.Heads, copyHead(h))
		}
	}
	return e
}

// Heads implements store.Store.
func (s *Store) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make([]store.Head, len(keys))
	sp := s.issuers[issuer]
	for i, k := range keys {
		out[i].Key = k
		if sp != nil {
			h, _ := sp.Head(k)
			out[i] = copyHead(h)
		}
	}
	return out, nil
}

// Revoked implements store.Store.
func (s *Store) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []lineage.Mark
	if sp := s.issuers[issuer]; sp != nil {
		for _, sel := range sels {
			if m, ok := sp.marks.get(sel); ok {
				out = append(out, m)
			}
		}
	}
	return out, nil
}

// chunk is how many entries Scan and Feed read under one lock.
const chunk = 256

// Scan implements store.Store.
func (s *Store) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.walk(ctx, issuer, from, func(sp *space) []uint32 { return sp.carrying(sel) })
}

// walk yields the records of a list.
func (s *Store) walk(ctx context.Context, issuer string, from store.Position, of func(*space) []uint32) iter.Seq2[lineage.Record, error] {
	return func(yield func(lineage.Record, error) bool) {
		for at := (step{Position: from}); ; {
			part, err := s.next(ctx, issuer, at, of)
			if err != nil {
				yield(lineage.Record{}, err)
				return
			}
			for _, r := range part {
				if !yield(r, nil) {
					return
				}
				at.behind = &place{r.IssuedAt.UnixMilli(), r.ID()}
			}
			if len(part) < chunk {
				return
			}
		}
	}
}

// step is where a scan goes on: behind the place of the last record, which may be gone by then, or at the position.
type step struct {
	store.Position
	behind *place
}

func (s *Store) next(ctx context.Context, issuer string, at step, of func(*space) []uint32) ([]lineage.Record, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.issuers[issuer]
	if sp == nil {
		sp = newSpace()
	}
	all := of(sp)
	start, err := sp.start(all, at)
	if err != nil {
		return nil, err
	}
	part := all[start:min(start+chunk, len(all))]
	out := make([]lineage.Record, len(part))
	for i, number := range part {
		if out[i], _, err = sp.decode(sp.kept(number)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// start returns the index in all at which a scan goes on.
func (sp *space) start(all []uint32, from step) (int, error) {
	start := 0
	switch {
	case from.behind != nil:
		return sp.after(all, *from.behind), nil
	case !from.Since.IsZero(): // a time of issue may lie before the zero time
		start, _ = slices.BinarySearchFunc(all, since(from.Since), sp.compare)
	}
	if from.After.IsZero() {
		return start, nil
	}
	last, found := sp.numbers[from.After]
	if !found {
		return 0, fmt.Errorf("%w: scan from an unknown record", store.ErrInvalid)
	}
	return max(start, sp.after(all, sp.kept(last).place)), nil
}

// after returns the index in all of the first record behind the place.
func (sp *space) after(all []uint32, p place) int {
	at, exact := slices.BinarySearchFunc(all, p, sp.compare)
	if exact {
		at++
	}
	return at
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

func (s *Store) feed(ctx context.Context, issuer string, after uint64) ([]lineage.Revocation, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	sp := s.issuers[issuer]
	if sp == nil {
		sp = newSpace()
	}
	if after == 0 {
		after = sp.gone
	}
	if after < sp.gone || after > sp.last() {
		return nil, store.ErrGone
	}
	rest := sp.feed[after-sp.gone:]
	return slices.Clone(rest[:min(chunk, len(rest))]), nil
}
