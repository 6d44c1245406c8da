package storetest

import (
	"context"
	"iter"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Options declare what a store can do beyond store.Store. The zero value declares nothing.
type Options struct {
	// Hints, where not zero, says that the store is a store.Hinter, and within which time of a Commit its channels close, on a
	// machine as busy as that of the test.
	Hints time.Duration
	// Repeats says that the adapter passes the kit in another arrangement too, and this is one more: with -short it is skipped.
	Repeats bool
	// Lingers says that the store is a store.Lingerer.
	Lingers bool
	// Looks says that the store is a store.Looker.
	Looks bool
	// Forgets says that the store is a store.Forgetter.
	Forgets bool
	// Another returns one more store on what s keeps, as another process would open it, and closes it in t.Cleanup where it
	// has to be closed. Nil says that only one process can have it open.
	Another func(t *testing.T, s store.Store) store.Store
	// Break makes the n-th exchange (from 1) of s with what it keeps its state in fail, once: a write to a disk, or what is sent to
	// a server. It does not arrive, or it does and the answer is lost. What it returns ends that, and reports whether the
	// exchange was reached. Nil says that there is nothing to break.
	Break func(t *testing.T, s store.Store, n int, arrives bool) (mend func() (broke bool))
}

// run checks what is declared and skips what is not.
func (o Options) run(t *testing.T, newStore func(t *testing.T) store.Store) {
	t.Helper()
	declared := func(name string, has bool, cases []testCase, open func(t *testing.T) store.Store) {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				switch {
				case !has:
					t.Skipf("Options.%s is not declared", name)
				case name == "Another" && testing.Short():
					t.Skip("takes as long as everything else")
				}
				tc.run(&check{T: t, store: open(t), rule: tc.rule, patience: o.Hints, breaks: o.Break})
			})
		}
	}
	several := func(t *testing.T) store.Store {
		one := newStore(t)
		return &turns{of: [2]store.Store{one, o.Another(t, one)}}
	}
	declared("Hints", o.Hints > 0, hintCases, newStore)
	declared("Lingers", o.Lingers, lingerCases, newStore)
	declared("Looks", o.Looks, lookCases, newStore)
	declared("Forgets", o.Forgets, forgetCases, newStore)
	declared("Break", o.Break != nil, brokenCases, newStore)
	declared("Another", o.Another != nil, sharedCases(), several)
	if o.Hints > 0 {
		declared("Another", o.Another != nil, prefixed("Shared/", hintCases), several)
	}
	if o.Looks {
		declared("Another", o.Another != nil, prefixed("Shared/", lookCases), several)
	}
	if o.Forgets {
		declared("Another", o.Another != nil, prefixed("Shared/", forgetCases), several)
	}
}

// sharedCases are those that what one process has just written must not be missed by another for.
func sharedCases() []testCase {
	var out []testCase
	for _, group := range [][]testCase{recordCases, headCases, expiryCases, markCases, feedCases, concurrentCases, skewCases} {
		out = append(out, prefixed("Shared/", group)...)
	}
	return out
}

// prefixed returns cases under another name, for stores that share their state.
func prefixed(prefix string, cases []testCase) []testCase {
	out := make([]testCase, len(cases))
	for i, tc := range cases {
		out[i] = testCase{prefix + tc.name, tc.rule + "; and so for every process that shares the store", tc.run}
	}
	return out
}

// turns is two stores on one state that take turns. Commits and reads are counted apart, so that a read after a commit is made
// of the other one.
type turns struct {
	of             [2]store.Store
	commits, reads atomic.Uint64
}

func (s *turns) reader() store.Store { return s.of[s.reads.Add(1)%2] }

func (s *turns) Commit(ctx context.Context, txs []store.Tx) []error {
	return s.of[(s.commits.Add(1)+1)%2].Commit(ctx, txs)
}

func (s *turns) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	return s.reader().Get(ctx, issuer, ids)
}

func (s *turns) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	return s.reader().Heads(ctx, issuer, keys)
}

func (s *turns) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	return s.reader().Revoked(ctx, issuer, sels)
}

func (s *turns) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.reader().Scan(ctx, issuer, sel, from)
}

func (s *turns) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	return s.reader().Feed(ctx, issuer, after)
}

// Look implements store.Looker. What is none is asked twice.
func (s *turns) Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]store.Entry, []lineage.Mark, error) {
	return store.Look(ctx, s.reader(), issuer, ids, sels)
}

// Changed implements store.Hinter. What is none tells nothing.
func (s *turns) Changed(ctx context.Context, issuer string) <-chan struct{} {
	if h, ok := s.reader().(store.Hinter); ok {
		return h.Changed(ctx, issuer)
	}
	return nil
}

func (s *turns) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return s.reader().(store.Forgetter).Records(ctx, issuer, from)
}

func (s *turns) Forget(ctx context.Context, r store.Removal) error {
	return s.of[(s.commits.Add(1)+1)%2].(store.Forgetter).Forget(ctx, r)
}
