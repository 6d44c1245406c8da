package memory

import (
	"context"
	"iter"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Records implements store.Forgetter.
func (s *Store) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.walk(ctx, issuer, from, func(sp *space) []uint32 { return sp.every.all })
}

// Forget implements store.Forgetter.
func (s *Store) Forget(ctx context.Context, r store.Removal) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sp := s.issuers[r.Issuer]
	if sp == nil {
		sp = newSpace() // is checked all the same
	}
	return store.Remove(sp, r)
}

var _ store.Remover = (*space)(nil)

// Oldest implements store.Remover.
func (sp *space) Oldest() (uint64, error) { return sp.gone + 1, nil }

// Revocation implements store.Remover.
func (sp *space) Revocation(seq uint64) (lineage.Revocation, error) {
	return sp.feed[seq-1-sp.gone], nil
}

// Carried implements store.Remover.
func (sp *space) Carried(sel lineage.Selector, but []lineage.ID) (bool, error) {
	return slices.ContainsFunc(sp.carrying(sel), func(n uint32) bool { return !slices.Contains(but, sp.kept(n).place.id) }), nil
}

// DropRecord implements store.Remover.
func (sp *space) DropRecord(r lineage.Record) error {
	number := sp.numbers[r.ID()]
	sp.take(&sp.every, number)
	sp.takeAll(number, r.Selectors())
	delete(sp.numbers, r.ID())
	sp.decoded.Put(r.ID(), lineage.Record{}) // nobody asks for it; and what it said is not kept
	*sp.kept(number) = kept{place: sp.kept(number).place}
	at := number / piece
	if sp.left[at]--; sp.left[at] == 0 && (at+1)*piece <= min(sp.first, sp.next) {
		sp.records[at] = nil
	}
	return nil
}

// EraseRecord implements store.Remover.
func (sp *space) EraseRecord(r lineage.Record) error {
	number, rest := sp.numbers[r.ID()], r.Erase()
	sp.takeAll(number, slices.DeleteFunc(slices.Clone(r.Selectors()), func(sel lineage.Selector) bool {
		return slices.Contains(rest.Selectors(), sel)
	}))
	sp.kept(number).body = nil
	sp.decoded.Put(r.ID(), rest)
	return nil
}

// takeAll takes a record out of the lists of selectors. A list that has become empty names nobody any more.
func (sp *space) takeAll(number uint32, sels []lineage.Selector) {
	for _, sel := range sels {
		if l, found := sp.index.get(sel); found {
			if sp.take(l, number); len(l.all) == 0 {
				sp.index.remove(sel)
			}
		}
	}
}

// DropHead implements store.Remover.
func (sp *space) DropHead(key string) error {
	delete(sp.heads, key)
	return nil
}

// DropMark implements store.Remover.
func (sp *space) DropMark(sel lineage.Selector) error {
	sp.marks.remove(sel)
	return nil
}

// DropRevocations implements store.Remover.
func (sp *space) DropRevocations(until uint64) error {
	going := sp.feed[:until-sp.gone]
	clear(going)
	sp.feed = sp.feed[len(going):]
	sp.gone = until
	return nil
}
