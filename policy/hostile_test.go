package policy

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

func TestHostileDocumentsAreRefusedCheaply(t *testing.T) {
	const size = maxFile - 200
	fill := func(s string) string { return strings.Repeat(s, size/len(s)) }
	cond := func(c string) string { return leafOf("deny:\n- {rule: r, when: '" + c + "'}\n") }
	for name, c := range map[string]struct{ text, want string }{
		"too large":        {leafOf("# " + strings.Repeat("x", maxFile)), "the document is larger than 262144 bytes"},
		"nested":           {leafOf("controls: " + strings.Repeat("[", 5000) + strings.Repeat("]", 5000)), "nested too deeply"},
		"many values":      {leafOf("controls: [" + fill("x, ") + "x]"), "too many values"},
		"many rules":       {leafOf("deny:\n" + strings.Repeat("- {rule: r, when: \"true\"}\n", 257)), "deny: more than 256 entries"},
		"many rules, two":  {leafOf("deny:\n" + rulesOf(129, "d", "") + "allow:\n" + rulesOf(129, "a", ", scopes: [a]")), "more than 256 rules"},
		"many scopes":      {leafOf("default_scopes: [" + numbered(129, "s") + "]"), "more than 128 scopes"},
		"many bindings":    {"bind: {client: [" + numbered(200, "c") + "], connection: [" + numbered(200, "n") + "], resource: \"*\"}\n", "more than 4096 combinations"},
		"huge literal":     {cond(fill("1")), "the expression is longer than 4096 bytes"},
		"deep expression":  {cond(strings.Repeat("!(", 1000) + "true" + strings.Repeat(")", 1000)), "limit exceeded"},
		"deep lists":       {cond(strings.Repeat("[", 2000) + strings.Repeat("]", 2000)), "limit exceeded"},
		"open brackets":    {cond(strings.Repeat("(", 4000)), "limit exceeded"},
		"syntax errors":    {cond(strings.Repeat("= ) ", 1000)), "Syntax error"},
		"late mistakes":    {cond(`"` + strings.Repeat("é", 1900) + `" ` + strings.Repeat("~", 100)), "Syntax error"},
		"ternaries":        {cond(strings.Repeat("true?true:", 400) + "true"), "limit"},
		"calls":            {cond("1" + strings.Repeat(".size()", 500) + " == 1"), "max recursion depth exceeded"},
		"repeated repeats": {cond(`client.id.matches("((a*)*)*b")`), "repeats a repeat"},
		"long repeat":      {cond(`client.id.matches("a{1000}")`), "too complex"},
		"cost":             {cond(`parent.scopes.all(s, s in client.groups)`), "may cost"},
		"cost of details":  {cond(`request.details.exists(d, d.a.b.c.contains(client.id + client.id + actor.id))`), "may cost"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load(tree(map[string]string{"crm.yaml": c.text}))
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, c.want)
			require.Less(t, len(err.Error()), 64<<10)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(128<<20))
		})
	}
}

func rulesOf(n int, prefix, more string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "- {rule: %s%d, when: \"true\"%s}\n", prefix, i, more)
	}
	return b.String()
}

func numbered(n int, prefix string) string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return strings.Join(out, ", ")
}

// The dearest expression that loads, over the largest facts there can be, ends soon.
func TestTheWorstCaseIsBounded(t *testing.T) {
	s := one(t, `allow:
- {rule: details, scopes: [a], when: 'request.details.exists(d, d.text.contains("aab"))'}
- {rule: scopes, scopes: [a], when: 'parent.scopes.exists(s, s == "x" || s.endsWith("y"))'}
- {rule: pattern, scopes: [a], when: 'env.text.matches("(a|b)*c$")'}
`)
	f := request()
	f.Scopes = []string{"a"}
	long := strings.Repeat("a", maxDynText)
	f.Env = map[string]any{"text": long}
	f.Details = []byte("[" + strings.TrimSuffix(strings.Repeat(`{"text":"`+strings.Repeat("a", 100)+`"},`, 250), ",") + "]")
	f.Parent.Scopes = make([]string, maxHeld)
	for i := range f.Parent.Scopes {
		f.Parent.Scopes[i] = strings.Repeat("b", 255) + "x"
	}
	start := time.Now()
	v := evaluate(t, s, f)
	require.Equal(t, "rule details: condition false; rule scopes: condition false; rule pattern: condition false", v.Reasons[0].Why)
	require.Equal(t, tokenboundary.Deny, v.Effect)
	require.Less(t, time.Since(start), 500*time.Millisecond)
}

func TestALongConditionLoads(t *testing.T) {
	terms := make([]string, 60)
	for i := range terms {
		terms[i] = fmt.Sprintf(`client.id != "c%d"`, i)
	}
	require.Equal(t, tokenboundary.Allow, evaluate(t, when(t, strings.Join(terms, " && ")), request()).Effect)
	require.Equal(t, tokenboundary.Allow, evaluate(t, when(t, strings.Join(terms, " || ")), request()).Effect)
}

func TestMessagesAreBoundedAndPrintable(t *testing.T) {
	require.Equal(t, "a b c", bounded("a\x00b\n\tc"))
	require.Equal(t, strings.Repeat("é", 100)+"…", bounded(strings.Repeat("é", 5000)))
	f := request()
	f.Task.Purpose = strings.Repeat("\x1b[31m", 50)
	v := evaluate(t, when(t, `timestamp(task.purpose) > now`), f)
	require.Contains(t, v.Reasons[0].Why, "failed: ")
	require.NotContains(t, v.Reasons[0].Why, "\x1b")
	require.Less(t, len(v.Reasons[0].Why), 2*maxMessage)
}
