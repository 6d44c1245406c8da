package suite

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Together does n operations from so many callers at once and returns the first error.
func Together(callers, n int, op func(caller int) error) error {
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for caller := range callers {
		all.Go(func() {
			for failed.Load() == nil && next.Add(1) <= int64(n) {
				if err := op(caller); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// repeat does n operations as the case wants them done.
func (c Case) repeat(i *Instance, n int) error {
	if c.Callers > 1 {
		return Together(c.Callers, n, i.Op)
	}
	for range n {
		if err := i.Op(0); err != nil {
			return err
		}
	}
	return nil
}

// warm is how many operations of a fresh instance are not measured.
const warm = 16

// measure does n operations, after some that do not count, and returns what one of them took.
func (c Case) measure(i *Instance, n int) (Sample, error) {
	first := warm + c.Callers
	if err := i.prepare(first + n); err != nil {
		return Sample{}, err
	}
	if err := c.repeat(i, first); err != nil {
		return Sample{}, err
	}
	runtime.GC()
	allocs, cpu, wall := mallocs(), CPUTime(), time.Now()
	if err := c.repeat(i, n); err != nil {
		return Sample{}, err
	}
	took, used := time.Since(wall), CPUTime()-cpu
	return Sample{CPU: used / time.Duration(n), Wall: took / time.Duration(n), Allocs: float64(mallocs()-allocs) / float64(n)}, nil
}

func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}
