package storetest_test

import (
	"context"
	"iter"
	"maps"
	"math"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// mutant is a store that breaks one rule.
type mutant struct {
	store.Store
	commit func(s store.Store, ctx context.Context, txs []store.Tx) []error
	get    func([]store.Entry) []store.Entry
	heads  func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error)
	marks  func(s store.Store, ctx context.Context, sels []lineage.Selector) ([]lineage.Mark, error)
	scan   func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error]
	feed   func(s store.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error]
}

func (m mutant) Commit(ctx context.Context, txs []store.Tx) []error {
	if m.commit == nil {
		return m.Store.Commit(ctx, txs)
	}
	return m.commit(m.Store, ctx, txs)
}

func (m mutant) Get(ctx context.Context, issuer string, ids []lineage.ID) ([]store.Entry, error) {
	out, err := m.Store.Get(ctx, issuer, ids)
	if m.get != nil && err == nil {
		out = m.get(out)
	}
	return out, err
}

func (m mutant) Heads(ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
	if m.heads == nil {
		return m.Store.Heads(ctx, issuer, keys)
	}
	return m.heads(m.Store, ctx, issuer, keys)
}

func (m mutant) Revoked(ctx context.Context, issuer string, sels []lineage.Selector) ([]lineage.Mark, error) {
	if m.marks == nil {
		return m.Store.Revoked(ctx, issuer, sels)
	}
	return m.marks(m.Store, ctx, sels)
}

func (m mutant) Scan(ctx context.Context, issuer string, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
	if m.scan == nil {
		return m.Store.Scan(ctx, issuer, sel, from)
	}
	return m.scan(m.Store, ctx, sel, from)
}

func (m mutant) Feed(ctx context.Context, issuer string, after uint64) iter.Seq2[lineage.Revocation, error] {
	if m.feed == nil {
		return m.Store.Feed(ctx, issuer, after)
	}
	return m.feed(m.Store, ctx, after)
}

// changing is a mutant that changes each Tx on its way in.
func changing(f func(tx *store.Tx)) mutant {
	return mutant{commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		txs = slices.Clone(txs)
		for i := range txs {
			f(&txs[i])
		}
		return s.Commit(ctx, txs)
	}}
}

// each commits every Tx by itself, after what f makes of it.
func each(f func(s store.Store, ctx context.Context, tx store.Tx) error) mutant {
	return mutant{commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		errs := make([]error, len(txs))
		for i, tx := range txs {
			errs[i] = f(s, ctx, tx)
		}
		return errs
	}}
}

func one(s store.Store, ctx context.Context, tx store.Tx) error {
	return s.Commit(ctx, []store.Tx{tx})[0]
}

// from is a mutant that begins its scans elsewhere.
func from(f func(store.Position) store.Position) mutant {
	return mutant{scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		return s.Scan(ctx, issuer, sel, f(from))
	}}
}

// later moves the moment of p, where it has one.
func later(p store.Position, by time.Duration) store.Position {
	if !p.Since.IsZero() {
		p.Since = p.Since.Add(by)
	}
	return p
}

