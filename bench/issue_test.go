package bench

import (
	"testing"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// parallel is how many callers ask at the same time where a benchmark is about many.
const parallel = 64

// together calls f from so many callers at once, each time with the caller's number.
func together(b *testing.B, f func(caller int)) {
	b.ResetTimer()
	err := suite.Together(parallel, b.N, func(caller int) error {
		f(caller)
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
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
			cpu := suite.CPUTime()
			together(b, func(int) { g.issue(b, req) })
			b.ReportMetric(float64((suite.CPUTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
