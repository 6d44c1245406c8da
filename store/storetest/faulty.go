package storetest

import (
	"context"
	"iter"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Op is a way for a store to fail. The zero Op is none.
type Op string

// The ways to fail. CommitLost is the lost acknowledgement: the commit is applied and its caller is told that it
// failed.
const (
	Commit     Op = "Commit"
	CommitLost Op = "CommitLost"
	Get        Op = "Get"
	Heads      Op = "Heads"
	Revoked    Op = "Revoked"
	Scan       Op = "Scan"
	Feed       Op = "Feed"
)

// Ops lists every Op.
var Ops = []Op{Commit, CommitLost, Get, Heads, Revoked, Scan, Feed}

// Faulty is a store that fails in one way and otherwise is the store below. It is safe for concurrent use.
type Faulty struct {
	store.Store
	op    Op
	err   error
	off   atomic.Bool
	after atomic.Int64
	calls atomic.Int64
}

var _ store.Store = (*Faulty)(nil)

// FailOn returns s with every call that op concerns failing with err, at once: a Commit for all of its transactions. Each step
// of an iterator is a call, that to its end too: one fails before its first entry, between any two, or in place of its end.
func FailOn(s store.Store, op Op, err error) *Faulty { return &Faulty{Store: s, op: op, err: err} }

// After lets the next n calls that the Op concerns pass before the first one fails, and returns f.
func (f *Faulty) After(n int) *Faulty {
	f.after.Store(f.calls.Load() + int64(n))
	return f
}

// Set switches the fault on or off and returns f. It is on at first; calls while it is off are counted too.
func (f *Faulty) Set(on bool) *Faulty {
	f.off.Store(!on)
	return f
}

// Calls returns how many calls that the Op concerns there have been, those that passed included.
func (f *Faulty) Calls() int { return int(f.calls.Load()) }

// fails counts a call of op and reports whether it must fail.
func (f *Faulty) fails(op Op) bool {
	return f.op == op && f.calls.Add(1) > f.after.Load() && !f.off.Load()
}

// Commit implements store.Store.
func (f *Faulty) Commit(ctx context.Context, txs []store.Tx) []error {
	refuse, lose := f.fails(Commit), f.fails(CommitLost)
	errs := make([]error, len(txs))
	if !refuse {
		errs = f.Store.Commit(ctx, txs)
	}
	if refuse || lose {
		for i := range errs {
			errs[i] = f.err
		}
	}
	return errs
}

// Get implements store.Store.
func (f *Faulty) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	if f.fails(Get) {
		return nil, f.err
	}
	return f.Store.Get(ctx, issuer, ids)
}

// Heads implements store.Store.
func (f *Faulty) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if f.fails(Heads) {
		return nil, f.err
	}
	return f.Store.Heads(ctx, issuer, keys)
}

// Revoked implements store.Store.
func (f *Faulty) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	if f.fails(Revoked) {
		return nil, f.err
	}
	return f.Store.Revoked(ctx, issuer, sels)
}

// Scan implements store.Store.
func (f *Faulty) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return failing(f, Scan, f.Store.Scan(ctx, issuer, sel, from))
}

// Feed implements store.Store.
func (f *Faulty) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return failing(f, Feed, f.Store.Feed(ctx, issuer, after))
}

func failing[T any](f *Faulty, op Op, seq iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for v, err := range seq {
			if f.fails(op) {
				yield(none, f.err)
				return
			}
			if !yield(v, err) {
				return
			}
		}
		if f.fails(op) {
			yield(none, f.err)
		}
	}
}
