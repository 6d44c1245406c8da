package policy

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

func TestConditionsThatHold(t *testing.T) {
	for _, c := range []string{
		`true`, `grant == "token_exchange"`, `connection == "sf"`, `resource == "https://crm.example.com/"`,
		`client.id == "support-bot" && client.kind == "agent" && "eu" in client.groups`,
		`subject.id == "alice" && subject.issuer.startsWith("https://") && subject.kind == "human"`,
		`actor.id == "support-bot" && actor.issuer != subject.issuer && actor.kind == "agent"`,
		`chain.size() == 2 && chain[0].id == actor.id && chain[1].kind == "agent"`,
		`chain.exists(a, a.id == "planner" && a.issuer == "https://tb.example")`,
		`chain.all(a, a.kind == "agent") && chain.exists_one(a, a.id == "planner")`,
		`request.scopes == ["cases:read"] && subset(request.scopes, ["cases:read", "x"])`,
		`request.lifetime <= duration("5m") && request.details.size() == 1`,
		`request.details.exists(d, d.type == "payment" && d.amount < 100)`,
		`task.present && task.id == "t1" && task.purpose == "triage" && task.deadline - now <= duration("1h")`,
		`task.context.ticket == "T-1" && task.context.urgent == true && task.context.count == 3`,
		`has(task.context.ticket) && !has(task.context.other) && "ticket" in task.context`,
		`session.kind == "human" && session.id == "s1" && session.acr == "mfa" && "otp" in session.amr`,
		`now - session.auth_time < duration("5m")`,
		`parent.present && parent.id == "p1" && parent.client == client.id && parent.depth == 2`,
		`"/crm" in parent.paths && subset(request.scopes, parent.scopes) && parent.expires > now`,
		`risk.level in ["low", "medium"]`,
		`env.tenant_frozen == false && env.tenant_frozen != true && env.limit > 3 && env.limit == 5`,
		`"eu" in env.regions && subset(["eu"], env.regions) && env.regions.exists(r, r == "us") && env.limit in [4, 5]`,
		`subject.attributes.department == "claims" && subject.attributes.clearance > 2 && actor.attributes.posture == "ok"`,
		`session.attributes.managed == true && "eu" in session.attributes.places && client.attributes["tier"] in ["gold"]`,
		`has(subject.attributes.department) && !has(subject.attributes.other) && !("other" in client.attributes)`,
		`now.getHours() == 12 && now.getDayOfWeek() == 1 && now.getHours("Europe/Berlin") == 13`,
		`client.id.matches("^support-[a-z]+$") && string(3) == "3" && int("4") == 4`,
		`timestamp("2026-03-02T12:00:00Z") == now && (client.kind == "agent" ? 1 : 2) == 1`,
		`1/0 > 0 || true`, // an error that makes no difference is none
		`(client.kind == "agent" ? env.limit : env.tenant_frozen) == 5`,
		`[env.limit][0] == 5 && env.none == null || true`,
	} {
		v := evaluate(t, when(t, c), request())
		require.Equal(t, tokenboundary.Allow, v.Effect, "%s\n%s", c, whys(v))
	}
}

