//go:build unix

package policy

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// realistic is a condition of nine terms over nine variables. It holds for request(); the number makes its text, and so
// its program, another one.
const realistic = `grant == "token_exchange" && client.kind == "agent" && session.kind == "human" && session.acr == "mfa" && ` +
	`task.purpose == "triage" && risk.level in ["low", "medium"] && actor.id != "rogue-%d" && ` +
	`subset(request.scopes, ["cases:read", "cases:write", "contacts:read", "notes:read"]) && env.tenant_frozen == false`

var benchScopes = []string{"cases:read", "cases:write", "contacts:read"}

// realisticRules makes n allow rules that name all of benchScopes.
func realisticRules(n int) string {
	var b strings.Builder
	b.WriteString("allow:\n")
	for i := range n {
		fmt.Fprintf(&b, "- {rule: r%d, lifetime: %dm, scopes: [%s], when: '%s'}\n", i, 5+i, strings.Join(benchScopes, ", "),
			fmt.Sprintf(realistic, i))
	}
	return b.String()
}

// benchRequest asks for all of benchScopes.
func benchRequest() tokenboundary.Facts {
	f := request()
	f.Scopes = benchScopes
	return f
}

// BenchmarkRules decides by 1, 5, 10 and 20 rules that all grant: the slope is the cost of one.
func BenchmarkRules(b *testing.B) {
	for _, n := range []int{1, 5, 10, 20} {
		s := one(b, realisticRules(n))
		b.Run(fmt.Sprint(n), func(b *testing.B) { measure(b, s, benchRequest(), tokenboundary.Allow) })
	}
}

// decision is a set and a request: a path below two guardrails, one deny and ten allow rules that hold, and three scopes
// of which two are held above.
func decision(t testing.TB) (*Set, tokenboundary.Facts) {
	t.Helper()
	s := load(t, map[string]string{
		"boundary.yaml":               "limits: {lifetime: 30m, depth: 5}\ncontrols: [c:1]\ndeny: [{rule: frozen, when: env.tenant_frozen == true}]\n",
		"agents/boundary.yaml":        "limits: {lifetime: 10m}\n",
		"agents/support-bot/crm.yaml": leafOf(realisticRules(10) + "controls: [c:2]\n"),
	})
	f := benchRequest()
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: benchScopes[:2]}}}
	require.Equal(t, map[string]string{crm: "cases:read cases:write"}, access(evaluate(t, s, f)))
	return s, f
}

func TestADecisionAllocatesLittle(t *testing.T) {
	s, f := decision(t)
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() {
		if v, err := s.Evaluate(t.Context(), f); err != nil || v.Effect != tokenboundary.Allow {
			t.Error(v, err)
		}
	}), 30.0)
}

// BenchmarkDecision is a whole decision, and the same with the end at a guardrail, and with no rule that holds.
func BenchmarkDecision(b *testing.B) {
	s, f := decision(b)
	b.Run("allow", func(b *testing.B) { measure(b, s, f, tokenboundary.Allow) })
	frozen := f
	frozen.Env = map[string]any{"tenant_frozen": true}
	b.Run("guardrail", func(b *testing.B) { measure(b, s, frozen, tokenboundary.Deny) })
	other := f
	other.Task = &tokenboundary.TaskFacts{Purpose: "export"}
	b.Run("no rule", func(b *testing.B) { measure(b, s, other, tokenboundary.Deny) })
}

// bound is a set of bindings: so many documents, each of clients × connections × resources.
type bound struct {
	name                                       string
	documents, clients, connections, resources int
}

func (c bound) size() int { return c.documents * c.clients * c.connections * c.resources }

