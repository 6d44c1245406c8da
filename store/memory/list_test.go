package memory

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestListsAreInOrder puts records in that come as they do from many callers: mostly in the order of their times, of which
// few or many are the same, and some late.
func TestListsAreInOrder(t *testing.T) {
	const n = 3000
	everywhere := lineage.Selector{Kind: lineage.SelectPath, Value: "/"}
	odd := lineage.Selector{Kind: lineage.SelectClient, Value: "odd"}
	for name, at := range map[string]func(i int, rnd *rand.Rand) int64{
		"one after the other": func(i int, _ *rand.Rand) int64 { return int64(i) },
		"at the same time":    func(int, *rand.Rand) int64 { return 7 },
		"a few at a time":     func(i int, _ *rand.Rand) int64 { return int64(i / 12) },
		"many at a time":      func(i int, _ *rand.Rand) int64 { return int64(i / 100) },
		"some late":           func(i int, rnd *rand.Rand) int64 { return int64(i/12) - int64(rnd.IntN(2)*rnd.IntN(3)) },
		"some very late":      func(i int, rnd *rand.Rand) int64 { return int64(i/12) - int64(rnd.IntN(20)/19*rnd.IntN(i+1)) },
		"before the epoch":    func(i int, _ *rand.Rand) int64 { return int64(i/12) - 100 },
		"backwards":           func(i int, _ *rand.Rand) int64 { return int64(-i) },
	} {
		t.Run(name, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(5, 5))
			sp := newSpace()
			for i := range n {
				var id lineage.ID
				for j := range id[:8] {
					id[j] = byte(rnd.Uint32())
				}
				sels := []lineage.Selector{everywhere}
				if i%2 == 1 {
					sels = append(sels, odd)
				}
				sp.put(sp.keep(kept{place: place{at(i, rnd), id}}), sels)
			}
			require.Len(t, sp.index[everywhere].all, n)
			require.Len(t, sp.index[odd].all, n/2)
			for sel, l := range sp.index {
				require.True(t, slices.IsSortedFunc(l.all, func(a, b uint32) int { return sp.compare(a, sp.kept(b).place) }), sel)
			}
			require.NotEqual(t, sp.index[everywhere].all[:2], sp.index[odd].all[:2], "control: they do not share anything")
		})
	}
}
