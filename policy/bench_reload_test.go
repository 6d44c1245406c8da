package policy

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// BenchmarkReload measures how long decisions take while 1,000 documents are loaded again and again, and while nothing is,
// in turns. Requests come at fixed times, whether the one before has been answered or not: what waits for a processor counts.
func BenchmarkReload(b *testing.B) {
	dir := b.TempDir()
	for name, text := range manyFiles(1000, 0) {
		require.NoError(b, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700))
		require.NoError(b, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	w, err := Watch(b.Context(), dir, WatchOptions{Interval: time.Hour})
	require.NoError(b, err)
	f := request()
	f.Client.ID, f.Connection, f.Task.Purpose, f.Session.Kind = "agent-17", "salesforce-prod", "triage-51", "agent"
	var quiet, busy []time.Duration
	reloads := 0
	for b.Loop() {
		quiet = append(quiet, arrivals(b, w, f)...)
		ctx, stop := context.WithCancel(b.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			for w.Reload(ctx) == nil {
				reloads++
			}
		})
		busy = append(busy, arrivals(b, w, f)...)
		stop()
		wg.Wait()
	}
	before, during := percentile(quiet), percentile(busy)
	b.ReportMetric(float64(before.Nanoseconds()), "p99-ns")
	b.ReportMetric(float64(during.Nanoseconds()), "p99-ns/reloading")
	b.ReportMetric(float64(during)/float64(before), "ratio")
	b.ReportMetric(float64(reloads)/float64(b.N), "reloads/op")
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