func TestConditionsThatFailNeverPermit(t *testing.T) {
	for _, c := range []struct{ when, why string }{
		{`false`, "rule r: condition false"},
		{`1/0 > 0`, "rule r: failed: division by zero"},
		{`env.nothing == true`, "failed: no such key: nothing"},
		{`env.nothing != true`, "failed: no such key: nothing"},
		{`!(env.nothing == true)`, "failed: no such key: nothing"},
		{`env.text != true`, "failed: a dynamic value is of the wrong type"},
		{`env.text == true`, "failed: a dynamic value is of the wrong type"},
		{`true != env.text`, "failed: a dynamic value is of the wrong type"},
		{`!(env.text in [1, 2])`, "failed: a dynamic value is of the wrong type"},
		{`!(client.id in env.numbers)`, "failed: an entry of a dynamic list is of the wrong type"},
		{`!(client.id in env.text)`, "failed: a dynamic value is not a list"},
		{`!(1 in env.tree)`, "failed: a dynamic value is not a list"},
		{`env.numbers.all(n, n != "x")`, "failed: a dynamic value is of the wrong type"},
		{`(client.kind == "agent" ? env.text : env.numbers) != 5`, "failed: a dynamic value is of the wrong type"},
		{`env["text"] != 1`, "failed: a dynamic value is of the wrong type"},
		{`[env.text][0] != 1`, "failed: a dynamic value is of the wrong type"},
		{`env.text`, ""},
		{`env.text && true`, "failed: no such overload"},
		{`!env.text`, "failed: no such overload"},
		{`env.text > 3`, "failed: no such overload"},
		{`subset(request.scopes, env.numbers)`, "failed: no such overload: subset"},
		{`subset([], ["a"])`, "rule r: condition false"},
		{`subset(["a"], [])`, "rule r: condition false"},
		{`chain[7].id != "x"`, "failed: index out of bounds"},
		{`int(task.purpose) == 1 || false`, "failed: type conversion error"},
		{`has(task.context.x.y)`, "failed: no such key: x"},
		{`subject.attributes.missing != true`, "failed: no such key: missing"},
		{`actor.attributes.missing == true`, "failed: no such key: missing"},
		{`!(client.attributes.missing == true)`, "failed: no such key: missing"},
		{`session.attributes.missing in [1]`, "failed: no such key: missing"},
		{`session.attributes.managed != "true"`, "failed: a dynamic value is of the wrong type"},
		{`subject.attributes.clearance != "high"`, "failed: a dynamic value is of the wrong type"},
	} {
		if c.why == "" {
			_, err := Load(tree(map[string]string{"crm.yaml": leafOf("allow: [{rule: r, scopes: [a], when: '" + c.when + "'}]\n")}))
			require.ErrorContains(t, err, "the expression must be a bool, not dyn (write == true)")
			continue
		}
		f := request()
		f.Env = map[string]any{"text": "true", "numbers": []any{1.0, 2.0}, "tree": map[string]any{"a": 1.0}}
		v := evaluate(t, when(t, c.when), f)
		require.Equal(t, tokenboundary.Deny, v.Effect, c.when)
		require.Equal(t, tokenboundary.CodeInvalidScope, v.Code)
		require.Empty(t, v.Access)
		require.Contains(t, whys(v), c.why, c.when)
	}
}

func TestWhatIsAbsentFailsToEvaluate(t *testing.T) {
	f := request()
	f.Task, f.Parent, f.Session.AuthTime, f.Now, f.Env, f.Risk = nil, nil, time.Time{}, time.Time{}, nil, ""
	f.Attributes = tokenboundary.Attributes{}
	for c, why := range map[string]string{
		`task.purpose != "export"`:                              "the request has no task",
		`task.id == ""`:                                         "the request has no task",
		`task.deadline > timestamp(0)`:                          "the request has no task",
		`has(task.context.x)`:                                   "the request has no task",
		`parent.depth >= 0`:                                     "the request has no parent",
		`parent.client != "x"`:                                  "the request has no parent",
		`!("x" in parent.scopes)`:                               "the request has no parent",
		`session.auth_time < timestamp("2030-01-01T00:00:00Z")`: "the request has no auth_time",
		`now > timestamp(0)`:                                    "the request has no time",
		`env.x != 1`:                                            "no such key",
		`subject.attributes.x != 1`:                             "no such key",
		`actor.attributes.x != 1`:                               "no such key",
		`client.attributes.x != 1`:                              "no such key",
		`session.attributes.x != 1`:                             "no such key",
	} {
		v := evaluate(t, when(t, c), f)
		require.Equal(t, tokenboundary.Deny, v.Effect, c)
		require.Contains(t, whys(v), why, c)
	}
	for _, c := range []string{`!task.present && !parent.present && risk.level == "unknown"`, `!has(env.x) && !("x" in env)`,
		`subject.attributes.size() + actor.attributes.size() + client.attributes.size() + session.attributes.size() == 0`,
	} {
		require.Equal(t, tokenboundary.Allow, evaluate(t, when(t, c), f).Effect, c)
	}
}

