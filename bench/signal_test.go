package bench

import (
	"flag"
	"fmt"
	"testing"
)

var (
	recorded = flag.Int("recorded", 20_000, "how many tokens are recorded when a signal comes")
	touched  = flag.Int("touched", 1_000, "how many of them a signal touches")
)

// BenchmarkSignal measures how fast a change of risk is applied to the live tokens of one agent, among those of others:
// all of them kept, and all revoked.
func BenchmarkSignal(b *testing.B) {
	for _, s := range stores {
		b.Run(fmt.Sprintf("%s/%d_of_%d", s.name, *touched, *recorded), func(b *testing.B) {
			w, raw := newWork(b), s.open(b)
			w.populate(b, raw, 0, *recorded / *touched, *touched)
			g := newBoundary(b, raw)
			risk := map[bool]string{true: "low", false: "medium"}
			b.Run("kept", func(b *testing.B) {
				up := false
				g.rate(b, func() {
					up = !up
					if out := g.signal(b, "agent-0", risk[up]); out.Kept != *touched+*touched/(derived+1) || out.Revoked != 0 {
						b.Fatalf("%+v", out)
					}
				})
			})
			next := *recorded / *touched
			b.Run("revoked", func(b *testing.B) {
				// What dies with a task that was revoked in an earlier batch is not decided anew by itself.
				fresh := func() { w.populate(b, raw, next, 1, *touched) }
				g.rate(b, fresh, func() {
					if out := g.signal(b, fmt.Sprintf("agent-%d", next), "high"); out.Kept != 0 || out.Revoked != out.Examined || out.Revoked < *touched*9/10 {
						b.Fatalf("%+v", out)
					}
					next++
				})
			})
		})
	}
}

// rate measures like measure, and reports how many touched tokens one processor decides anew in a second.
func (g boundary) rate(b *testing.B, steps ...func()) {
	rounds, used := g.measure(b, steps...)
	b.ReportMetric(float64(rounds)*float64(*touched)/used.Seconds(), "tokens/cpu-s")
}
