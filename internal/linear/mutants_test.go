package linear_test

import (
	"context"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

// mutant is a store in memory that breaks its contract in one way.
type mutant struct {
	store.Store
	mu     sync.Mutex
	before map[string]any // what a call was last answered

	commit  func(m *mutant, ctx context.Context, tx store.Tx) error
	entry   func(m *mutant, e store.Entry) store.Entry
	heads   func(m *mutant, heads []store.Head) []store.Head
	revoked func(m *mutant, sels []lineage.Selector, marks []lineage.Mark) []lineage.Mark
	feed    func(m *mutant, after uint64, feed []lineage.Revocation) []lineage.Revocation
	forget  func(r store.Removal) store.Removal
}

func (m *mutant) Records(ctx context.Context, issuer string, from store.Position) iter.Seq2[lineage.Record, error] {
	return m.Store.(store.Forgetter).Records(ctx, issuer, from)
}

func (m *mutant) Forget(ctx context.Context, r store.Removal) error {
	if m.forget != nil {
		r = m.forget(r)
	}
	return m.Store.(store.Forgetter).Forget(ctx, r)
}

func (m *mutant) one(ctx context.Context, tx store.Tx) error {
	return m.Store.Commit(ctx, []store.Tx{tx})[0]
}

func (m *mutant) Commit(ctx context.Context, txs []store.Tx) []error {
	if m.commit == nil {
		return m.Store.Commit(ctx, txs)
	}
	errs := make([]error, len(txs))
	for i, tx := range txs {
		errs[i] = m.commit(m, ctx, tx)
	}
	return errs
}

func (m *mutant) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	out, err := m.Store.Get(ctx, issuer, ids)
	if m.entry != nil && err == nil {
		out[0] = m.entry(m, out[0])
	}
	return out, err
}

func (m *mutant) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	out, err := m.Store.Heads(ctx, issuer, keys)
	if m.heads != nil && err == nil {
		out = m.heads(m, out)
	}
	return out, err
}

func (m *mutant) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	out, err := m.Store.Revoked(ctx, issuer, sels)
	if m.revoked != nil && err == nil {
		out = m.revoked(m, sels, out)
	}
	return out, err
}

