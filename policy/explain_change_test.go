package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// reads allows cases:read under the condition.
func reads(condition string) string {
	return "allow:\n- rule: r\n  scopes: [cases:read]\n  when: |\n    " + condition + "\n"
}

// denies allows cases:read always, and denies under the condition.
func denies(condition string) string {
	return "allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny:\n- rule: d\n  when: |\n    " + condition + "\n"
}

// Each is the smallest change, and what it says is what makes the request pass.
func TestTheSmallestChange(t *testing.T) {
	for _, c := range []struct {
		name, leaf string
		facts      func(*tokenboundary.Facts) // the request
		want       string                     // the changes
		change     func(*tokenboundary.Facts) // what they say
	}{
		{"a purpose", reads(`task.purpose == "refund"`), nil,
			`task.purpose: "triage" → "refund"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "refund" }},
		{"a task at all", reads(`task.purpose == "refund"`), func(f *tokenboundary.Facts) { f.Task = nil },
			`task.purpose: absent → "refund"`, func(f *tokenboundary.Facts) { f.Task = &tokenboundary.TaskFacts{Purpose: "refund"} }},
		{"one of a list", reads(`risk.level in ["medium", "high"]`), nil,
			`risk.level: "low" → "medium" (by a signal)`, func(f *tokenboundary.Facts) { f.Risk = "medium" }},
		{"an attribute", reads(`client.attributes.tier == "blue"`), nil,
			`client.attributes.tier: "gold" → "blue" (by a signal)`, func(f *tokenboundary.Facts) { f.Attributes.Client = map[string]any{"tier": "blue"} }},
		{"a fact that is not set", reads(`has(env.open) && env.open == true`), nil,
			`env.open: absent → true (by a signal)`, func(f *tokenboundary.Facts) { f.Env["open"] = true }},
		{"context of the task", reads(`task.context.count < 3`), nil,
			`task.context.count: 3 → 2`, func(f *tokenboundary.Facts) { f.Task.Context = []byte(`{"count":2}`) }},
		{"at most", reads(`request.lifetime <= duration("30s")`), nil,
			`request.lifetime: "1m0s" → "30s"`, func(f *tokenboundary.Facts) { f.Lifetime = 30 * time.Second }},
		{"more than", reads(`env.limit > 7`), nil,
			`env.limit: 5 → 8 (by a signal)`, func(f *tokenboundary.Facts) { f.Env["limit"] = 8 }},
		{"the nearest of two", reads(`env.limit == 9 || session.acr == "hw" || task.purpose == "x"`), nil,
			`task.purpose: "triage" → "x"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "x" }},
		{"one before two", reads(`(task.purpose == "x" && grant == "refresh_token") || env.limit == 9`), nil,
			`env.limit: 5 → 9 (by a signal)`, func(f *tokenboundary.Facts) { f.Env["limit"] = 9 }},
		{"a step-up", reads(`session.acr == "hw"`), nil,
			`session.acr: "mfa" → "hw" (step up)`, func(f *tokenboundary.Facts) { f.Session.ACR = "hw" }},
		{"a later authentication", reads(`now - session.auth_time < duration("30s")`), nil,
			`session.auth_time: "2026-03-02T11:59:00Z" → "2026-03-02T12:00:00Z" (step up)`, func(f *tokenboundary.Facts) { f.Session.AuthTime = noon }},
		{"any authentication", reads(`session.auth_time > now - duration("30s")`), func(f *tokenboundary.Facts) { f.Session.AuthTime = time.Time{} },
			`session.auth_time: absent → "2026-03-02T12:00:00Z" (step up)`, func(f *tokenboundary.Facts) { f.Session.AuthTime = noon }},
		{"a method", reads(`"hwk" in session.amr`), nil,
			`session.amr: ["otp"] → ["otp","hwk"] (step up)`, func(f *tokenboundary.Facts) { f.Session.AMR = []string{"otp", "hwk"} }},
		{"a group", reads(`subset(["eu", "ops"], client.groups)`), nil,
			`client.groups: ["eu"] → ["eu","ops"] (by its registration)`, func(f *tokenboundary.Facts) { f.Client.Groups = []string{"eu", "ops"} }},
		{"working hours", reads(`now.getHours() >= 14 && now.getHours() < 16 && now.getDayOfWeek() in [3, 4]`), nil,
			`now: "2026-03-02T12:00:00Z" → "2026-03-04T14:00:00Z" (wait)`, func(f *tokenboundary.Facts) { f.Now = noon.Add(50 * time.Hour) }},
		{"an earlier end", reads(`task.deadline - now <= duration("10m")`), nil,
			`task.deadline: "2026-03-02T13:00:00Z" → "2026-03-02T12:10:00Z"`, func(f *tokenboundary.Facts) { f.Task.Deadline = noon.Add(10 * time.Minute) }},
		{"a choice", reads(`(client.kind == "agent" ? task.purpose : risk.level) == "x" || (task.present ? env.limit == 6 : false)`), nil,
			`env.limit: 5 → 6 (by a signal)`, func(f *tokenboundary.Facts) { f.Env["limit"] = 6 }},
		{"two of them", reads(`task.purpose == "x" && env.limit == 6 && risk.level == "low"`), nil,
			`env.limit: 5 → 6 (by a signal); task.purpose: "triage" → "x"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "x"; f.Env["limit"] = 6 }},
		{"a task of a purpose", reads(`task.present && task.purpose == "x" || env.limit == 6`), func(f *tokenboundary.Facts) { f.Task = nil },
			`task.purpose: absent → "x"`, func(f *tokenboundary.Facts) { f.Task = &tokenboundary.TaskFacts{Purpose: "x"} }},
		{"a member of what is not set", reads(`has(env.a) && has(env.a.b) && env.a.b == 1`), nil,
			`env.a.b: absent → 1 (by a signal)`, func(f *tokenboundary.Facts) { f.Env["a"] = map[string]any{"b": 1} }},
		{"anything", reads(`has(env.a)`), nil,
			`env.a: absent → any value (by a signal)`, func(f *tokenboundary.Facts) { f.Env["a"] = "whatever" }},
		{"a prefix", reads(`task.purpose.startsWith("re")`), nil,
			`task.purpose: "triage" → "re"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "re" }},

		{"a deny", denies(`env.frozen == true`), func(f *tokenboundary.Facts) { f.Env["frozen"] = true },
			`env.frozen: true → false (by a signal)`, func(f *tokenboundary.Facts) { f.Env["frozen"] = false }},
		{"a deny that fails", denies(`env.frozen == true`), nil,
			`env.frozen: absent → false (by a signal)`, func(f *tokenboundary.Facts) { f.Env["frozen"] = false }},
		{"a deny of all but", denies(`!(risk.level in ["medium"])`), nil,
			`risk.level: "low" → "medium" (by a signal)`, func(f *tokenboundary.Facts) { f.Risk = "medium" }},
		{"a deny of one value", denies(`task.purpose == "triage"`), nil,
			`task.purpose: "triage" → anything but "triage"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "whatever" }},
		{"a deny of one value where a rule wants another", "allow: [{rule: r, when: 'task.purpose in [\"a\", \"b\"]', scopes: [cases:read]}]\ndeny: [{rule: d, when: 'task.purpose in [\"a\", \"triage\"]'}]\n", nil,
			`task.purpose: "triage" → "b"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "b" }},
		{"a deny that the change would run into", "allow: [{rule: r, when: 'task.purpose == \"a\"', scopes: [cases:read]}]\ndeny: [{rule: d, when: 'task.purpose == \"a\" && env.limit < 6'}]\n", nil,
			`env.limit: 5 → 6 (by a signal); task.purpose: "triage" → "a"`, func(f *tokenboundary.Facts) { f.Task.Purpose = "a"; f.Env["limit"] = 6 }},
		{"a deny of tasks", denies(`task.present`), nil,
			`task.present: true → false`, func(f *tokenboundary.Facts) { f.Task = nil }},
		{"a deny of what is set", denies(`has(env.limit)`), nil,
			`env.limit: 5 → absent (by a signal)`, func(f *tokenboundary.Facts) { delete(f.Env, "limit") }},

		{"two scopes of two rules", "allow:\n- {rule: a, when: 'env.limit == 6', scopes: [cases:read]}\n- {rule: b, when: 'risk.level == \"high\"', scopes: [cases:write]}\n",
			func(f *tokenboundary.Facts) { f.Scopes = []string{"cases:read", "cases:write"} },
			`env.limit: 5 → 6 (by a signal); risk.level: "low" → "high" (by a signal)`, func(f *tokenboundary.Facts) { f.Env["limit"] = 6; f.Risk = "high" }},
		{"no scope", reads(`true`), func(f *tokenboundary.Facts) { f.Scopes = nil },
			`request.scopes: [] → ["cases:read"]`, func(f *tokenboundary.Facts) { f.Scopes = []string{"cases:read"} }},
		{"another connection", reads(`true`), func(f *tokenboundary.Facts) { f.Connection = "salesforce" },
			`connection: "salesforce" → "sf"`, func(f *tokenboundary.Facts) { f.Connection = "sf" }},
		{"another resource", reads(`true`), func(f *tokenboundary.Facts) { f.Resources = []string{billing} },
			`resource: "` + billing + `" → "` + crm + `"`, func(f *tokenboundary.Facts) { f.Resources = []string{crm} }},
		{"the canonical form", "", func(f *tokenboundary.Facts) { f.Client.ID, f.Resources = "anybody", []string{"HTTPS://any.example/"} },
			`resource: "HTTPS://any.example/" → "https://any.example/"`, func(f *tokenboundary.Facts) { f.Resources = []string{"https://any.example/"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			docs := map[string]string{"any.yaml": `{bind: {client: anybody, connection: "*", resource: "*"}, allow: [{rule: r, when: "true", scopes: [cases:read]}]}`}
			if c.leaf != "" {
				docs["crm.yaml"] = leafOf(c.leaf)
			}
			s := load(t, docs)
			f := request()
			if c.facts != nil {
				c.facts(&f)
			}
			before := evaluate(t, s, f)
			x := explain(t, s, f)
			require.True(t, slices.ContainsFunc(before.Reasons, func(r lineage.Reason) bool { return !r.Granted }), "something is in the way")
			require.Equal(t, c.want, changes(x))
			require.Empty(t, x.Notes)

			f = request()
			if c.facts != nil {
				c.facts(&f)
			}
			c.change(&f)
			after := evaluate(t, s, f)
			require.Equal(t, tokenboundary.Allow, after.Effect, whys(after))
			require.Empty(t, explain(t, s, f).Changes, "nothing is left to change")
			for _, r := range after.Reasons {
				require.True(t, r.Granted, r.Scope)
			}
		})
	}
}

