package postgres_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// TestExamineYieldsEverythingOnce goes through more of each than a chunk holds, in several partitions.
func TestExamineYieldsEverythingOnce(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	s := open(t, opts)
	march := time.Date(2026, 3, 31, 23, 59, 50, 0, time.UTC)
	require.NoError(t, postgres.Partition(t.Context(), database(t), opts, march, march.AddDate(0, 1, 0)))
	const n = 600
	tx := store.Tx{Issuer: forgetIssuer, Time: march.Add(time.Minute), Leeway: time.Hour}
	other := store.Tx{Issuer: "https://other.example", Time: march, Swaps: []store.Swap{{Key: "k", State: "on"}}}
	want := map[lineage.ID]bool{}
	for i := range n {
		r := monthly(t, march.Add(time.Duration(i/3)*100*time.Millisecond)) // some at the same time
		want[r.ID()] = true
		tx.Records = append(tx.Records, r)
		tx.Swaps = append(tx.Swaps, store.Swap{Key: r.ID().String(), State: "on"})
		sel := lineage.Selector{Kind: lineage.SelectToken, Value: r.ID().String()}
		tx.Revocations = append(tx.Revocations, lineage.Revocation{Selector: sel, At: march})
	}
	for _, err := range s.Commit(t.Context(), []store.Tx{tx, other}) {
		require.NoError(t, err)
	}
	require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: forgetIssuer, Bodies: []lineage.ID{tx.Records[7].ID()}, Leeway: 0}))
	var clocks, entries, marks, heads int
	var last lineage.Record
	for p, err := range s.Examine(t.Context(), forgetIssuer) {
		require.NoError(t, err)
		switch {
		case p.Fault != nil:
			t.Fatalf("%+v", *p.Fault)
		case p.Clock != nil:
			require.Equal(t, store.Clock{Time: tx.Time, Seq: n, Oldest: 1}, *p.Clock)
			clocks++
		case p.Revocation != nil:
			entries++
			require.Equal(t, uint64(entries), p.Revocation.Seq)
		case p.Mark != nil:
			marks++
		case p.Head != nil:
			heads++
		default:
			require.True(t, want[p.Record.ID()])
			delete(want, p.Record.ID())
			require.False(t, p.Record.IssuedAt.Before(last.IssuedAt))
			last = *p.Record
		}
	}
	require.Equal(t, []int{1, n, n, n}, []int{clocks, entries, marks, heads})
	require.Empty(t, want)
	for p := range s.Examine(t.Context(), "https://nobody.example") {
		t.Fatalf("%+v of an issuer that has nothing", p)
	}
}
