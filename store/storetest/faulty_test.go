package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

const issuer = "https://boundary.example"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// call makes one call of s that op concerns.
func call(ctx context.Context, s store.Store, op storetest.Op) error {
	var err error
	switch op {
	case storetest.Commit, storetest.CommitLost:
		tx := store.Tx{Issuer: issuer, Time: noon, Adds: []store.Add{{Key: "n", N: 1, Max: 1000}}}
		errs := s.Commit(ctx, []store.Tx{tx, tx})
		if len(errs) != 2 || !errors.Is(errs[0], errs[1]) {
			return fmt.Errorf("results %v", errs)
		}
		err = errs[0]
	case storetest.Get:
		_, err = s.Get(ctx, issuer, nil)
	case storetest.Heads:
		_, err = s.Heads(ctx, issuer, nil)
	case storetest.Revoked:
		_, err = s.Revoked(ctx, issuer, nil)
	case storetest.Scan:
		for _, e := range s.Scan(ctx, issuer, lineage.Selector{}, store.Position{}) {
			err = e
		}
	case storetest.Feed:
		for _, e := range s.Feed(ctx, issuer, 0) {
			err = e
		}
	default:
		err = errors.New("unknown op")
	}
	return err
}

func count(t *testing.T, s store.Store) int {
	t.Helper()
	heads, err := s.Heads(t.Context(), issuer, []string{"n"})
	require.NoError(t, err)
	return int(heads[0].Count)
}

func TestFailOn(t *testing.T) {
	require.Len(t, storetest.Ops, 7)
	for _, op := range storetest.Ops {
		t.Run(string(op), func(t *testing.T) {
			below := memory.New()
			f := storetest.FailOn(below, op, io.ErrUnexpectedEOF)
			for _, other := range storetest.Ops {
				kin := other == op || fmt.Sprint(other, op) == "CommitCommitLost" || fmt.Sprint(op, other) == "CommitCommitLost"
				err := call(t.Context(), f, other)
				if kin {
					require.ErrorIs(t, err, io.ErrUnexpectedEOF)
				} else {
					require.NoError(t, err, "%s fails %s", op, other)
				}
			}
			before, calls := count(t, below), f.Calls()
			f.After(2)
			require.NoError(t, call(t.Context(), f, op))
			require.NoError(t, call(t.Context(), f, op))
			require.ErrorIs(t, call(t.Context(), f, op), io.ErrUnexpectedEOF)
			require.NoError(t, call(t.Context(), f.Set(false), op))
			require.ErrorIs(t, call(t.Context(), f.Set(true), op), io.ErrUnexpectedEOF)
			require.Equal(t, calls+5, f.Calls())
			want := map[storetest.Op]int{storetest.Commit: 2 * 3, storetest.CommitLost: 2 * 5}[op]
			require.Equal(t, want, count(t, below)-before, "how many commits reached the store below")
		})
	}
}

// An iterator fails at each of its steps: before its first entry, between any two, and in place of its end.
func TestFailOnEveryStepOfAnIterator(t *testing.T) {
	below, alice := memory.New(), lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
	for range 3 {
		r, err := lineage.Seal(
			lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: noon, Since: noon, ExpiresAt: noon.Add(time.Hour)},
			lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, Selectors: []lineage.Selector{alice}})
		require.NoError(t, err)
		tx := store.Tx{Issuer: issuer, Time: noon, Records: []lineage.Record{r}, Revocations: []lineage.Revocation{{Selector: alice, At: noon}}}
		require.NoError(t, below.Commit(t.Context(), []store.Tx{tx})[0])
	}
	for op, read := range map[storetest.Op]func(s store.Store) (entries int, err error){
		storetest.Scan: func(s store.Store) (int, error) {
			return steps(s.Scan(t.Context(), issuer, alice, store.Position{}))
		},
		storetest.Feed: func(s store.Store) (int, error) { return steps(s.Feed(t.Context(), issuer, 0)) },
	} {
		for n := range 5 {
			f := storetest.FailOn(below, op, io.ErrUnexpectedEOF).After(n)
			entries, err := read(f)
			require.Equal(t, min(n, 3), entries, "%s fails at call %d", op, n)
			if n == 4 {
				require.NoError(t, err, "control: %s has 3 entries and an end", op)
				require.Equal(t, 4, f.Calls())
				continue
			}
			require.ErrorIs(t, err, io.ErrUnexpectedEOF, "%s fails at call %d", op, n)
		}
	}
}

// steps counts the entries of seq, and returns the error that ended it.
func steps[T any](seq iter.Seq2[T, error]) (entries int, err error) {
	for _, e := range seq {
		if e != nil {
			err = errors.Join(err, e)
			continue
		}
		entries++
	}
	return entries, err
}

func TestFaultyIsOtherwiseTheStoreBelow(t *testing.T) {
	storetest.Run(t, func(*testing.T) store.Store {
		return storetest.FailOn(memory.New(), storetest.Commit, io.ErrUnexpectedEOF).Set(false)
	})
}

// A lost acknowledgement: the caller is told that the commit failed, and it was applied.
func ExampleFailOn() {
	below := memory.New()
	s := storetest.FailOn(below, storetest.CommitLost, errors.New("connection lost"))
	tx := store.Tx{Issuer: issuer, Time: noon, Swaps: []store.Swap{{Key: "k", State: "on"}}}
	fmt.Println(s.Commit(context.Background(), []store.Tx{tx})[0])
	heads, err := s.Heads(context.Background(), issuer, []string{"k"})
	fmt.Println(heads[0].State, err)
	// Output:
	// connection lost
	// on <nil>
}
