package endpoint_test

import (
	"syscall"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/endpoint"
)

// BenchmarkUnauthenticated measures the processor time of each hostile input at the token endpoint and at one that takes
// JSON. The figure to look at is the largest cpu-ms/op.
func BenchmarkUnauthenticated(b *testing.B) {
	world := newBounded(b)
	for _, rt := range []endpoint.Route{{Method: "POST", Pattern: "/token"}, {Method: "POST", Pattern: "/signals"}} {
		for _, in := range inputs() {
			b.Run(rt.Pattern[1:]+"/"+in.name, func(b *testing.B) {
				b.ReportAllocs()
				var busy time.Duration
				for range b.N {
					r := request(rt).WithContext(b.Context())
					in.change(r)
					w := newPlainWriter()
					start := cpuTime()
					world.ServeHTTP(w, r)
					busy += cpuTime() - start
				}
				b.ReportMetric(busy.Seconds()*1000/float64(b.N), "cpu-ms/op")
			})
		}
	}
}

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