func (m *mutant) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	if m.feed == nil {
		return m.Store.Feed(ctx, issuer, after)
	}
	return func(yield func(lineage.Revocation, error) bool) {
		var all []lineage.Revocation
		for r, err := range m.Store.Feed(ctx, issuer, after) {
			if err != nil {
				yield(r, err)
				return
			}
			all = append(all, r)
		}
		for _, r := range m.feed(m, after, all) {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// stale returns what the call that key names was answered when it was made the time before.
func stale[T any](m *mutant, key string, now T) T {
	m.mu.Lock()
	defer m.mu.Unlock()
	old, ok := m.before[key].(T)
	m.before[key] = now
	if !ok {
		return now
	}
	return old
}

// mutants are what the histories must show, each by what it breaks.
var mutants = map[string]*mutant{
	"a lost update": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		tx.Swaps = slices.Clone(tx.Swaps)
		for i, s := range tx.Swaps { // over whatever is there
			heads, err := m.Store.Heads(ctx, tx.Issuer, []string{s.Key})
			if err != nil {
				return err
			}
			tx.Swaps[i].Version = heads[0].Version
		}
		return m.one(ctx, tx)
	}},
	"a commit that is acknowledged and is not there": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		if len(tx.Revocations) == 0 && tx.Swaps != nil && rand.IntN(5) == 0 {
			return nil
		}
		return m.one(ctx, tx)
	}},
	"a commit that is refused and is there": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		err := m.one(ctx, tx)
		if err == nil && tx.Adds != nil && rand.IntN(2) == 0 {
			return &store.Conflict{Key: tx.Adds[0].Key, Full: true}
		}
		return err
	}},
	"a revocation in the wrong order": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		tx.Unrevoked = nil
		return m.one(ctx, tx)
	}},
	"a condition on the task that is not judged": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		tx.Requires = nil
		return m.one(ctx, tx)
	}},
	"a clock that is not judged": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		if len(tx.Records) > 0 {
			tx.Leeway = time.Hour
		}
		return m.one(ctx, tx)
	}},
	"a repeat that counts twice": {commit: func(m *mutant, ctx context.Context, tx store.Tx) error {
		records := tx.Records
		tx.Records = nil
		if len(records) == 0 || tx.Adds == nil {
			tx.Records = records
			return m.one(ctx, tx)
		}
		if err := m.one(ctx, tx); err != nil {
			return err
		}
		return m.one(ctx, store.Tx{Issuer: tx.Issuer, Time: tx.Time, Leeway: time.Hour, Records: records})
	}},
	"a stale mark after a revocation": {revoked: func(m *mutant, sels []lineage.Selector, marks []lineage.Mark) []lineage.Mark {
		return stale(m, sels[0].String()+sels[len(sels)-1].String(), marks)
	}},
	"a stale entry": {entry: func(m *mutant, e store.Entry) store.Entry { return stale(m, e.Record.ID().String(), e) }},
	"an entry of two moments": {entry: func(m *mutant, e store.Entry) store.Entry {
		e.Heads = stale(m, e.Record.ID().String(), e.Heads)
		return e
	}},
	"a stale head": {heads: func(m *mutant, heads []store.Head) []store.Head {
		if len(heads) == 1 && heads[0].Key != "family" {
			heads = stale(m, heads[0].Key, heads)
		}
		return heads
	}},
	"a feed out of order": {feed: func(_ *mutant, _ uint64, feed []lineage.Revocation) []lineage.Revocation {
		if n := len(feed); n > 1 && feed[n-1].Seq%2 == 0 {
			feed[n-1], feed[n-2] = feed[n-2], feed[n-1]
		}
		return feed
	}},
	"a feed that is behind": {feed: func(_ *mutant, after uint64, feed []lineage.Revocation) []lineage.Revocation {
		if n := len(feed); n > 1 && after > 0 {
			return feed[:n-1]
		}
		return feed
	}},
}

// These forget something else than what was named. What a Removal may not name is storetest's.
var forgetful = map[string]*mutant{
	"a record that was forgotten and is there": {forget: func(r store.Removal) store.Removal { r.Records = nil; return r }},
	"a body that was erased and is there":      {forget: func(r store.Removal) store.Removal { r.Bodies = nil; return r }},
	"marks that go without a floor":            {forget: func(r store.Removal) store.Removal { r.Floor = lineage.Selector{}; return r }},
	"a feed that loses an entry more":          {forget: func(r store.Removal) store.Removal { r.Feed += min(r.Feed, 1); return r }},
	"a record that goes with another":          {forget: func(r store.Removal) store.Removal { r.Records = append(r.Bodies, r.Records...); return r }},
}

// patience is how long one history of a mutant is looked at: that it has no order may take very long to see, and the next one
// may show it at once.
const patience = 3 * time.Second

// TestHistoriesShowBrokenStores looks at a few histories of each mutant: what goes wrong has to happen, and to be seen. The
// store itself, behind a mutant that breaks nothing, is the control.
func TestHistoriesShowBrokenStores(t *testing.T) {
	check := func(t *testing.T, m *mutant) porcupine.CheckResult {
		t.Helper()
		m.Store, m.before = memory.New(), map[string]any{}
		seed := rand.Uint64()
		t.Logf("TOKENBOUNDARY_LINEAR_SEED=%d", seed)
		return porcupine.CheckOperationsTimeout(model, run(t, m, seed).ops, patience)
	}
	require.Equal(t, porcupine.Ok, check(t, &mutant{}), "control")
	maps.Copy(mutants, forgetful)
	for name, m := range mutants {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				if check(t, m) == porcupine.Illegal {
					return
				}
			}
			t.Fatal("20 histories were taken for those of a store that keeps its contract")
		})
	}
}
