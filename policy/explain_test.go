package policy

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func explain(t testing.TB, s *Set, f tokenboundary.Facts) Explanation {
	t.Helper()
	x, err := s.Explain(t.Context(), f)
	require.NoError(t, err)
	require.Equal(t, decided(t, s, f), x.Verdict)
	return x
}

// walked lists the steps: the rule, what it came to, and why Evaluate did not get to it.
func walked(x Explanation) []string {
	var out []string
	for _, s := range x.Steps {
		text := fmt.Sprintf("%s:%d %s %s", s.File, s.Line, s.Rule, s.Outcome)
		for _, more := range []string{s.Resource, strings.Join(s.Scopes, ","), s.Why, s.Unreached} {
			if more != "" {
				text += " | " + more
			}
		}
		out = append(out, text)
	}
	return out
}

func TestExplainWalksFromTheRootToTheLeaf(t *testing.T) {
	s := load(t, map[string]string{
		"boundary.yaml":   "deny:\n- {rule: frozen, when: env.tenant_frozen == true}\n",
		"a/boundary.yaml": "deny:\n- rule: elsewhere\n  when: |\n    resource == \"" + billing + "\"\n",
		"b/boundary.yaml": "deny: [{rule: not-on-the-way, when: \"true\"}]\n",
		"a/crm.yaml": leafOf(`deny:
- {rule: high, when: risk.level == "high"}
allow:
- {rule: reads, when: task.purpose == "triage", scopes: [cases:read]}
- {rule: writes, when: env.missing == true, scopes: [cases:read, cases:write]}
- {rule: deletes, when: "true", scopes: [cases:delete]}
`),
	})
	require.Equal(t, []string{
		`boundary.yaml:2 /boundary#frozen false`,
		`a/boundary.yaml:3 /a/boundary#elsewhere false | ` + crm,
		`a/crm.yaml:3 /a/crm#high false`,
		`a/crm.yaml:5 /a/crm#reads true | cases:read`,
		`a/crm.yaml:6 /a/crm#writes failed | cases:read | no such key: missing`,
		`a/crm.yaml:7 /a/crm#deletes  | it names no requested scope`,
	}, walked(explain(t, s, request())))

	f := request()
	f.Env = map[string]any{"tenant_frozen": true, "missing": true}
	f.Risk = "high"
	require.Equal(t, []string{
		`boundary.yaml:2 /boundary#frozen true`,
		`a/boundary.yaml:3 /a/boundary#elsewhere false | ` + crm + ` | the request was denied before`,
		`a/crm.yaml:3 /a/crm#high true | the request was denied before`,
		`a/crm.yaml:5 /a/crm#reads true | cases:read | the request was denied before`,
		`a/crm.yaml:6 /a/crm#writes true | cases:read | the request was denied before`,
		`a/crm.yaml:7 /a/crm#deletes  | it names no requested scope`,
	}, walked(explain(t, s, f)), "all that stands in the way shows at once")
}

func TestExplainSaysWhyARuleIsNotReached(t *testing.T) {
	s := load(t, map[string]string{"crm.yaml": `
bind: {client: support-bot, connection: sf, resource: [` + crm + `, ` + billing + `]}
allow:
- {rule: at-crm, when: "true", scopes: [cases:read], resources: [` + crm + `]}
- {rule: by-resource, when: resource != "", scopes: [cases:read], resources: [` + billing + `]}
`})
	f := request()
	f.Resources = []string{crm, billing}
	require.Equal(t, []string{
		`crm.yaml:4 /crm#at-crm true | cases:read`,
		`crm.yaml:5 /crm#by-resource  | ` + crm + ` | cases:read | it is for another resource`,
		`crm.yaml:5 /crm#by-resource true | ` + billing + ` | cases:read`,
	}, walked(explain(t, s, f)))

	f.Resources = []string{billing}
	require.Contains(t, walked(explain(t, s, f)), `crm.yaml:4 /crm#at-crm  | cases:read | it is for another resource`)

	f.Ceiling = &lineage.Authority{}
	require.Contains(t, walked(explain(t, s, f)),
		`crm.yaml:5 /crm#by-resource true | `+billing+` | cases:read | what the token is made from holds none of its scopes`)

	f.Ceiling, f.Scopes = nil, nil
	require.Contains(t, walked(explain(t, s, f)), `crm.yaml:4 /crm#at-crm  | it names no requested scope`)
}

