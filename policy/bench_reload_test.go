package policy

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// BenchmarkReload measures how long decisions take while 1,000 documents are loaded again and again, after one or all of them
// were written anew, while a goroutine only counts, and while nothing happens, in turns. Requests come at fixed times, whether
// the one before has been answered or not: what waits for a processor counts.
func BenchmarkReload(b *testing.B) {
	for name, changed := range map[string]int{"one": 1, "all": 1000} {
		b.Run(name, func(b *testing.B) { benchmarkReload(b, changed) })
	}
}

// reloaded is a watched directory of 1,000 documents.
type reloaded struct {
	*Watched
	dir   string
	names []string
	files map[string]string
}

func newReloaded(b *testing.B) *reloaded {
	r := &reloaded{dir: b.TempDir(), files: manyFiles(1000, 0)}
	r.names = slices.Sorted(maps.Keys(r.files))
	r.write(b, len(r.names), 0)
	var err error
	r.Watched, err = Watch(b.Context(), r.dir, WatchOptions{Interval: time.Hour})
	require.NoError(b, err)
	return r
}

// write writes n of the documents anew.
func (r *reloaded) write(b *testing.B, n, version int) {
	for _, name := range r.names[:n] {
		file := filepath.Join(r.dir, name)
		require.NoError(b, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(b, os.WriteFile(file, fmt.Appendf(nil, "%s# %d\n", r.files[name], version), 0o600))
	}
}

// BenchmarkReloadAlone measures what loading takes, without writing.
func BenchmarkReloadAlone(b *testing.B) {
	for name, changed := range map[string]int{"one": 1, "all": 1000} {
		b.Run(name, func(b *testing.B) {
			r := newReloaded(b)
			b.ReportAllocs()
			for i := 1; b.Loop(); i++ {
				b.StopTimer()
				r.write(b, changed, i)
				b.StartTimer()
				require.NoError(b, r.Reload(b.Context()))
			}
		})
	}
}

func benchmarkReload(b *testing.B, changed int) {
	w := newReloaded(b)
	f := request()
	f.Client.ID, f.Connection, f.Task.Purpose, f.Session.Kind = "agent-17", "salesforce-prod", "triage-51", "agent"
	reloads, took := 0, map[string][]time.Duration{}
	beside := map[string]func(context.Context){
		"quiet": func(context.Context) {},
		"counting": func(ctx context.Context) {
			for n := 0; n%1000 != 0 || ctx.Err() == nil; n++ {
			}
		},
		"reloading": func(ctx context.Context) {
			for ctx.Err() == nil {
				w.write(b, changed, reloads+1)
				if w.Reload(ctx) == nil {
					reloads++
				}
			}
		},
	}
	for b.Loop() {
		for name, work := range beside {
			ctx, stop := context.WithCancel(b.Context())
			var wg sync.WaitGroup
			wg.Go(func() { work(ctx) })
			took[name] = append(took[name], arrivals(b, w.Watched, f)...)
			stop()
			wg.Wait()
		}
	}
	quiet := percentile(took["quiet"])
	b.ReportMetric(float64(quiet.Microseconds()), "p99-µs")
	for _, name := range []string{"counting", "reloading"} {
		b.ReportMetric(float64(percentile(took[name]))/float64(quiet), name+"/quiet")
	}
	b.ReportMetric(float64(reloads)/float64(b.N), "reloads/op")
	b.ReportMetric(0, "ns/op")
}

// arrivals decides a request every half millisecond for one second and returns how long each took from its time on.
func arrivals(b *testing.B, w *Watched, f tokenboundary.Facts) []time.Duration {
	const every = 500 * time.Microsecond
	took := make([]time.Duration, 2000)
	var wg sync.WaitGroup
	start := time.Now()
	for i := range took {
		due := start.Add(time.Duration(i) * every)
		time.Sleep(time.Until(due))
		wg.Go(func() {
			v, err := w.Evaluate(b.Context(), f)
			if err != nil || v.Effect != tokenboundary.Allow {
				b.Error(v, err)
			}
			took[i] = time.Since(due)
		})
	}
	wg.Wait()
	return took
}

func percentile(took []time.Duration) time.Duration {
	slices.Sort(took)
	return took[len(took)*99/100]
}
