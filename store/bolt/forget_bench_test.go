package bolt_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// BenchmarkForget forgets 20,000 records, or their bodies, in slices of 256. The slowest slice is what everybody else waits
// for.
func BenchmarkForget(b *testing.B) {
	for _, what := range []string{"records", "bodies"} {
		b.Run(what, func(b *testing.B) {
			const total = 20_000
			var slowest, all time.Duration
			for b.Loop() {
				s := openNew(b)
				fill(b, s, total, 100)
				require.NoError(b, s.Commit(b.Context(), []store.Tx{{Issuer: tenant, Time: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)}})[0])
				var ids []lineage.ID
				for r, err := range s.Records(b.Context(), tenant, store.Position{}) {
					require.NoError(b, err)
					ids = append(ids, r.ID())
				}
				for len(ids) > 0 {
					n := min(256, len(ids))
					r := store.Removal{Issuer: tenant, Records: ids[:n]}
					if what == "bodies" {
						r.Bodies, r.Records = r.Records, nil
					}
					before := b.Elapsed()
					require.NoError(b, s.Forget(b.Context(), r))
					took := b.Elapsed() - before
					slowest, all, ids = max(slowest, took), all+took, ids[n:]
				}
			}
			b.ReportMetric(float64(all.Microseconds())/float64(b.N*total), "µs/record")
			b.ReportMetric(float64(slowest.Milliseconds()), "ms-slowest")
		})
	}
}