func TestExplainShowsValuesAndParts(t *testing.T) {
	c := `task.purpose == "x" && (session.acr == "mfa" || env.missing == 1) && !(risk.level in ["high"]) && chain.exists(c, c.id == "bob")`
	step := explain(t, when(t, c), request()).Steps[0]
	require.Equal(t, c, step.When)
	require.Equal(t, OutcomeFalse, step.Outcome)
	require.Equal(t, []Value{
		{"task.purpose", `"triage"`}, {"session.acr", `"mfa"`}, {"env.missing", "absent"}, {"risk.level", `"low"`},
		{"chain", `[{"sub":"support-bot","iss":"https://tb.example","kind":"agent"},{"sub":"planner","iss":"https://tb.example","kind":"agent"}]`},
	}, step.Values)
	require.Equal(t, []Part{
		{Text: `task.purpose == "x"`, Outcome: OutcomeFalse, Parts: []Part{}},
		{Text: `session.acr == "mfa" || env.missing == 1`, Outcome: OutcomeTrue, Parts: []Part{
			{Text: `session.acr == "mfa"`, Outcome: OutcomeTrue, Parts: []Part{}},
			{Text: `env.missing == 1`, Outcome: OutcomeFailed, Why: "no such key: missing", Parts: []Part{}},
		}},
		{Text: `!(risk.level in ["high"])`, Outcome: OutcomeTrue, Parts: []Part{}},
		{Text: `chain.exists(c, c.id == "bob")`, Outcome: OutcomeFalse, Parts: []Part{}},
	}, step.Parts)

	f := request()
	f.Env = map[string]any{"x": strings.Repeat("é\n", 4000)}
	step = explain(t, when(t, `env.x == "a" || now == timestamp("2026-03-02T12:00:00Z")`), f).Steps[0]
	require.Equal(t, `"2026-03-02T12:00:00Z"`, step.Values[1].JSON)
	require.Less(t, len(step.Values[0].JSON), 300, "a long value is shortened")
	require.NotContains(t, step.Values[0].JSON, "\n")
}

// What the parts come to is what the whole comes to, and what a rule comes to is what Evaluate makes of it.
func TestPartsMakeTheWhole(t *testing.T) {
	atoms := []string{"true", "false", "env.missing == true", "task.present", `risk.level == "high"`, `has(env.limit)`}
	r := rand.New(rand.NewPCG(3, 4))
	var make func(depth int) string
	make = func(depth int) string {
		if depth == 0 || r.IntN(4) == 0 {
			return atoms[r.IntN(len(atoms))]
		}
		return "(" + make(depth-1) + []string{" && ", " || "}[r.IntN(2)] + make(depth-1) + ")"
	}
	seen := map[Outcome]int{}
	for range 150 {
		c := make(4)
		step := explain(t, when(t, c), request()).Steps[0]
		if len(step.Parts) == 0 {
			continue
		}
		require.Equal(t, step.Outcome, put(outermost(c), step.Parts), c)
		seen[step.Outcome]++
	}
	for _, o := range []Outcome{OutcomeTrue, OutcomeFalse, OutcomeFailed} {
		require.Positive(t, seen[o], o)
	}
}

// outermost returns the operator of a condition in brackets.
func outermost(c string) string {
	depth := 0
	for i := range c {
		switch {
		case c[i] == '(':
			depth++
		case c[i] == ')':
			depth--
		case depth == 1 && strings.ContainsRune("&|", rune(c[i])):
			return c[i : i+2]
		}
	}
	return ""
}

func put(operator string, parts []Part) Outcome {
	decides, otherwise := OutcomeFalse, OutcomeTrue
	if operator == "||" {
		decides, otherwise = OutcomeTrue, OutcomeFalse
	}
	for _, p := range parts {
		if p.Outcome == decides {
			return decides
		}
	}
	for _, p := range parts {
		if p.Outcome == OutcomeFailed {
			return OutcomeFailed
		}
	}
	return otherwise
}

