package bench

import (
	"sync"
	"sync/atomic"
	"testing"

	tb "github.com/tokenboundary/tokenboundary"
)

// parallel is how many callers ask at the same time where a benchmark is about many.
const parallel = 64

// together calls f from so many callers at once, each time with the caller's number.
func together(b *testing.B, f func(caller int)) {
	var next atomic.Int64
	var all sync.WaitGroup
	b.ResetTimer()
	for caller := range parallel {
		all.Go(func() {
			for next.Add(1) <= int64(b.N) {
				f(caller)
			}
		})
	}
	all.Wait()
}

// BenchmarkIssue measures one token of the grant client_credentials, from a verified client to the signed token.
func BenchmarkIssue(b *testing.B) {
	req := tb.Request{Grant: tb.ClientCredentials, Client: as("agent"), Resource: []string{crm}, Scopes: []string{"read"}}
	for _, s := range stores {
		b.Run(s.name+"/one", func(b *testing.B) {
			g := newBoundary(b, s.open(b))
			g.measure(b, func() { g.issue(b, req) })
		})
		b.Run(s.name+"/parallel", func(b *testing.B) {
			g := newBoundary(b, s.open(b))
			cpu := cpuTime()
			together(b, func(int) { g.issue(b, req) })
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