func TestLoadRefusesConditions(t *testing.T) {
	deep := strings.Repeat("(", 600) + "true" + strings.Repeat(")", 600)
	for _, c := range []struct{ when, want string }{
		{`grant ==`, "1:9: Syntax error"},
		{`client.nonexistent == "x"`, "1:7: undeclared reference to 'client.nonexistent'"},
		{`nothing`, "1:1: undeclared reference to 'nothing'"},
		{`chain[0].idd == "x"`, "undefined field 'idd'"},
		{`chain.exists(a, a.name == "x")`, "undefined field 'name'"},
		{`client.id == 3`, "found no matching overload for '_==_' applied to '(string, int)'"},
		{`client.groups == "eu"`, "found no matching overload"},
		{`client.id`, "the expression must be a bool, not string"},
		{`env.x`, "the expression must be a bool, not dyn (write == true)"},
		{`env`, "the expression must be a bool, not map(string, dyn)"},
		{`(client.kind == "a" ? env.x : true)`, "the expression must be a bool, not dyn"},
		{`env.a == env.b`, "a dynamic value can only be compared with a value of a known simple type"},
		{`[env.a] == [1]`, "a dynamic value can only be compared"},
		{`env == env`, "a dynamic value can only be compared"},
		{`subject.attributes == actor.attributes`, "a dynamic value can only be compared"},
		{`subject.attributes.a == actor.attributes.a`, "a dynamic value can only be compared"},
		{`session.attributes.managed`, "the expression must be a bool, not dyn (write == true)"},
		{`task.attributes.a == 1`, "undeclared reference to 'task.attributes'"},
		{`env.a == ["x"]`, "a dynamic value can only be compared"},
		{`env.a in env.b`, "in: the entry or the entries must be of a known simple type"},
		{`"x" in [env.a]`, "in: the entry or the entries must be of a known simple type"},
		{`client.groups in env.b`, "in: the entry or the entries must be of a known simple type"},
		{`dyn(client.id) == 3`, "undeclared reference to 'dyn'"},
		{`type(env.x) == bool`, "undeclared reference to 'type'"},
		{`client.groups.map(g, g + "x") == []`, "undeclared reference"},
		{`client.groups.filter(g, true) == []`, "undeclared reference"},
		{`client.id.replace("a", "b") == ""`, "undeclared reference to 'replace'"},
		{`client.groups.join() == ""`, "undeclared reference to 'join'"},
		{`"%s".format([client.id]) == ""`, "undeclared reference to 'format'"},
		{`bytes(client.id) == b"x"`, "undeclared reference to 'bytes'"},
		{`client.id.matches(client.kind)`, "matches: the pattern must be a literal"},
		{`matches(client.id, "a" + "b")`, "matches: the pattern must be a literal"},
		{`client.id.matches("")`, "matches: the pattern must have between 1 and 128 bytes"},
		{`client.id.matches("` + strings.Repeat("a", 129) + `")`, "matches: the pattern must have between 1 and 128 bytes"},
		{`client.id.matches("(a+)+$")`, "matches: the pattern repeats a repeat"},
		{`client.id.matches("((a{1,50}){1,50}){1,50}")`, "matches: "},
		{`client.id.matches("(a?b*){2}")`, "matches: the pattern repeats a repeat"},
		{`client.id.matches(".{200}.{200}")`, "matches: the pattern is too complex"},
		{`client.id.matches("(")`, "matches: error parsing regexp"},
		{`{"a": 1}["a"] == 1`, "maps and objects cannot be constructed"},
		{`Party{id: "x"} == chain[0]`, "maps and objects cannot be constructed"},
		{`google.protobuf.Duration{seconds: 1} == duration("1s")`, "failed resolution of 'google.protobuf.Duration'"},
		{`chain.exists(a, client.groups.exists(g, g == a.id))`, "all, exists and exists_one cannot be nested"},
		{`chain.exists(client, client.id == "x")`, `"client" is a variable and cannot name an entry`},
		{`chain.exists(env, env.id == "x")`, `"env" is a variable and cannot name an entry`},
		{`now.getHours("Mars/Base") == 1`, `unknown time zone "Mars/Base"`},
		{`now.getHours("Local") == 1`, `unknown time zone "Local"`},
		{`now.getHours(client.id) == 1`, "a time zone must be a literal"},
		{`duration("x") > duration("1s")`, "type conversion error from 'string' to 'google.protobuf.Duration'"},
		{`timestamp("x") > now`, "when: "},
		{`request.details.exists(d, d.a == 1 || d.b == 2 || d.c == 3 || d.text.contains(client.id) || d.text.contains(actor.id))`, "may cost"},
		{`env.a.matches("a.*b.*c.*d.*e.*f.*g.*h.*i.*j.*k.*l.*m.*n.*o.*p.*q.*r.*s.*t.*u.*v.*w.*x.*y.*z.*a.*b.*c.*d.*e.*f.*g.*h.*i.*j")`, "may cost"},
		{deep, "expression recursion limit exceeded"},
		{strings.Repeat("true && ", 600) + "true", "the expression is longer than 4096 bytes"},
		{strings.Repeat("true||", 600) + "true", "node count exceeds limit"},
		{`"` + strings.Repeat("a", 5000) + `" == client.id`, "the expression is longer than 4096 bytes"},
	} {
		docs := map[string]string{"a/crm.yaml": leafOf("allow:\n- rule: ok\n  scopes: [a]\n  when: \"true\"\n- rule: bad-one\n  scopes: [a]\n  when: |\n    " + c.when)}
		_, err := Load(tree(docs))
		at := regexp.MustCompile(`a/crm\.yaml:(8:9|9:(\d+)): rule "bad-one": when: (?:1:(\d+): )?`).FindStringSubmatch(err.Error())
		require.NotNil(t, at, err.Error())
		if at[3] != "" { // the place in the document is the one in the expression, behind the margin
			inside, _ := strconv.Atoi(at[3])
			require.Equal(t, strconv.Itoa(inside+4), at[2], c.when)
		}
		require.ErrorContains(t, err, c.want, c.when)
		require.Less(t, len(err.Error()), 1000)
	}
}

func TestVariablesAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range Variables() {
		require.NotEmpty(t, v.Doc, v.Name)
		require.NotEmpty(t, v.Type, v.Name)
		require.False(t, seen[v.Name], v.Name)
		seen[v.Name] = true
	}
	for _, root := range []string{"client", "subject", "actor", "chain", "connection", "resource", "grant", "request", "task", "session", "parent", "risk", "env", "now"} {
		found := seen[root]
		for name := range seen {
			found = found || strings.HasPrefix(name, root+".")
		}
		require.True(t, found, root)
	}
}

// Every variable can be read from a full request, as the type that it is declared with.
func TestEveryVariableHasAValueOfItsType(t *testing.T) {
	f := request()
	s := &slots{inputs: inputs{facts: f, resource: crm, scopes: f.Scopes}}
	for _, v := range variables {
		got := v.box(&s.inputs)
		require.Equal(t, v.typ.Kind(), kindOf(got), v.name)
	}
}

func TestValuesBeyondTheCostBoundsFailToEvaluate(t *testing.T) {
	for _, c := range []struct {
		when   string
		change func(*tokenboundary.Facts)
	}{
		{`session.acr != "x"`, func(f *tokenboundary.Facts) { f.Session.ACR = strings.Repeat("a", 3000) }},
		{`!("x" in client.groups)`, func(f *tokenboundary.Facts) { f.Client.Groups = make([]string, 300) }},
		{`!("x" in client.groups)`, func(f *tokenboundary.Facts) { f.Client.Groups = []string{strings.Repeat("a", 600)} }},
		{`chain.size() > 0`, func(f *tokenboundary.Facts) { f.Chain = append(f.Chain, make([]tokenboundaryParty, 17)...) }},
		{`env.size() > 0`, func(f *tokenboundary.Facts) { f.Env["x"] = strings.Repeat("a", maxDynText+1) }},
		{`env.size() > 0`, func(f *tokenboundary.Facts) { f.Env["x"] = make([]any, maxDynItems+1) }},
		{`env.size() > 0`, func(f *tokenboundary.Facts) { f.Env["x"] = nestedLists(40) }},
		{`env.size() > 0`, func(f *tokenboundary.Facts) { f.Env["x"] = wide() }},
		{`env.size() > 0`, func(f *tokenboundary.Facts) { f.Env["x"] = struct{ A int }{1} }},
		{`subject.attributes.size() > 0`, func(f *tokenboundary.Facts) { f.Attributes.Subject["x"] = strings.Repeat("a", maxDynText+1) }},
		{`actor.attributes.size() > 0`, func(f *tokenboundary.Facts) { f.Attributes.Actor["x"] = nestedLists(40) }},
		{`client.attributes.size() > 0`, func(f *tokenboundary.Facts) { f.Attributes.Client["x"] = wide() }},
		{`session.attributes.size() > 0`, func(f *tokenboundary.Facts) { f.Attributes.Session["x"] = struct{ A int }{1} }},
		{`session.attributes.size() > 0`, func(f *tokenboundary.Facts) { f.Attributes.Session[strings.Repeat("k", 600)] = 1.0 }},
		{`request.details.size() >= 0`, func(f *tokenboundary.Facts) { f.Details = []byte(`{"a":1}`) }},
		{`request.details.size() >= 0`, func(f *tokenboundary.Facts) { f.Details = []byte(`[`) }},
		{`request.details.size() >= 0`, func(f *tokenboundary.Facts) {
			f.Details = []byte("[" + strings.Repeat("1,", 20_000) + "1]")
		}},
		{`task.context.size() >= 0`, func(f *tokenboundary.Facts) { f.Task.Context = []byte(`[]`) }},
	} {
		s := when(t, c.when)
		require.Equal(t, tokenboundary.Allow, evaluate(t, s, request()).Effect, c.when)
		f := request()
		c.change(&f)
		v := evaluate(t, s, f)
		require.Equal(t, tokenboundary.Deny, v.Effect, c.when)
		require.Contains(t, whys(v), "rule r: failed:", c.when)
	}
}

