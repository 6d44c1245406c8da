package crash

import (
	"context"
	"slices"

	"github.com/tokenboundary/tokenboundary/store"
)

// The mutants are what a store or a pipeline could do wrong. Each must be found.
const (
	hasty     = "hasty"     // says that it is done before it has begun: what a pipeline that releases too early amounts to
	unsynced  = "unsynced"  // never syncs its log: the disk plays that
	halves    = "halves"    // writes records first, and heads and revocations then
	forgetful = "forgetful" // does not write which evidence was used, nor how a head has changed
	generous  = "generous"  // does not count
	merciful  = "merciful"  // revokes nothing
)

// wrong returns a store that is wrong in a way; the store itself where the way is empty or not one of a store.
func wrong(s store.Store, mutant string) store.Store {
	if mutant == "" || mutant == unsynced {
		return s
	}
	return &mutated{Store: s, how: mutant}
}

type mutated struct {
	store.Store
	how  string
	late []store.Tx // what was confirmed and not written
}

// Commit does it wrong.
func (m *mutated) Commit(ctx context.Context, txs []store.Tx) []error {
	txs = slices.Clone(txs)
	switch m.how {
	case hasty:
		if !slices.ContainsFunc(txs, func(t store.Tx) bool { return len(t.Records)+len(t.Revocations) > 0 }) {
			return m.Store.Commit(ctx, txs)
		}
		late := m.late
		m.late = txs
		if len(late) > 0 {
			m.Store.Commit(ctx, late)
		}
		return make([]error, len(txs))
	case halves:
		return m.halves(ctx, txs)
	}
	for i := range txs {
		switch m.how {
		case forgetful:
			if len(txs[i].Records) > 0 {
				txs[i].Swaps = nil
			}
		case generous:
			txs[i].Adds = nil
		case merciful:
			txs[i].Revocations = nil
		}
	}
	return m.Store.Commit(ctx, txs)
}

func (m *mutated) halves(ctx context.Context, txs []store.Tx) []error {
	rest := slices.Clone(txs)
	for i := range txs {
		txs[i].Swaps, txs[i].Adds, txs[i].Revocations = nil, nil, nil
		rest[i].Records, rest[i].Unrevoked = nil, nil
	}
	if errs := m.Store.Commit(ctx, txs); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		return errs
	}
	return m.Store.Commit(ctx, rest)
}