func TestExplainSaysWhatBecameOfEachScope(t *testing.T) {
	s := load(t, map[string]string{
		"boundary.yaml": "deny: [{rule: d, when: 'env.tenant_frozen == true'}]\n",
		"crm.yaml": leafOf(`allow:
- {rule: reads, when: "true", scopes: [a]}
- {rule: asks, when: "true", scopes: [b], require: {approval: {by: leads}}}
- {rule: never, when: "false", scopes: [c]}
`)})
	f := request()
	f.Scopes = []string{"a", "b", "c", "d", "e"}
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"a", "b", "c", "d"}}}}
	held := []lineage.Obligation{{Kind: "approval", Scopes: []string{"b"}, Args: map[string]string{"by": "leads"}}}
	require.Equal(t, []ScopeResult{
		{Resource: crm, Scope: "a", Fate: Granted, Rule: "/crm#reads"},
		{Resource: crm, Scope: "b", Fate: Held, Rule: "/crm#asks", Obligations: held},
		{Resource: crm, Scope: "c", Fate: Dropped, Why: "rule never: condition false"},
		{Resource: crm, Scope: "d", Fate: Dropped, Why: "no rule grants it"},
		{Resource: crm, Scope: "e", Fate: Dropped, Why: "not held by what it is made from"},
	}, explain(t, s, f).Scopes)

	f.Env, f.Scopes = map[string]any{"tenant_frozen": true}, []string{"a", "d"}
	require.Equal(t, []ScopeResult{
		{Resource: crm, Scope: "a", Fate: Dropped, Rule: "/crm#reads", Why: "the request is denied by /boundary#d, and /crm#reads would grant it"},
		{Resource: crm, Scope: "d", Fate: Dropped, Why: "the request is denied by /boundary#d, and nothing would grant it: no rule grants it"},
	}, explain(t, s, f).Scopes)
}

func TestExplainSaysWhereLimitsComeFrom(t *testing.T) {
	s := load(t, map[string]string{
		"boundary.yaml":   "limits: {lifetime: 1h, depth: 5}\n",
		"a/boundary.yaml": "limits: {lifetime: 2h, depth: 4}\n",
		"a/crm.yaml": leafOf(`limits: {depth: 4, recheck: 5m}
allow:
- {rule: reads, when: task.purpose == "triage", scopes: [cases:read], lifetime: 10m}
- {rule: also, when: task.purpose == "other", scopes: [cases:read], lifetime: 1m}
`)})
	f := request()
	require.Equal(t, []Limit{
		{"lifetime", "10m", "/a/crm#reads"}, {"depth", "4", "a/boundary.yaml"}, {"derivations", "none", ""}, {"recheck", "5m", "a/crm.yaml"},
	}, explain(t, s, f).Limits)
	f.Task = nil
	require.Equal(t, Limit{"lifetime", "1h", "boundary.yaml"}, explain(t, s, f).Limits[0], "what would be in force")
}

// The verdict is Evaluate's, a rule that Evaluate got to is marked so, and what the scopes say is what the verdict says.
func TestExplainAgreesWithEvaluate(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	denied, changed := 0, 0
	for range 60 {
		text, _ := randomLeaf(r)
		s := load(t, map[string]string{"crm.yaml": text})
		for range 4 {
			f := randomFacts(r)
			x := explain(t, s, f)
			if x.Verdict.Effect != tokenboundary.Allow {
				denied++
			}
			if len(x.Changes) > 0 {
				changed++
			}
			for _, step := range x.Steps {
				if ends := step.Deny && step.Unreached == "" && step.Outcome != OutcomeFalse; ends {
					require.Equal(t, step.Rule, x.Verdict.Reasons[0].Rule, text)
				}
			}
			granted := map[string][]string{}
			for _, a := range x.Verdict.Access {
				granted[a.Resource] = a.Scopes
			}
			for _, scope := range x.Scopes {
				require.Equal(t, scope.Fate != Dropped, slices.Contains(granted[scope.Resource], scope.Scope), text)
			}
		}
	}
	require.Greater(t, denied, 20)
	require.Greater(t, changed, 20)
}

// A rule is marked as reached if and only if Evaluate evaluates it.
func TestExplainKnowsWhatEvaluateGetsTo(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	reached, unreached := 0, 0
	for range 100 {
		text, _ := randomLeaf(r)
		s := load(t, map[string]string{"crm.yaml": strings.ReplaceAll(text, "5m, refresh", "5m, resources: ["+crm+"], refresh")})
		for range 5 {
			f := randomFacts(r)
			l, resources, _ := s.resolve(&f)
			if l == nil {
				continue
			}
			v, err := newViews()
			require.NoError(t, err)
			w, err := s.walk(t.Context(), f, l, resources, v)
			require.NoError(t, err)
			if w.ended != "" {
				continue
			}
			for _, step := range w.steps {
				if step.Deny {
					continue
				}
				rule := slices.IndexFunc(l.allows, func(r rule) bool { return r.id == step.Rule })
				at := max(slices.Index(resources, step.Resource), 0)
				evaluated := w.result(rule, at).outcome != unknown
				require.Equal(t, evaluated, step.Unreached == "", "%s\n%+v", text, step)
				if evaluated {
					reached++
					require.Equal(t, outcomes[w.result(rule, at).outcome], step.Outcome)
				} else {
					unreached++
				}
			}
		}
	}
	require.Greater(t, reached, 100)
	require.Greater(t, unreached, 100)
}

