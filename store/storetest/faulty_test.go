package storetest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
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
