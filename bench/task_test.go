package bench

import (
	"flag"
	"fmt"
	"strings"
	"testing"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// BenchmarkSetTask shows that suspending, resuming and completing a task are one write each, which costs the same whatever
// was derived from it.
func BenchmarkSetTask(b *testing.B) {
	for _, s := range stores {
		for _, n := range []int{10, 100_000} {
			b.Run(fmt.Sprintf("%s/derived=%d", s.name, n), func(b *testing.B) {
				w, raw := newWork(b), s.open(b)
				id := w.crowd(b, raw, n)
				g := newBoundary(b, raw)
				g.signal(b, "agent-0", "low")
				b.Run("suspend", func(b *testing.B) {
					g.measure(b, func() { g.turn(b, id, tb.TaskActive) }, func() { g.turn(b, id, tb.TaskSuspended) })
				})
				b.Run("resume", func(b *testing.B) {
					g.measure(b, func() { g.turn(b, id, tb.TaskSuspended) }, func() { g.turn(b, id, tb.TaskActive) })
				})
				b.Run("complete", func(b *testing.B) {
					if n > 1000 && !strings.HasSuffix(flag.Lookup("test.benchtime").Value.String(), "x") {
						b.Skip("a task completes once, so that each round takes another one: run it with -benchtime 3x")
					}
					g.measure(b, func() { id = w.crowd(b, raw, n) }, func() { g.turn(b, id, tb.TaskCompleted) })
				})
			})
		}
	}
}

// turn changes the state of a task.
func (g boundary) turn(b *testing.B, id lineage.ID, state tb.TaskState) {
	if t, err := g.SetTask(b.Context(), ops, id, state); err != nil || t.State != state {
		b.Fatal(t, err)
	}
}
