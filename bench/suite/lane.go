package suite

import (
	"cmp"
	"os"
	"slices"
	"time"
)

// lane is one case on its way through the rounds.
type lane struct {
	Case
	dir      string
	lasting  *Instance
	per      time.Duration // one operation on the clock, as it was the last time
	measured []Sample
}

// turn measures one slice of the lane.
func (l *lane) turn(slice time.Duration, first bool) (err error) {
	i := l.lasting
	if i == nil {
		dir, err := os.MkdirTemp(l.dir, "")
		if err != nil {
			return err
		}
		if i, err = l.Open(dir); err != nil {
			return err
		}
		defer func() { err = cmp.Or(err, i.close(), os.RemoveAll(dir)) }()
	}
	if first {
		return l.calibrate(i, slice)
	}
	s, err := l.measure(i, max(int(slice/max(l.per, 1)), l.Callers, 1))
	l.per = s.Wall
	l.measured = append(l.measured, s)
	return err
}

// calibrate does more and more operations until they take a good part of a slice.
func (l *lane) calibrate(i *Instance, slice time.Duration) error {
	for n := 4 + l.Callers; ; n *= 4 {
		s, err := l.measure(i, n)
		if err != nil {
			return err
		}
		if l.per = s.Wall; l.per*time.Duration(n) >= slice/8 {
			return nil
		}
	}
}

// median returns the median of each figure by itself.
func median(all []Sample) Sample {
	if len(all) == 0 {
		return Sample{}
	}
	return Sample{
		middle(all, func(s Sample) time.Duration { return s.CPU }),
		middle(all, func(s Sample) time.Duration { return s.Wall }),
		middle(all, func(s Sample) float64 { return s.Allocs }),
	}
}

func middle[T cmp.Ordered](all []Sample, get func(Sample) T) T {
	values := make([]T, len(all))
	for i, s := range all {
		values[i] = get(s)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
