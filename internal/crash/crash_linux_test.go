//go:build linux && (amd64 || arm64)

package crash

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests look at these.
const (
	// countVariable is how many schedules run, at least all those of the single operations.
	countVariable = "TOKENBOUNDARY_CRASH_SCHEDULES"
	// onlyVariable is the number of a history, or a part of the name of a schedule: only that runs.
	onlyVariable = "TOKENBOUNDARY_CRASH_ONLY"
)

const defaultSchedules = 2000

// rounds is how often a history is interrupted, and goes on.
const rounds = 4

// wanted returns how many schedules are to run.
func wanted(t *testing.T) int {
	t.Helper()
	text := os.Getenv(countVariable)
	if text == "" {
		if testing.Short() {
			return 0
		}
		return defaultSchedules
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, countVariable)
	return n
}

// points are the moments at which a script can end: before each change or sync of a file, in the middle of each write, and
// after each sync, before anybody is told.
func points(seen []string) []point {
	var out []point
	for i, what := range seen {
		out = append(out, point{i + 1, before})
		if strings.HasPrefix(what, "write ") {
			out = append(out, point{i + 1, during})
		}
		if strings.HasPrefix(what, "sync ") {
			out = append(out, point{i + 1, after})
		}
	}
	return out
}

// full is how much is committed before, so that the next commit finds no room in the log and becomes a checkpoint.
const full = 4<<20 - 250

// singles are the schedules of one operation: every loss at every moment of what it writes itself, and of opening and closing
// the store, which is the same for all, a part for each; for some, also those of a checkpoint that it makes necessary.
func (b *bed) singles(t *testing.T, o op, seed uint64) []schedule {
	t.Helper()
	var out []schedule
	fills := []int{0}
	if seed%6 == 0 {
		fills = append(fills, full)
	}
	for _, fill := range fills {
		s := schedule{seed: seed, ops: []op{o}, fill: fill}
		seen := b.survey(t, s)
		first, last := slices.Index(seen, "write store-wal"), len(seen)
		if fill > 0 { // only what comes after it is of interest
			require.Equal(t, "write store", seen[first+2], "the commit of %s is a checkpoint", o)
			last = first + 2 + slices.Index(seen[first+2:], "remove store-wal")
		}
		for i, p := range points(seen) {
			own := p.at > first && p.at <= first+4 && fill == 0
			if fill > 0 && (p.at <= first+2 || p.at > last) {
				continue
			}
			for j, l := range []loss{keep, lose, tear} {
				if own || (i+int(seed))%6 == 2*j {
					s.point, s.loss = p, l
					out = append(out, s)
				}
			}
		}
	}
	return out
}

// survey returns what a script does to the files when nobody ends it.
func (b *bed) survey(t *testing.T, s schedule) []string {
	t.Helper()
	s.loss = keep
	_, seen, err := b.try(t.Context(), s, filepath.Join(b.root, "survey"), false)
	require.NoError(t, err, s)
	return seen
}

// TestEveryWrite ends a process at every write of every operation, and then at random writes of random histories, until as
// many schedules have run as were asked for.
func TestEveryWrite(t *testing.T) {
	b, only := newBed(t), os.Getenv(onlyVariable)
	var all []schedule
	for i, o := range targets() {
		if testing.Short() && i%6 != 0 {
			continue
		}
		all = append(all, b.singles(t, o, uint64(100+i))...)
	}
	var n atomic.Int64
	each(all, func(i int, s schedule) {
		if t.Failed() || !strings.Contains(s.String(), only) {
			return
		}
		n.Add(1)
		if _, seen, err := b.try(t.Context(), s, filepath.Join(b.root, fmt.Sprint("single-", i)), false); err != nil {
			t.Errorf("%v\n%s=%q\n%s", err, onlyVariable, s, strings.Join(seen, ", "))
		}
	})
	histories := max(0, wanted(t)-len(all)+rounds-1) / rounds
	each(make([]struct{}, histories), func(i int, _ struct{}) {
		seed := uint64(i + 1000)
		if t.Failed() || only != "" && only != fmt.Sprint(seed) {
			return
		}
		n.Add(rounds)
		if err := b.history(t, seed); err != nil {
			t.Errorf("%v\n%s=%d", err, onlyVariable, seed)
		}
	})
	t.Logf("%d schedules: %d of single operations, %d histories of %d rounds", n.Load(), len(all), histories, rounds)
	require.NotZero(t, n.Load())
}

// history interrupts a node again and again, and lets it go on from what is left.
func (b *bed) history(t *testing.T, seed uint64) error {
	r := rand.New(rand.NewPCG(seed, 2))
	var story []string
	for round := range rounds {
		name := fmt.Sprintf("%d-%d", seed, round+1)
		s := schedule{seed: r.Uint64(), ops: b.model.story(r, 1+r.IntN(6), name)}
		s.point = point{1 + r.IntN(12+2*len(s.ops)+6), []when{before, during, after}[r.IntN(3)]}
		if r.IntN(4) > 0 {
			s.point.at = 9 + r.IntN(2*len(s.ops)+2)
		}
		s.loss = []loss{keep, lose, tear}[r.IntN(3)]
		story = append(story, s.String())
		next, seen, err := b.try(t.Context(), s, filepath.Join(b.root, name), true)
		if err != nil {
			return fmt.Errorf("%w\n%s\n%s", err, strings.Join(story, "\n"), strings.Join(seen, ", "))
		}
		if round > 0 {
			if err := os.RemoveAll(b.dir); err != nil {
				return err
			}
		}
		b = next
	}
	return os.RemoveAll(b.dir)
}

// each calls f for all, as many at a time as there are processors.
func each[T any](all []T, f func(int, T)) {
	var wg sync.WaitGroup
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(all); i = int(next.Add(1)) - 1 {
				f(i, all[i])
			}
		})
	}
	wg.Wait()
}