// mutants are broken stores by the case that must find them; what follows a comma tells those of one case apart.
var mutants = map[string]mutant{
	"Records/EntryMarks": {get: func(entries []store.Entry) []store.Entry {
		for i := range entries {
			entries[i].Marks = nil
		}
		return entries
	}},
	"Records/RoundTrip": {get: func(entries []store.Entry) []store.Entry { slices.Reverse(entries); return entries }},
	"Records/Repeat": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		records := tx.Records
		tx.Records = nil
		if err := one(s, ctx, tx); err != nil || len(records) == 0 {
			return err
		}
		return one(s, ctx, store.Tx{Issuer: tx.Issuer, Time: tx.Time, Leeway: tx.Leeway, Records: records})
	}),
	"Commit/AllOrNothing": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		adds := tx
		tx.Adds, adds.Swaps, adds.Records, adds.Revocations, adds.Requires = nil, nil, nil, nil, nil
		if err := one(s, ctx, tx); err != nil {
			return err
		}
		return one(s, ctx, adds)
	}),
	"Commit/Alone": {commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		errs := s.Commit(ctx, txs)
		for _, err := range errs {
			if err != nil {
				return slices.Repeat([]error{err}, len(errs))
			}
		}
		return errs
	}},
	"Commit/Order": {commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		txs = slices.Clone(txs)
		slices.Reverse(txs)
		errs := s.Commit(ctx, txs)
		slices.Reverse(errs)
		return errs
	}},
	"Heads/Require": changing(func(tx *store.Tx) { tx.Requires = nil }),
	"Heads/Count": changing(func(tx *store.Tx) {
		tx.Adds = slices.Clone(tx.Adds)
		for i := range tx.Adds {
			tx.Adds[i].Max = math.MaxUint64
		}
	}),
	"Expiry/NeverEarly": changing(func(tx *store.Tx) {
		tx.Swaps = slices.Clone(tx.Swaps)
		for i, s := range tx.Swaps {
			if !s.Expires.IsZero() {
				tx.Swaps[i].Expires = s.Expires.Add(-time.Millisecond)
			}
		}
	}),
	"Expiry/Forgotten": changing(func(tx *store.Tx) { tx.Swaps = without(tx.Swaps, func(time.Time) bool { return true }) }),
	"Expiry/Forgotten, half of it": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		heads, err := s.Heads(ctx, issuer, keys)
		for i, h := range heads {
			if h.Version == 0 && err == nil {
				heads[i].Value = []byte("v")
			}
		}
		return heads, err
	}},
	"Expiry/Many": changing(func(tx *store.Tx) {
		tx.Swaps = without(tx.Swaps, func(t time.Time) bool { return t.Second()%7 == 0 })
	}),
	"Marks/Before":      changing(func(tx *store.Tx) { tx.Leeway = 0 }),
	"Marks/Behind":      changing(func(tx *store.Tx) { tx.Leeway = time.Hour }),
	"Marks/Block":       changing(func(tx *store.Tx) { tx.Unrevoked = nil }),
	"Concurrent/Revoke": changing(func(tx *store.Tx) { tx.Unrevoked = nil }),
	"Isolation/Issuers": {heads: func(s store.Store, ctx context.Context, _ string, keys []string) ([]store.Head, error) {
		return s.Heads(ctx, issuer, keys)
	}},
	"Isolation/Keys": changing(func(tx *store.Tx) { tx.Swaps = foldKeys(tx.Swaps) }),
	"Context/Commit": {commit: func(s store.Store, ctx context.Context, txs []store.Tx) []error {
		return s.Commit(context.WithoutCancel(ctx), txs)
	}},
	"Context/Reads": {heads: func(s store.Store, ctx context.Context, issuer string, keys []string) ([]store.Head, error) {
		return s.Heads(context.WithoutCancel(ctx), issuer, keys)
	}},
	"Scan/Resume":                           from(func(store.Position) store.Position { return store.Position{} }),
	"Scan/Since, ignored":                   from(func(p store.Position) store.Position { return store.Position{After: p.After} }),
	"Scan/Since, not what is of the moment": from(func(p store.Position) store.Position { return later(p, 1) }),
	"Scan/Since, a millisecond early":       from(func(p store.Position) store.Position { return later(p, -time.Millisecond) }),
	"Scan/Since, rounded down": from(func(p store.Position) store.Position {
		return store.Position{Since: lineage.Time(p.Since), After: p.After}
	}),
	"Scan/SinceAndAfter, one or the other": from(func(p store.Position) store.Position {
		if !p.After.IsZero() {
			p.Since = time.Time{}
		}
		return p
	}),
	"Scan/SinceAndAfter, the other or the one": from(func(p store.Position) store.Position {
		if !p.Since.IsZero() {
			p.After = lineage.ID{}
		}
		return p
	}),
	"Scan/SinceOfOthers": {scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		return func(yield func(lineage.Record, error) bool) { // runs on into the next selector
			s.Scan(ctx, issuer, sel, from)(yield)
			s.Scan(ctx, issuer, lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}, from)(yield)
		}
	}},
	"Scan/Selectors": {scan: func(s store.Store, ctx context.Context, sel lineage.Selector, from store.Position) iter.Seq2[lineage.Record, error] {
		sel.Value = strings.TrimRight(sel.Value, "*%:")
		return s.Scan(ctx, issuer, sel, from)
	}},
	"Feed/Gone": {feed: func(s store.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		return s.Feed(ctx, issuer, min(after, 3))
	}},
	"Feed/Gapless": {feed: func(s store.Store, ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error] {
		return firstOnly(s.Feed(ctx, issuer, after))
	}},
	"Concurrent/SingleUse": each(func(s store.Store, ctx context.Context, tx store.Tx) error {
		tx.Swaps = slices.Clone(tx.Swaps)
		for i, swap := range tx.Swaps { // check, then act
			h, err := s.Heads(ctx, tx.Issuer, []string{swap.Key})
			if err != nil {
				return err
			}
			if h[0].Version == swap.Version || swap.Version == 0 {
				tx.Swaps[i].Version = h[0].Version
			}
		}
		return one(s, ctx, tx)
	}),
}

