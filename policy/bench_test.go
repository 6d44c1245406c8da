package policy

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// manyFiles makes n leaves of three rules; every expression is distinct where distinct is zero, else there are so many.
func manyFiles(n, distinct int) map[string]string {
	docs := make(map[string]string, n)
	for i := range n {
		k := 3 * i
		if distinct > 0 {
			k %= distinct
		}
		var b strings.Builder
		fmt.Fprintf(&b, "bind: {client: agent-%d, connection: salesforce-prod, resource: https://crm.example.com/}\nallow:\n", i)
		for j, c := range []string{
			`grant == "token_exchange" && session.kind == "agent" && task.purpose == "triage-%d"`,
			`client.kind == "agent" && risk.level in ["low", "medium"] && task.purpose == "refund-%d"`,
			`subset(request.scopes, ["cases:read", "contacts:read"]) && actor.id != "agent-%d" && now < task.deadline`,
		} {
			fmt.Fprintf(&b, "  - rule: r%d\n    when: %s\n    scopes: [cases:read, contacts:read]\n    lifetime: 5m\n", j, fmt.Sprintf(c, k))
		}
		docs[fmt.Sprintf("agents/d%d/leaf-%d.yaml", i%100, i)] = b.String()
	}
	return docs
}

// BenchmarkLoad1000 loads 1,000 documents of three rules each, all 3,000 expressions distinct.
func BenchmarkLoad1000(b *testing.B) {
	fsys := tree(manyFiles(1000, 0))
	b.ReportAllocs()
	for b.Loop() {
		_, err := Load(fsys)
		require.NoError(b, err)
	}
}

func BenchmarkEvaluate(b *testing.B) {
	documented := load(b, good)
	b.Run("allow", func(b *testing.B) { benchmarkEvaluate(b, documented, request(), tokenboundary.Allow) })
	frozen := request()
	frozen.Env = map[string]any{"tenant_frozen": true}
	b.Run("deny", func(b *testing.B) { benchmarkEvaluate(b, documented, frozen, tokenboundary.Deny) })
	big := load(b, manyFiles(10_000, 51))
	f := request()
	f.Client.ID, f.Connection, f.Task.Purpose, f.Session.Kind = "agent-17", "salesforce-prod", "triage-0", "agent"
	b.Run("allow of 10000 leaves", func(b *testing.B) { benchmarkEvaluate(b, big, f, tokenboundary.Allow) })
	b.Run("parallel", func(b *testing.B) {
		var failed atomic.Bool
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				v, err := documented.Evaluate(b.Context(), request())
				if err != nil || v.Effect != tokenboundary.Allow {
					failed.Store(true)
				}
			}
		})
		require.False(b, failed.Load())
	})
}

func benchmarkEvaluate(b *testing.B, s *Set, f tokenboundary.Facts, want tokenboundary.Effect) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		v, err := s.Evaluate(b.Context(), f)
		if err != nil || v.Effect != want {
			b.Fatal(v, err)
		}
	}
}
