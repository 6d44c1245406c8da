//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTheMutantsAreFound: a store or a pipeline that is wrong in one way is found by the schedules of the operations that it
// spoils, and nothing is found at the same points without it.
func TestTheMutantsAreFound(t *testing.T) {
	b := newBed(t)
	all := targets()
	for mutant, spoils := range map[string][]int{
		hasty: {0, 8, 3}, unsynced: {1, 8}, halves: {1, 4, 14}, forgetful: {0, 5}, generous: {3}, merciful: {8, 17},
	} {
		t.Run(mutant, func(t *testing.T) {
			for _, i := range spoils {
				o := all[i]
				var found, clean atomic.Int64
				var first atomic.Value // what was found
				each(moments(t, b, o), func(j int, s schedule) {
					dir := filepath.Join(b.root, fmt.Sprint(mutant, "-", i, "-", j))
					if _, _, err := b.try(t.Context(), s, dir, false); err != nil {
						t.Errorf("without a mutant: %v", err)
					}
					clean.Add(1)
					s.mutant = mutant
					if _, _, err := b.try(t.Context(), s, dir, false); err != nil {
						found.Add(1)
						first.CompareAndSwap(nil, err.Error())
					}
				})
				require.NotZero(t, clean.Load())
				require.NotZero(t, found.Load(), "%s was not found at %s", mutant, o)
				t.Logf("%s: %d of %d schedules found it: %s", o, found.Load(), clean.Load(), first.Load())
			}
		})
	}
}

// moments are those at which the operation itself is written, and just after, with the loss of all that was not synced.
func moments(t *testing.T, b *bed, o op) []schedule {
	t.Helper()
	s := schedule{seed: 7, ops: []op{o}}
	first := slices.Index(b.survey(t, s), "write store-wal") + 1
	require.Positive(t, first)
	var out []schedule
	for at := first; at <= first+3; at++ {
		for _, w := range []when{before, after} {
			s.point, s.loss = point{at, w}, lose
			out = append(out, s)
		}
	}
	return out
}
