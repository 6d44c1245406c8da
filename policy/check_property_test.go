package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

var (
	anyTexts   = []string{"a", "ab", "b", "human", "agent", "low", "high", "unknown", "token_exchange", "refresh_token", "support-bot", "https://crm.example.com/"}
	textTerms  = []string{"grant", "session.kind", "subject.kind", "client.kind", "risk.level", "task.purpose", "client.id", "resource", "parent.purpose", "env.x", "actor.id", "subject.id"}
	numTerms   = []string{"parent.depth", "size(client.groups)", "now.getHours()", "env.n", `now.getDayOfWeek("Asia/Tokyo")`, "request.scopes.size()"}
	boolTerms  = []string{"task.present", "parent.present", "has(env.x)", `"n" in env`, "true", "false", `has(task.context.k)`, "chain.exists(p, p.kind == 'agent')"}
	listTerms  = []string{"client.groups", "request.scopes", "session.amr", "parent.scopes"}
	someTimes  = []string{`timestamp("2026-03-02T08:00:00Z")`, `timestamp("2026-03-02T12:00:00Z")`, "now", "task.deadline", "session.auth_time"}
	someSpans  = []string{`duration("1m")`, `duration("5m")`, "request.lifetime", "now - session.auth_time"}
	listTexts  = []string{"a", "b", "c"}
	comparison = []string{"==", "!=", "<", "<=", ">", ">="}
)

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

