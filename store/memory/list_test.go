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
			whole, half := must(sp.index.get(everywhere)).all, must(sp.index.get(odd)).all
			require.Len(t, whole, n)
			require.Len(t, half, n/2)
			for _, all := range [][]uint32{whole, half} {
				require.True(t, slices.IsSortedFunc(all, func(a, b uint32) int { return sp.compare(a, sp.kept(b).place) }))
			}
			require.NotEqual(t, whole[:2], half[:2], "control: they do not share anything")
		})
	}
}

func must(l *list, found bool) *list {
	if !found {
		panic("no such list")
	}
	return l
}

// A record that nothing was made from is found by its own id without a list, and takes its place in that of the first that is.
func TestTheListOfAnIDBeginsWithAnother(t *testing.T) {
	for name, first := range map[string]byte{"made later": 1, "at the same time, and before it in order": 9} {
		t.Run(name, func(t *testing.T) {
			sp := newSpace()
			above := lineage.ID{first}
			token := lineage.Selector{Kind: lineage.SelectToken, Value: above.String()}
			a := sp.keep(kept{place: place{7, above}})
			require.Empty(t, sp.carrying(lineage.Selector{Kind: lineage.SelectToken, Value: lineage.ID{2}.String()}))
			sp.put(a, []lineage.Selector{token})
			_, listed := sp.index.get(token)
			require.False(t, listed)
			require.Equal(t, []uint32{a}, sp.carrying(token))
			b := sp.keep(kept{place: place{7, lineage.ID{5}}})
			sp.put(b, []lineage.Selector{token, {Kind: lineage.SelectToken, Value: lineage.ID{5}.String()}})
			want := []uint32{a, b}
			if first > 5 {
				want = []uint32{b, a}
			}
			require.Equal(t, want, sp.carrying(token))
			sp.takeAll(b, []lineage.Selector{token})
			require.Equal(t, []uint32{a}, sp.carrying(token))
			sp.takeAll(a, []lineage.Selector{token})
			delete(sp.numbers, above)
			require.Empty(t, sp.carrying(token))
		})
	}
}

// What names a record before that is there has no list without it.
func TestARecordJoinsTheListOfItsID(t *testing.T) {
	sp := newSpace()
	token := lineage.Selector{Kind: lineage.SelectToken, Value: lineage.ID{9}.String()}
	b := sp.keep(kept{place: place{8, lineage.ID{5}}})
	sp.put(b, []lineage.Selector{token})
	a := sp.keep(kept{place: place{7, lineage.ID{9}}})
	sp.put(a, []lineage.Selector{token})
	require.Equal(t, []uint32{a, b}, sp.carrying(token))
}
