package suitetest

import (
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// Bench makes a benchmark of each case. Its figures are not interleaved: ratios are for package suite.
func Bench(b *testing.B, cases []suite.Case) {
	for _, c := range cases {
		if c.Step != nil {
			continue
		}
		b.Run(c.ID(), func(b *testing.B) {
			i, err := c.Open(b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			if i.Close != nil {
				b.Cleanup(func() {
					if err := i.Close(); err != nil {
						b.Error(err)
					}
				})
			}
			if i.Prepare != nil {
				if err := i.Prepare(b.N); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := suite.CPUTime()
			if err := suite.Together(max(c.Callers, 1), b.N, i.Op); err != nil {
				b.Fatal(err)
			}
			used := suite.CPUTime() - before
			b.ReportMetric(float64(used)/float64(b.N)/float64(time.Nanosecond), "cpu-ns/op")
		})
	}
}
