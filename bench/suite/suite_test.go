package suite

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// counted is a case that says how often it was opened, prepared, run and closed.
type counted struct {
	opened, closed, prepared, done atomic.Int64
	fail                           error
}

func (c *counted) open(dir string) (*Instance, error) {
	c.opened.Add(1)
	return &Instance{
		Op: func(int) error {
			if c.done.Add(1); c.prepared.Load() < c.done.Load() {
				return errors.New("not prepared")
			}
			return c.fail
		},
		Prepare: func(n int) error { c.prepared.Add(int64(n)); return nil },
		Close:   func() error { c.closed.Add(1); return os.WriteFile(filepath.Join(dir, "left"), nil, 0o600) },
	}, nil
}

func TestTogetherDoesExactlyN(t *testing.T) {
	var done atomic.Int64
	require.NoError(t, Together(8, 100, func(caller int) error {
		done.Add(1)
		if caller < 0 || caller >= 8 {
			return errors.New("no such caller")
		}
		return nil
	}))
	require.Equal(t, int64(100), done.Load())
	bad := errors.New("bad")
	require.ErrorIs(t, Together(8, 100, func(int) error { return bad }), bad)
}

func TestARunMeasuresTheGroupWithItsBase(t *testing.T) {
	var base, fresh, lasting, other counted
	dir := t.TempDir()
	cases := []Case{
		{Group: "bare", Name: "base", Open: base.open},
		{Group: "ours", Name: "fresh", Base: "bare/base", Callers: 4, Open: fresh.open},
		{Group: "ours", Name: "lasting", Base: "bare/base", Lasting: true, Open: lasting.open},
		{Group: "ours", Name: "step", Step: &Step{More: "ours/fresh", Less: "ours/lasting", Count: 2}},
		{Group: "other", Name: "other", Open: other.open},
	}
	rows, err := Run(cases, Options{Rounds: 3, Slice: time.Microsecond, Only: regexp.MustCompile("^ours/"), Dir: dir})
	require.NoError(t, err)
	require.Len(t, rows, 3)
	for _, r := range rows[:2] {
		require.NotNil(t, r.Beside, "the base is measured with the group, though it was not asked for")
	}
	require.Equal(t, "step", rows[2].Name)
	for _, c := range []*counted{&base, &fresh} {
		require.Equal(t, int64(4), c.opened.Load(), "anew for each round, and to calibrate")
		require.Equal(t, int64(4), c.closed.Load())
	}
	require.Equal(t, int64(1), lasting.opened.Load())
	require.Equal(t, int64(1), lasting.closed.Load())
	require.Zero(t, other.opened.Load())
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestACaseThatFailsEndsTheRun(t *testing.T) {
	bad := counted{fail: errors.New("refused")}
	_, err := Run([]Case{{Group: "g", Name: "bad", Open: bad.open}}, Options{Rounds: 1, Slice: time.Microsecond, Dir: t.TempDir()})
	require.ErrorIs(t, err, bad.fail)
	require.ErrorContains(t, err, "g/bad")
	require.Equal(t, bad.opened.Load(), bad.closed.Load())
}

func TestTheMedianIsOfEachFigure(t *testing.T) {
	got := median([]Sample{{3, 10, 1}, {1, 30, 2}, {2, 20, 9}})
	require.Equal(t, Sample{2, 20, 2}, got)
	require.Zero(t, median(nil))
}

func TestTheTable(t *testing.T) {
	us := func(n float64) time.Duration { return time.Duration(n * 1e3) }
	base := Sample{CPU: us(80), Wall: us(100)}
	atMost, took := []Target{AtMost(Ratio, 1.3)}, Sample{us(160), us(90), 7}
	rows := []Row{
		{Case: Case{Group: "bare", Name: "base"}, Took: base},
		{Case: Case{Group: "ours", Name: "slow", Base: "bare/base", Targets: atMost}, Took: took, Beside: &base},
		{Case: Case{Group: "ours", Name: "quick", Base: "bare/base", Wall: true, Targets: atMost}, Took: took, Beside: &base},
		{
			Case: Case{Group: "ours", Name: "half", Base: "bare/base", Wall: true, Share: true, Targets: []Target{AtLeast(Ratio, 35)}},
			Took: Sample{us(9), us(200), 7}, Beside: &base,
		},
		{
			Case: Case{Group: "ours", Name: "small", Targets: []Target{AtMost(Micros, 5), AtMost(Allocs, 30)}, Step: &Step{}},
			Took: Sample{us(4.5), us(20000), 31},
		},
	}
	var b strings.Builder
	require.NoError(t, Write(&b, rows))
	require.Equal(t, `| case | CPU per op | wall per op | allocs | compared with | ratio | target | |
|---|---|---|---|---|---|---|---|
| **bare** | | | | | | | |
| base | 80.0 µs | 100 µs | 0 |  |  |  |  |
| **ours** | | | | | | | |
| slow | 160 µs | 90.0 µs | 7 | base: CPU 80.0 µs | 2.00 × | ≤ 1.3 × | **missed** |
| quick | 160 µs | 90.0 µs | 7 | base: wall 100 µs | 0.90 × | ≤ 1.3 × | met |
| half | 9.00 µs | 200 µs | 7 | base: wall 100 µs | 50 % | ≥ 35 % | met |
| small | 4.50 µs |  | 31 |  |  | ≤ 5 µs, ≤ 30 allocs | **missed** |
`, b.String())
}