// docs makes the documents. Their rules, ten each, have 50 texts.
func (c bound) docs() fstest.MapFS {
	out := fstest.MapFS{}
	for i := range c.documents {
		var b strings.Builder
		fmt.Fprintf(&b, "bind:\n  client: [%s]\n  connection: [%s]\n  resource: [%s]\nallow:\n",
			numbered(c.clients, fmt.Sprintf("agent-%d-", i)), numbered(c.connections, "salesforce-"), numbered(c.resources, crm))
		for r := range 10 {
			fmt.Fprintf(&b, "- {rule: r%d, scopes: [%s], when: '%s'}\n", r, strings.Join(benchScopes, ", "), fmt.Sprintf(realistic, (10*i+r)%50))
		}
		out[fmt.Sprintf("agents/d%d/leaf-%d.yaml", i%100, i)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return out
}

// requests makes n requests for bindings at random. Each has values of its own, so that they are as cold whatever the set.
func (c bound) requests(n int) []tokenboundary.Facts {
	r := rand.New(rand.NewPCG(1, 2))
	out := make([]tokenboundary.Facts, n)
	for i := range out {
		out[i] = benchRequest()
		out[i].Client.ID = fmt.Sprintf("agent-%d-%d", r.IntN(c.documents), r.IntN(c.clients))
		out[i].Connection = fmt.Sprintf("salesforce-%d", r.IntN(c.connections))
		out[i].Resources = []string{fmt.Sprintf("%s%d", crm, r.IntN(c.resources))}
	}
	return out
}

// BenchmarkBindings decides for a client, connection and resource at random, in sets of 100 and of 100,000 bindings with
// rules of the same 50 texts: many bindings a document, and one a document.
func BenchmarkBindings(b *testing.B) {
	for _, c := range []bound{
		{"100 of 5 leaves", 5, 4, 5, 1}, {"100000 of 100 leaves", 100, 20, 5, 10},
		{"100 of 100 leaves", 100, 1, 1, 1}, {"100000 of 100000 leaves", 100_000, 1, 1, 1},
	} {
		if c.documents > 1000 && testing.Short() {
			continue
		}
		set, err := Load(c.docs())
		require.NoError(b, err)
		require.Equal(b, c.size(), set.size())
		asked := c.requests(1 << 14)
		b.Run(c.name, func(b *testing.B) {
			i := 0
			meter(b, func() {
				f := asked[i&(len(asked)-1)]
				i++
				if v, err := set.Evaluate(b.Context(), f); err != nil || v.Effect != tokenboundary.Allow {
					b.Fatal(v, err)
				}
			})
		})
	}
}

// BenchmarkLoad100000 loads 100,000 documents, of three rules over 51 expressions and of one rule with an expression of its
// own, and reports what is kept.
func BenchmarkLoad100000(b *testing.B) {
	if testing.Short() {
		b.Skip("100,000 documents take a while: run it without -short")
	}
	const n = 100_000
	own := make(map[string]string, n)
	for i := range n {
		own[fmt.Sprintf("agents/d%d/leaf-%d.yaml", i%100, i)] = fmt.Sprintf(
			"bind: {client: agent-%d, connection: salesforce-prod, resource: https://crm.example.com/}\nallow:\n"+
				"  - {rule: r, scopes: [cases:read], lifetime: 5m, when: 'client.kind == \"agent\" && task.purpose == \"triage-%d\"'}\n", i, i)
	}
	b.Run("51 expressions", func(b *testing.B) { loadAll(b, manyFiles(n, 51)) })
	b.Run("100000 expressions", func(b *testing.B) { loadAll(b, own) })
}

func loadAll(b *testing.B, docs map[string]string) {
	fsys := tree(docs)
	held := func() float64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return float64(m.HeapAlloc)
	}
	before := held()
	var set *Set
	meter(b, func() {
		set = nil
		var err error
		set, err = Load(fsys)
		require.NoError(b, err)
	})
	kept := held() - before
	b.ReportMetric(kept/float64(len(docs)), "heap-B/binding")
	b.ReportMetric(kept/(1<<20), "heap-MiB")
	require.Equal(b, len(docs), set.size())
	runtime.KeepAlive(fsys) // it was there before, too
}

// measure decides the same request again and again.
func measure(b *testing.B, s *Set, f tokenboundary.Facts, want tokenboundary.Effect) {
	b.Helper()
	meter(b, func() {
		if v, err := s.Evaluate(b.Context(), f); err != nil || v.Effect != want {
			b.Fatal(v, err)
		}
	})
}

// meter runs f and reports, beside what it allocates, the processor time that the whole process uses for each run.
func meter(b *testing.B, f func()) {
	b.Helper()
	b.ReportAllocs()
	runtime.GC()
	start := cpuTime()
	for b.Loop() {
		f()
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// cpuTime returns the processor time that the process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