// without takes the Expires that match off swaps.
func without(swaps []store.Swap, match func(time.Time) bool) []store.Swap {
	swaps = slices.Clone(swaps)
	for i, s := range swaps {
		if match(s.Expires) {
			swaps[i].Expires = time.Time{}
		}
	}
	return swaps
}

func foldKeys(swaps []store.Swap) []store.Swap {
	swaps = slices.Clone(swaps)
	for i := range swaps {
		swaps[i].Key, _, _ = strings.Cut(swaps[i].Key, "\x00")
	}
	return swaps
}

// firstOnly ends after 256 entries, as an adapter that reads one page.
func firstOnly(seq iter.Seq2[lineage.Revocation, error]) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		n := 0
		for r, err := range seq {
			if n++; n > 256 || !yield(r, err) {
				return
			}
		}
	}
}

const mutantName = "TOKENBOUNDARY_TEST_MUTANT"

// TestMutant runs the kit over the mutant that the environment names; without one it has nothing to do.
func TestMutant(t *testing.T) {
	switch name := os.Getenv(mutantName); name {
	case "":
	case "Durable":
		storetest.RunDurable(t, func(*testing.T, string) (store.Store, func()) { return memory.New(), func() {} })
	default:
		if power, ok := powers[name]; ok {
			storetest.Run(t, power.newStore, power.Options)
			return
		}
		m, ok := mutants[name]
		if !ok {
			require.Contains(t, more, name)
			m = more[name]
		}
		storetest.Run(t, func(*testing.T) store.Store {
			m.Store = memory.New()
			return m
		})
	}
}

// TestRunFindsBrokenStores runs the kit in a process of its own per mutant, which must fail and name the rule.
func TestRunFindsBrokenStores(t *testing.T) {
	names := slices.Concat([]string{"Durable"}, slices.Collect(maps.Keys(mutants)), slices.Collect(maps.Keys(more)), slices.Collect(maps.Keys(powers)))
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			rule, _, _ := strings.Cut(name, ",")
			cmd := exec.Command(os.Args[0], "-test.run=^TestMutant$/^"+strings.ReplaceAll(rule, "/", "$/^")+"$", "-test.timeout=60s")
			cmd.Env = append(os.Environ(), mutantName+"="+name)
			out, err := cmd.CombinedOutput()
			require.Error(t, err, "the kit found nothing wrong")
			require.Contains(t, string(out), "--- FAIL: TestMutant/"+rule)
			require.Contains(t, string(out), "rule broken: ")
			require.NotContains(t, string(out), "panic: test timed out")
		})
	}
}