func changes(x Explanation) string {
	var out []string
	for _, c := range x.Changes {
		out = append(out, c.String())
	}
	return strings.Join(out, "; ")
}

func TestWhatNoChangeBringsAbout(t *testing.T) {
	for _, c := range []struct {
		name, leaf string
		facts      func(*tokenboundary.Facts)
		want       string
		notes      []string
	}{
		{"nothing in the way", reads(`true`), nil, "", nil},
		{"a condition that never holds", reads(`1 == 2`), nil, "", []string{"no change of at most 3 facts was found that makes all of it pass"}},
		{"too many", reads(`env.a == 1 && env.b == 1 && env.c == 1 && env.d == 1`), nil, "", []string{"no change of at most 3 facts was found that makes all of it pass"}},
		{"somebody else's token", reads(`parent.id == "other"`), nil, "", []string{"no change of at most 3 facts was found that makes all of it pass"}},
		{"an unknown scope", reads(`true`), func(f *tokenboundary.Facts) { f.Scopes = []string{"cases:read", "cases:raed"} }, "",
			[]string{`leave out scope "cases:raed": no rule of /crm names it`}},
		{"a scope that is not held", reads(`env.limit == 6`), func(f *tokenboundary.Facts) { f.Ceiling = &lineage.Authority{} }, "",
			[]string{`leave out scope "cases:read": what the token is made from does not hold it`, "no change of at most 3 facts was found that makes all of it pass"}},
		{"what contradicts", "allow:\n- {rule: a, when: 'task.purpose == \"a\"', scopes: [cases:read, cases:list]}\n- {rule: b, when: 'task.purpose == \"b\"', scopes: [cases:write]}\n",
			func(f *tokenboundary.Facts) { f.Scopes = []string{"cases:read", "cases:list", "cases:write"} },
			`task.purpose: "triage" → "a"`, []string{"no change was found that makes all scopes pass: this one makes most of them"}},
		{"less is allowed", "allow: [{rule: r, when: 'subset(request.scopes, [\"cases:read\"])', scopes: [cases:read, cases:write]}]\n",
			func(f *tokenboundary.Facts) { f.Scopes = []string{"cases:read", "cases:write"} },
			`request.scopes: ["cases:read","cases:write"] → ["cases:read"]`, []string{"no change was found that makes all scopes pass: this one makes most of them"}},
		{"an unknown client", reads(`true`), func(f *tokenboundary.Facts) { f.Client.ID = "nobody" }, "",
			[]string{`nothing is bound for client "nobody"`, "no change of at most 3 facts was found that makes all of it pass"}},
	} {
		s := one(t, c.leaf)
		f := request()
		if c.facts != nil {
			c.facts(&f)
		}
		x := explain(t, s, f)
		require.Equal(t, c.want, changes(x), c.name)
		require.Equal(t, c.notes, x.Notes, c.name)
	}
}