// Whatever a condition is made of, its explanation ends, and proposes only what passes.
func FuzzExplain(f *testing.F) {
	for _, c := range []string{
		`task.purpose == "x" && !(env.x in ["a"])`, `env.x.y.z == 1 || has(env.x.y)`, `now - session.auth_time < duration("1m")`,
		`(task.present ? env : session.attributes).limit == 2`, `!(!(!(task.present)))`, `chain.exists(c, c.id in client.groups)`,
		`task.context.a < 2.5 && task.context["b"] != true`, `subset(client.groups, ["a"]) || subset(["a"], request.scopes)`,
		`request.details[0].amount / 5 == 2`, `env == env || [env.x] == [1]`, `now.getHours("Europe/Berlin") + 1 > 25`,
		`request.lifetime - duration("1h") > duration("-9223372036s")`, `task.deadline > timestamp("9999-12-31T23:59:59Z")`,
		`env.limit > 9223372036854775807`, `"\u0000" == task.purpose`, `resource in ["https://crm.example.com/", "no resource"]`,
	} {
		f.Add(c)
	}
	f.Fuzz(func(t *testing.T, condition string) {
		quoted, err := json.Marshal(condition)
		require.NoError(t, err)
		for _, text := range []string{"allow: [{rule: r, scopes: [cases:read], when: %s}]", "allow: [{rule: r, scopes: [cases:read], when: 'true'}]\ndeny: [{rule: d, when: %s}]"} {
			s, err := Load(tree(map[string]string{"crm.yaml": leafOf(fmt.Sprintf(text, quoted))}))
			if err != nil {
				return
			}
			x := explain(t, s, request())
			if allowed := x.Verdict.Effect == tokenboundary.Allow; allowed {
				require.Empty(t, x.Changes)
			}
			for _, step := range x.Steps {
				require.NotEmpty(t, step.Outcome)
			}
			_, err = json.Marshal(x)
			require.NoError(t, err)
		}
	})
}

func BenchmarkExplain(b *testing.B) {
	s := load(b, good)
	f := request()
	f.Scopes = []string{"cases:read", "contacts:read", "refunds:write"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Explain(context.Background(), f); err != nil {
			b.Fatal(err)
		}
	}
}

func TestExplainStopsWithItsContext(t *testing.T) {
	s := when(t, "true")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := s.Explain(ctx, request())
	require.ErrorIs(t, err, context.Canceled)
}

func TestExplainIsConcurrentWithEvaluate(t *testing.T) {
	s := when(t, `task.purpose == "other" && (env.missing == true || "x" in client.groups) && resource != ""`)
	want, verdict := explain(t, s, request()), evaluate(t, s, request())
	require.NotEmpty(t, want.Changes)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 20 {
				if i%2 == 0 {
					x, err := s.Explain(context.Background(), request())
					if err != nil || fmt.Sprint(x) != fmt.Sprint(want) {
						t.Errorf("%v: %v", x, err)
					}
				} else if v, err := s.Evaluate(context.Background(), request()); err != nil || fmt.Sprint(v) != fmt.Sprint(verdict) {
					t.Errorf("%v: %v", v, err)
				}
			}
		})
	}
	wg.Wait()
}

// The largest documents, every condition about the resource and in the way, and every variable as large as it can be.
func TestExplainIsBounded(t *testing.T) {
	var deny, allow strings.Builder
	for i := range 120 {
		fmt.Fprintf(&deny, "- {rule: d%d, when: 'resource.size() > 0 && (%s)'}\n", i, strings.Repeat(fmt.Sprintf("env.x%d == true || ", i), 20)+"task.present")
		fmt.Fprintf(&allow, "- {rule: a%d, scopes: [s%d], when: 'resource != \"\" && task.purpose == \"p%d\" && env.y == %d'}\n", i, i%8, i, i)
	}
	s := load(t, map[string]string{"crm.yaml": "bind: {client: support-bot, connection: sf, resource: '*'}\nallow:\n" + allow.String() + "deny:\n" + deny.String()})
	f := request()
	f.Resources, f.Scopes = nil, nil
	for i := range 16 {
		f.Resources = append(f.Resources, fmt.Sprintf("https://r%d.example/", i))
	}
	for i := range 8 {
		f.Scopes = append(f.Scopes, fmt.Sprintf("s%d", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	x, err := s.Explain(ctx, f)
	require.NoError(t, err)
	require.Len(t, x.Steps, 120*16*2)
	out, err := json.Marshal(x)
	require.NoError(t, err)
	require.Less(t, len(out), 8<<20)
}