func textList(r *rand.Rand, from []string) string {
	out := make([]string, r.IntN(4))
	for i := range out {
		out[i] = fmt.Sprintf("%q", pick(r, from))
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// randomCondition makes a condition of the kinds that Check analyses, and some that it does not.
func randomCondition(r *rand.Rand, depth int) string {
	if depth > 0 {
		a, b := randomCondition(r, depth-1), randomCondition(r, depth-1)
		switch r.IntN(9) {
		case 0, 1, 2, 3:
			return "(" + a + " && " + b + ")"
		case 4, 5:
			return "(" + a + " || " + b + ")"
		case 6:
			return "!(" + a + ")"
		case 7:
			return "(" + a + " ? " + b + " : " + randomCondition(r, depth-1) + ")"
		case 8:
			return "((" + a + ") " + pick(r, comparison[:2]) + " " + pick(r, []string{"true", "false"}) + ")"
		}
	}
	op := pick(r, comparison)
	switch r.IntN(12) {
	case 0, 1:
		return fmt.Sprintf("%s %s %q", pick(r, textTerms), pick(r, comparison[:2]), pick(r, anyTexts))
	case 2:
		return fmt.Sprintf("%s in %s", pick(r, textTerms), textList(r, anyTexts))
	case 3:
		return fmt.Sprintf("%s.%s(%q)", pick(r, textTerms), pick(r, []string{"startsWith", "endsWith", "contains", "matches"}), pick(r, anyTexts))
	case 4:
		return fmt.Sprintf("%s %s %s", pick(r, textTerms[:9]), op, pick(r, textTerms[:9]))
	case 5, 6:
		return fmt.Sprintf("%s %s %d", pick(r, numTerms), op, r.IntN(4))
	case 7:
		return fmt.Sprintf("%d %s %s", r.IntN(4), op, pick(r, numTerms))
	case 8:
		return pick(r, boolTerms)
	case 9:
		return fmt.Sprintf("%s %s %s", pick(r, someTimes), op, pick(r, someTimes))
	case 10:
		return fmt.Sprintf("%s %s %s", pick(r, someSpans), op, pick(r, someSpans))
	}
	return pick(r, []string{
		fmt.Sprintf("subset(%s, %s)", pick(r, listTerms), textList(r, listTexts)), fmt.Sprintf("subset(%s, %s)", textList(r, listTexts), pick(r, listTerms)),
		fmt.Sprintf("%q in %s", pick(r, listTexts), pick(r, listTerms)), "env.on == true", "env.on != true", "env.x == null", "env.n in [1, 2]", `env.x != "a"`,
	})
}

// possibleFacts makes facts that the boundary can ask about: what has a closed domain is within it.
func possibleFacts(r *rand.Rand) tokenboundary.Facts {
	f := request()
	f.Grant = []tokenboundary.Grant{tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh}[r.IntN(3)]
	f.Client.Kind = pick(r, []string{"agent", "workload", "human-app"})
	f.Subject.Kind, f.Session.Kind = pick(r, partyList), pick(r, partyList)
	f.Subject.ID, f.Actor.ID = pick(r, anyTexts), pick(r, anyTexts)
	f.Risk = pick(r, []string{"", "low", "medium", "high", "unknown"})
	f.Client.Groups, f.Session.AMR, f.Scopes = some(r, listTexts), some(r, listTexts), some(r, listTexts)
	f.Now = noon.Add(time.Duration(r.IntN(48)-24) * time.Hour)
	f.Session.AuthTime = noon.Add(time.Duration(r.IntN(10)-8) * time.Minute)
	f.Lifetime = time.Duration(r.IntN(7)) * time.Minute
	f.Task.Purpose, f.Task.Deadline = pick(r, anyTexts), noon.Add(time.Duration(r.IntN(48)-24)*time.Hour)
	if r.IntN(2) == 0 {
		f.Task.Context = []byte(`{"k":1}`)
	}
	if r.IntN(3) == 0 {
		f.Task = nil
	}
	f.Parent.Depth, f.Parent.Purpose, f.Parent.Scopes = r.IntN(5), pick(r, anyTexts), some(r, listTexts)
	if r.IntN(3) == 0 {
		f.Parent = nil
	}
	if r.IntN(3) == 0 {
		f.Chain = []lineage.Party{{ID: "x", Kind: ""}}
	}
	f.Env = map[string]any{}
	for key, values := range map[string][]any{
		"x": {"a", "ab", 1.0, nil, true}, "n": {0.0, 1.0, 2.0, 1.5, 3.0, "1"}, "on": {true, false, "true"},
	} {
		if r.IntN(3) > 0 {
			f.Env[key] = values[r.IntN(len(values))]
		}
	}
	return f
}

var partyList = []string{"human", "agent", "workload"}

// What is said to be true, or false, of no request, is so for none of many.
func TestWhatNeverMatchesNeverDoes(t *testing.T) {
	env, err := environment()
	require.NoError(t, err)
	r := rand.New(rand.NewPCG(1, 2))
	slots := make([]*slots, 200)
	for i := range slots {
		f := possibleFacts(r)
		slots[i] = newSlots()
		slots[i].inputs = inputs{facts: f, resource: pick(r, []string{crm, "urn:x:y"}), scopes: f.Scopes}
	}
	never, always, open := 0, 0, 0
	for range 900 {
		text := randomCondition(r, 1+r.IntN(3))
		p, err := compile(env, text)
		if err != nil {
			continue // too costly, or compares what cannot be compared
		}
		checked, err := check(env, text)
		require.NoError(t, err)
		a, root := analysis{checked.NativeRep()}, checked.NativeRep().Expr()
		neverTrue, neverFalse := a.comes(root, true).never(), a.comes(root, false).never()
		seen := map[outcome]bool{}
		for _, s := range slots {
			out, _ := p.run(s)
			seen[out] = true
		}
		require.False(t, neverTrue && seen[holds], text)
		require.False(t, neverFalse && seen[not], text)
		switch {
		case neverTrue:
			never++
		case neverFalse:
			always++
		case seen[holds] && seen[not]:
			open++
		}
	}
	require.Greater(t, never, 60)
	require.Greater(t, always, 25)
	require.Greater(t, open, 200)
}

// What is found in a whole set holds of what it decides.
func TestWhatIsFoundHoldsOfDecisions(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	facts := make([]tokenboundary.Facts, 100)
	for i := range facts {
		facts[i] = possibleFacts(r)
		facts[i].Resources = [][]string{{crm}, {billing}, {crm, billing}}[r.IntN(3)]
	}
	count := map[FindingKind]int{}
	for range 250 {
		rules := fmt.Sprintf("allow:\n- {rule: a, scopes: %s, resources: [%s], when: %s}\n- {rule: b, scopes: [c], when: %s}\n",
			[]string{"[a]", "[a, b]", "[b]"}[r.IntN(3)], []string{crm, billing, crm + ", " + billing}[r.IntN(3)],
			quote(randomCondition(r, r.IntN(3))), quote(randomCondition(r, 1)))
		docs := map[string]string{
			"boundary.yaml": "deny:\n- {rule: g, when: " + quote(randomCondition(r, r.IntN(2))) + "}\n",
			"x.yaml":        bindOf("support-bot", "sf", "["+crm+", "+billing+"]") + rules + "deny:\n- {rule: d, when: " + quote(randomCondition(r, r.IntN(3))) + "}\n",
		}
		s, err := Load(tree(docs))
		if err != nil {
			continue
		}
		report, err := Check(tree(docs))
		require.NoError(t, err)
		for _, f := range report.Findings {
			count[f.Kind]++
		}
		for i := range facts {
			v := decided(t, s, facts[i])
			for _, f := range report.Findings {
				id := "/" + strings.TrimSuffix(f.File, ".yaml") + "#" + f.Rule
				decided := slices.ContainsFunc(v.Reasons, func(x lineage.Reason) bool { return x.Rule == id })
				switch {
				case f.Kind == NeverMatches: // a deny rule may still have failed
					require.False(t, decided && v.Effect == tokenboundary.Allow, "%v\n%v", f, docs)
					require.False(t, decided && v.Reasons[0].Why == "denied", "%v\n%v", f, docs)
				case f.Kind == AlwaysDenied && strings.Contains(f.Message, "everything here"):
					require.Equal(t, tokenboundary.Deny, v.Effect, "%v\n%v", f, docs)
				case f.Kind == AlwaysDenied:
					require.False(t, decided, "%v\n%v", f, docs)
				}
			}
		}
	}
	require.Greater(t, count[NeverMatches], 25)
	require.Greater(t, count[AlwaysDenied], 25)
}

func quote(condition string) string { return "'" + strings.ReplaceAll(condition, "'", "''") + "'" }