func TestScopesThatContradictAreExplainedAlone(t *testing.T) {
	s := one(t, `allow:
- {rule: a, when: 'task.purpose == "a"', scopes: [cases:read, cases:list]}
- {rule: b, when: 'task.purpose == "b" && risk.level == "high"', scopes: [cases:write]}
- {rule: c, when: 'false', scopes: [cases:delete]}
`)
	f := request()
	f.Scopes = []string{"cases:read", "cases:list", "cases:write", "cases:delete"}
	x := explain(t, s, f)
	require.Equal(t, `task.purpose: "triage" → "a"`, changes(x))
	require.Len(t, x.Alone, 1)
	require.Equal(t, "cases:write", x.Alone[0].Scope)
	require.Equal(t, `risk.level: "low" → "high" (by a signal); task.purpose: "triage" → "b"`, changes(Explanation{Changes: x.Alone[0].Changes}))

	f.Scopes, f.Risk, f.Task.Purpose = []string{"cases:write"}, "high", "b"
	require.Equal(t, tokenboundary.Allow, evaluate(t, s, f).Effect)
}

func TestExplainNamesWhatIsBound(t *testing.T) {
	docs := map[string]string{
		"crm.yaml": leafOf(reads("true")),
		"any.yaml": `{bind: {client: "*", connection: shared, resource: "*"}}`,
	}
	f := request()
	f.Connection, f.Resources = "salesforce", []string{crm}
	x := explain(t, load(t, docs), f)
	require.Equal(t, []Binding{{"support-bot", "sf", crm, "/crm"}, {"*", "shared", "*", "/any"}}, x.Bound)
	require.Empty(t, x.File)
	require.Empty(t, x.Steps)

	for i := range 100 {
		docs[fmt.Sprintf("c%d.yaml", i)] = fmt.Sprintf(`{bind: {client: support-bot, connection: c%03d, resource: %s}}`, i, crm)
	}
	x = explain(t, load(t, docs), f)
	require.Len(t, x.Bound, maxBound)
	require.Equal(t, `connection: "salesforce" → "sf"`, changes(x), "of all that is bound, what makes it pass")
}