func nestedLists(n int) any {
	var v any
	for range n {
		v = []any{v}
	}
	return v
}

func wide() any {
	row := make([]any, 200)
	out := make([]any, 200)
	for i := range out {
		out[i] = row
	}
	return out
}

// Whole numbers in data are whole however they are held, at any depth: they divide as such.
func TestNumbersInDataAreWholeWhereTheyCanBe(t *testing.T) {
	f := request()
	f.Env = map[string]any{
		"n": 3.0, "half": 1.5, "none": nil, "list": []any{3.0, json.Number("3")},
		"map": map[string]any{"n": json.Number("3"), "deep": []any{map[string]any{"n": 3.0}}},
	}
	for _, c := range []string{
		`env.n / 2 == 1`, `env["n"] / 2 == 1`, `env.list[0] / 2 == 1`, `env.list[1] / 2 == 1`, `env.list.all(x, x / 2 == 1)`,
		`env.map.n / 2 == 1`, `env.map.deep[0].n / 2 == 1`, `env.map.deep.exists(m, m.n / 2 == 1)`, `env.half * 2.0 == 3.0`,
		`task.context.count / 2 == 1`, `3 in env.list`, `env.none == null`, `env.map.exists(k, k == "n")`, `size(env.map) == 2`,
		`string(env.n) == "3"`, `"n" in env.map`,
	} {
		v := evaluate(t, when(t, c), f)
		require.Equal(t, tokenboundary.Allow, v.Effect, "%s\n%s", c, whys(v))
	}
}
