package bench

import (
	"fmt"
	"testing"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// BenchmarkRefresh measures one refresh: the family is decided anew, the refresh token rotated, and a new access token
// recorded and signed. One family after the other, and 64 families at the same time.
func BenchmarkRefresh(b *testing.B) {
	for _, s := range stores {
		b.Run(s.name+"/one", func(b *testing.B) {
			g := newBoundary(b, s.open(b))
			g.signal(b, "agent", "low")
			t := g.issue(b, triage("agent", human("alice")))
			g.measure(b, func() { t = g.refresh(b, t) })
		})
		b.Run(s.name+"/parallel", func(b *testing.B) {
			g := newBoundary(b, s.open(b))
			g.signal(b, "agent", "low")
			var last [parallel]tb.Token
			for i := range last {
				last[i] = g.issue(b, triage("agent", human(fmt.Sprintf("person-%d", i))))
			}
			cpu := suite.CPUTime()
			together(b, func(caller int) { last[caller] = g.refresh(b, last[caller]) })
			b.ReportMetric(float64((suite.CPUTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

func (g boundary) refresh(b *testing.B, t tb.Token) tb.Token {
	return g.issue(b, tb.Request{
		Grant: tb.Refresh, Client: as("agent"), Subject: tb.Credential{Type: tb.TypeRefreshToken, Value: t.RefreshValue()},
	})
}