// A document can be made such that the search would go on for minutes. It is given up, and the rest of the explanation is
// there; whoever waits no longer gets the error of their context.
func TestTheSearchForAChangeEnds(t *testing.T) {
	t.Parallel()
	var leaf strings.Builder
	leaf.WriteString("bind: {client: support-bot, connection: sf, resource: [")
	f := request()
	f.Ceiling, f.Parent, f.Resources, f.Scopes = nil, nil, nil, nil
	for i := range 8 {
		f.Resources = append(f.Resources, fmt.Sprintf("https://r%d.example.com/", i))
	}
	for i := range 64 {
		f.Scopes = append(f.Scopes, fmt.Sprintf("s%d", i))
	}
	leaf.WriteString(strings.Join(f.Resources, ", ") + "]}\nallow:\n")
	for i := range 32 {
		var some []string
		for j := range 20 {
			some = append(some, fmt.Sprintf(`"v%d.%d"`, i, j))
		}
		list := "[" + strings.Join(some, ", ") + "]"
		leaf.WriteString(allowWhen(fmt.Sprint("r", i), strings.Join(f.Scopes, ", "),
			`session.acr in `+list+` && risk.level in `+list+` && task.purpose in `+list+` && resource != "x"`))
	}
	s := load(t, map[string]string{"a.yaml": leaf.String()})
	start := time.Now()
	x, err := s.Explain(t.Context(), f)
	require.NoError(t, err)
	require.Less(t, time.Since(start), 5*maxSearch)
	require.Equal(t, decided(t, s, f), x.Verdict)
	require.Len(t, x.Steps, 32*8)
	require.Contains(t, x.Notes, "the search for a change was given up after 3s")

	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = s.Explain(ctx, f)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func allowWhen(name, scopes, when string) string {
	return fmt.Sprintf("- {rule: %s, scopes: [%s], when: '%s'}\n", name, scopes, when)
}

// What the search proposes is what it decided with: the facts of the caller stay as they were.
func TestExplainChangesNothingOfTheFacts(t *testing.T) {
	s := one(t, reads(`task.context.ticket == "T-2" && env.limit == 6 && "ops" in client.groups && subject.attributes.department == "x"`))
	f := request()
	explain(t, s, f)
	require.Equal(t, request(), f)
	require.True(t, slices.Equal(request().Client.Groups, f.Client.Groups[:cap(f.Client.Groups)]))
}
