package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// checked returns what is found in a set, a line each.
func checkedSet(t testing.TB, docs map[string]string) []string {
	t.Helper()
	report, err := Check(tree(docs))
	require.NoError(t, err)
	var out []string
	for _, f := range report.Findings {
		out = append(out, f.String())
	}
	return out
}

// found returns the kinds of what is found in the leaf crm.yaml with these fields.
func found(t testing.TB, more string) []string {
	t.Helper()
	report, err := Check(tree(map[string]string{"crm.yaml": leafOf(more)}))
	require.NoError(t, err, more)
	var out []string
	for _, f := range report.Findings {
		out = append(out, string(f.Kind))
	}
	return out
}

func allowing(condition string) string {
	return "allow:\n- rule: r\n  scopes: [cases:read, cases:write]\n  when: |\n    " + condition + "\n"
}

// Pairs of conditions that differ in little: of the first no request can make it true, and of the second one can.
var neverAndElse = [][2]string{
	{`false`, `true`},
	{`true && !true`, `true && !false`},
	{`grant == "a"`, `grant == "token_exchange"`},
	{`grant == "token_exchange" && grant == "refresh_token"`, `grant == "token_exchange" || grant == "refresh_token"`},
	{`grant != "token_exchange" && grant != "refresh_token" && grant != "client_credentials" && grant != "lease"`, `grant != "token_exchange" && grant != "refresh_token"`},
	{`"token-exchange" == grant`, `"token_exchange" == grant`},
	{`grant in ["token-exchange"]`, `grant in ["token-exchange", "token_exchange"]`},
	{`grant in []`, `!(grant in [])`},
	{`!(grant in ["client_credentials", "token_exchange", "refresh_token", "lease"])`, `!(grant in ["client_credentials", "token_exchange"])`},
	{`session.kind == "person"`, `session.kind == "human"`},
	{`subject.kind in ["user"]`, `subject.kind in ["user", "agent"]`},
	{`actor.kind == "human-app"`, `actor.kind == "workload"`},
	{`client.kind == "operator"`, `client.kind == "human-app"`},
	{`client.kind == "human"`, `client.kind != "human"`},
	{`risk.level == "critical"`, `risk.level == "unknown"`},
	{`risk.level == "low" && risk.level != "low"`, `risk.level == "low" && risk.level != "high"`},
	{`client.id == "other-bot"`, `client.id == "support-bot"`},
	{`client.id != "support-bot"`, `client.id != "other-bot"`},
	{`client.id.startsWith("agent-")`, `client.id.startsWith("support")`},
	{`client.id.matches("^x")`, `client.id.matches("t-b")`},
	{`!client.id.matches("bot$")`, `!client.id.matches("^bot$")`},
	{`client.id.endsWith("-app") || client.id.contains("_")`, `client.id.endsWith("-app") || client.id.contains("-")`},
	{`connection == "salesforce"`, `connection == "sf"`},
	{`resource == "https://crm.example.com"`, `resource == "https://crm.example.com/"`},
	{`resource in ["https://billing.example.com/"]`, `resource in ["https://billing.example.com/", "https://crm.example.com/"]`},
	{`task.purpose == "a" && task.purpose == "b"`, `task.purpose == "a" && task.id == "b"`},
	{`task.purpose in ["a", "b"] && task.purpose in ["c"]`, `task.purpose in ["a", "b"] && task.purpose in ["b"]`},
	{`task.purpose == "abc" && task.purpose.startsWith("b")`, `task.purpose == "abc" && task.purpose.startsWith("a")`},
	{`task.purpose.startsWith("a") && !task.purpose.startsWith("a")`, `task.purpose.startsWith("a") && !task.purpose.startsWith("b")`},
	{`!task.present && task.purpose == "x"`, `task.present && task.purpose == "x"`},
	{`!task.present && has(task.context.x)`, `!task.present || has(task.context.x)`},
	{`!parent.present && parent.depth > 1`, `!parent.present || parent.depth > 1`},
	{`parent.depth > 3 && parent.depth < 4`, `parent.depth > 2 && parent.depth < 4`},
	{`parent.depth >= 3 && 3 > parent.depth`, `parent.depth >= 3 && 3 >= parent.depth`},
	{`parent.depth > 3 && !(parent.depth > 3)`, `parent.depth > 3 && !(parent.depth > 4)`},
	{`parent.depth <= 3 && parent.depth >= 3 && parent.depth != 3`, `parent.depth <= 3 && parent.depth >= 3 && parent.depth != 4`},
	{`now.getHours("Europe/Berlin") >= 24`, `now.getHours("Europe/Berlin") >= 23`},
	{`now.getMonth() == 12`, `now.getMonth() == 0`},
	{`now.getDayOfWeek() > 6`, `now.getDayOfWeek() > 5`},
	{`now.getHours() < 8 && now.getHours() > 18`, `now.getHours() < 8 || now.getHours() > 18`},
	{`now.getHours() >= 18 && now.getHours() < 8`, `now.getHours() >= 18 && now.getHours("Asia/Tokyo") < 8`},
	{`now > timestamp("2026-02-01T00:00:00Z") && now < timestamp("2026-01-01T00:00:00Z")`, `now > timestamp("2026-01-01T00:00:00Z") && now < timestamp("2026-02-01T00:00:00Z")`},
	{`request.lifetime > duration("1h") && request.lifetime <= duration("60m")`, `request.lifetime >= duration("1h") && request.lifetime <= duration("60m")`},
	{`now - session.auth_time < duration("5m") && now - session.auth_time > duration("10m")`, `now - session.auth_time < duration("5m") && session.auth_time - now > duration("-10m")`},
	{`now < task.deadline && now >= task.deadline`, `now < task.deadline && now <= task.deadline`},
	{`now < task.deadline && task.deadline < now && true`, `now < task.deadline && task.deadline > now`},
	{`env.on == true && env.on == false`, `env.on == true || env.on == false`},
	{`env.on == true && env.on != true`, `env.on == true && env.off != true`},
	{`env.x == 1 && env.x == 2`, `env.x == 1 && env.x == 1.0`},
	{`env.x == 1 && env.x == "1"`, `env.x == 1 || env.x == "1"`},
	{`env.x == null && env.x == "1"`, `env.x == null || env.x == "1"`},
	{`!has(env.x) && env.x == 1`, `!has(env.x) || env.x == 1`},
	{`!("x" in env) && env.x == 1`, `!("x" in env) || env.x == 1`},
	{`!has(env.x) && "x" in env`, `!has(env.y) && "x" in env`},
	{`subset(request.scopes, [])`, `subset(request.scopes, ["cases:read"])`},
	{`subset([], request.scopes)`, `!subset([], request.scopes)`},
	{`subset(request.scopes, ["other"])`, `subset(request.scopes, ["other", "cases:write"])`},
	{`!("cases:read" in request.scopes) && !("cases:write" in request.scopes)`, `!("cases:read" in request.scopes)`},
	{`subset(client.groups, ["a"]) && subset(client.groups, ["b"])`, `subset(client.groups, ["a"]) && subset(client.groups, ["b", "a"])`},
	{`subset(client.groups, ["a"]) && "b" in client.groups`, `subset(client.groups, ["a"]) && "a" in client.groups`},
	{`"a" in client.groups && !("a" in client.groups)`, `"a" in client.groups && !("b" in client.groups)`},
	{`subset(client.groups, ["a", "b"]) && !("a" in client.groups) && !("b" in client.groups)`, `subset(client.groups, ["a", "b"]) && !("a" in client.groups)`},
	{`subset(["a"], client.groups) && !("a" in client.groups)`, `subset(["a"], client.groups) && "a" in client.groups`},
	{`(task.present ? grant : risk.level) == "x" && false`, `(task.present ? grant : risk.level) == "x" && true`},
	{`task.present ? grant == "x" : risk.level == "y"`, `task.present ? grant == "x" : risk.level == "low"`},
	{`(grant == "x") == true`, `(grant == "x") == false`},
	{`(grant == "x") != false`, `(grant == "x") != true`},
	{`subject.id == actor.id && actor.id != subject.id`, `subject.id == actor.id && actor.issuer != subject.issuer`},
	{`(grant == "x" || risk.level == "y") && true`, `(grant == "x" || risk.level == "low") && true`},
	{`!(grant == "token_exchange" || grant != "token_exchange")`, `!(grant == "token_exchange" && grant != "token_exchange")`},
	{`size(client.groups) < 0`, `size(client.groups) < 1`},
	{`chain.exists(a, a.kind == "x") && !chain.exists(a, a.kind == "x")`, `chain.exists(a, a.kind == "x") && !chain.exists(a, a.kind == "y")`},
	{`1 == 2`, `1 == 1`},
	{`"a" in ["b"]`, `"a" in ["b", "a"]`},
}

func TestCheckFindsWhatNeverMatches(t *testing.T) {
	for _, c := range neverAndElse {
		require.Equal(t, []string{"never-matches"}, found(t, allowing(c[0])), c[0])
		require.Empty(t, found(t, allowing(c[1])), c[1])
	}
}

// What confines a rule besides its condition counts, and only where it stands.
func TestCheckKnowsWhatALeafBinds(t *testing.T) {
	deny := "deny: [{rule: r, when: 'client.id == \"other\"'}]\n"
	leaf := func(bind string) map[string]string {
		return map[string]string{"boundary.yaml": strings.ReplaceAll(deny, "rule: r", "rule: g"), "crm.yaml": "bind: " + bind + "\n" + deny[:0] + "deny: [{rule: r, when: 'client.id != \"a\"'}]\n"}
	}
	require.Equal(t, []string{`crm.yaml:2: never-matches: rule "r": the condition is true for no request`},
		checkedSet(t, leaf(`{client: a, connection: n, resource: "*"}`)))
	require.Empty(t, checkedSet(t, leaf(`{client: [a, b], connection: n, resource: "*"}`)))
	require.Empty(t, checkedSet(t, leaf(`{client: "*", connection: n, resource: "*"}`)))

	rule := func(more string) []string {
		return checkedSet(t, map[string]string{"x.yaml": "bind: {client: \"*\", connection: \"*\", resource: [" + crm + ", " + billing + "]}\n" +
			"allow:\n- {rule: r, scopes: [a], when: 'resource == \"" + billing + "\"'" + more + "}\n"})
	}
	require.Empty(t, rule(""))
	require.Empty(t, rule(", resources: ["+billing+"]"))
	require.Equal(t, []string{`x.yaml:3: never-matches: rule "r": the condition is true for no request`}, rule(", resources: ["+crm+"]"))
}

// Pairs of a condition that allows and one that denies: of the first everything is denied, and of the second not.
var alwaysDenied = []struct{ allow, deny, deny2 string }{
	{`risk.level == "high"`, `risk.level == "high"`, `risk.level == "low"`},
	{`risk.level == "high"`, `risk.level in ["high", "medium"]`, `risk.level in ["low", "medium"]`},
	{`risk.level in ["high", "medium"] && task.present`, `risk.level != "low"`, `risk.level != "high"`},
	{`!task.present`, `task.purpose == "export"`, `task.present && task.purpose == "export"`},
	{`!has(env.frozen)`, `env.frozen == true`, `has(env.frozen) && env.frozen == true`},
	{`session.kind == "human" || session.kind == "agent"`, `session.kind != "workload"`, `session.kind != "agent"`},
	{`session.kind == "human" && "x" in client.groups`, `client.groups.size() > 3 || "x" in client.groups`, `client.groups.size() > 3 && "x" in client.groups`},
	{`parent.depth > 5`, `parent.depth >= 6`, `parent.depth >= 7`},
	{`now.getHours() > 18`, `now.getHours() < 8 || now.getHours() >= 18`, `now.getHours() < 8 || now.getHours() >= 20`},
	{`true`, `client.id == "support-bot" || grant == "refresh_token"`, `client.id == "support-bot" && grant == "refresh_token"`},
}

func TestCheckFindsWhatIsAlwaysDenied(t *testing.T) {
	for _, c := range alwaysDenied[:len(alwaysDenied)-1] {
		for _, deny := range []string{c.deny, c.deny2} {
			docs := map[string]string{
				"a/boundary.yaml": "deny:\n- rule: g\n  when: |\n    " + deny + "\n",
				"a/crm.yaml":      leafOf(allowing(c.allow)),
				"b.yaml":          strings.ReplaceAll(leafOf(allowing(c.allow)), "support-bot", "b"),
			}
			var want []string
			if deny == c.deny {
				want = []string{`a/crm.yaml:5: always-denied: rule "r": each request that it allows is denied by rule /a/boundary#g, whose condition is then true or cannot be evaluated`}
			}
			require.Equal(t, want, checkedSet(t, docs), "%s\n%s", c.allow, deny)
		}
	}
	last := alwaysDenied[len(alwaysDenied)-1]
	require.Equal(t, []string{"always-denied"}, found(t, allowing(last.allow)+"deny:\n- rule: d\n  when: "+last.deny+"\n"))
	require.Empty(t, found(t, allowing(last.allow)+"deny:\n- rule: d\n  when: "+last.deny2+"\n"))
}

// A deny rule that stops everything is told once, and not of each rule below it.
func TestCheckTellsOnceOfWhatStopsEverything(t *testing.T) {
	docs := map[string]string{"boundary.yaml": "deny:\n- rule: stop\n  when: 'true'\n", "crm.yaml": leafOf(allowing("true"))}
	require.Equal(t, []string{`boundary.yaml:3: always-denied: rule "stop": the condition is false for no request: everything here is denied`}, checkedSet(t, docs))
	docs["boundary.yaml"] = strings.ReplaceAll(docs["boundary.yaml"], "'true'", `risk.level == "high"`)
	require.Empty(t, checkedSet(t, docs))
}

func TestCheckFindsDefaultsThatNothingGrants(t *testing.T) {
	require.Equal(t, []string{`crm.yaml:2: default-not-granted: no rule here grants "b", which a request without scopes asks for`},
		checkedSet(t, map[string]string{"crm.yaml": leafOf("default_scopes: [a, b]\nallow: [{rule: r, scopes: [a, c], when: \"true\"}]\n")}))
	require.Empty(t, found(t, "default_scopes: [a]\nallow: [{rule: r, scopes: [a, c], when: \"true\"}]\n"))
}

func TestCheckFindsCostlyConditions(t *testing.T) {
	cheap, dear := `env.a.contains("x")`, `request.details.exists(d, d.text.contains("aab") || d.other.contains("aab"))`
	got := found(t, allowing(dear))
	require.Equal(t, []string{"costly"}, got)
	require.Empty(t, found(t, allowing(cheap)))
}

func TestCheckFindsRedundantDenies(t *testing.T) {
	d := func(name, when string) string { return "- {rule: " + name + ", when: '" + when + "'}\n" }
	docs := map[string]string{
		"boundary.yaml": "deny:\n" + d("a", `env.x == 1`),
		"crm.yaml":      leafOf("deny:\n" + d("b", `env.x == 1`) + d("c", `env.x == 2`) + d("d", ` env.x == 2 `)),
	}
	require.Equal(t, []string{
		`crm.yaml:3: redundant: rule "b": rule /boundary#a, which goes before it, has the same condition`,
		`crm.yaml:5: redundant: rule "d": rule /crm#c, which goes before it, has the same condition`,
	}, checkedSet(t, docs))
}

func bindOf(client, connection, resource string) string {
	return fmt.Sprintf("bind: {client: %s, connection: %s, resource: %s}\n", client, connection, resource)
}

func TestCheckFindsShadowedBinds(t *testing.T) {
	const any = `"*"`
	for _, c := range []struct {
		name       string
		a, b       string
		lost, more string
	}{
		{"a client over a resource", bindOf("c", any, any), bindOf(any, any, crm), `client "c" by a.yaml`, ""},
		{"a client over a connection", bindOf("c", any, any), bindOf(any, "n", any), `client "c" by a.yaml`, ""},
		{"a client over both", bindOf("c", any, any), bindOf(any, "n", crm), `client "c" by a.yaml`, ""},
		{"a client and a resource over a connection", bindOf("c", any, crm), bindOf(any, "n", any), `client "c" resource "` + crm + `" by a.yaml`, ""},
		{"a client and a resource over both", bindOf("c", any, crm), bindOf(any, "n", crm), `client "c" by a.yaml`, ""},
		{"a client and a connection over a resource", bindOf("c", "n", any), bindOf(any, any, crm), `client "c" connection "n" by a.yaml`, ""},
		{"a connection over a resource", bindOf("c", "n", any), bindOf("c", any, crm), `connection "n" by a.yaml`, ""},
		{"several", bindOf("[c, d, e, f]", any, any), bindOf(any, any, crm), `client "c" by a.yaml, client "d" by a.yaml, client "e" by a.yaml, and others`, ""},
		{"exact in all", bindOf("c", "n", crm), bindOf(any, any, any), "", ""},
		{"exact in more", bindOf("c", "n", crm), bindOf("c", any, crm), "", ""},
		{"another client", bindOf("d", "n", any), bindOf("c", any, crm), "", ""},
		{"another connection", bindOf("c", "m", any), bindOf(any, "n", crm), "", ""},
		{"decided by a third", bindOf("c", any, any), bindOf(any, any, crm), "", bindOf("c", any, crm)},
	} {
		docs := map[string]string{"a.yaml": c.a, "b.yaml": c.b}
		if c.more != "" {
			docs["c.yaml"] = c.more
		}
		var want []string
		if c.lost != "" {
			want = []string{"b.yaml:1: shadowed-bind: requests named here are decided elsewhere, since an exact client goes before an exact connection, and that before an exact resource: " + c.lost}
		}
		require.Equal(t, want, checkedSet(t, docs), c.name)
	}
}

func TestCheckReportsTheSet(t *testing.T) {
	report, err := Check(tree(good))
	require.NoError(t, err)
	require.Equal(t, load(t, good).Version(), report.Version)
	require.Equal(t, []int{2, 4, 4, 0}, []int{report.Documents, report.Rules, report.Expressions, report.More})
	require.Empty(t, report.Findings)

	_, err = Check(tree(map[string]string{"crm.yaml": leafOf(allowing("grant =="))}))
	_, want := Load(tree(map[string]string{"crm.yaml": leafOf(allowing("grant =="))}))
	require.Equal(t, want, err)
	var le *LoadError
	require.ErrorAs(t, err, &le)
}

func TestCheckTellsOnceOfOneCondition(t *testing.T) {
	docs := map[string]string{}
	for i := range 5 {
		docs[fmt.Sprintf("d%d.yaml", i)] = bindOf(fmt.Sprintf("c%d", i), "n", "urn:x:y") + allowing(`grant == "x"`)
	}
	require.Equal(t, []string{`d0.yaml:5: never-matches: rule "r": the condition is true for no request (so it is of 4 more rules with this condition)`}, checkedSet(t, docs))
}

func TestFindingsAreBounded(t *testing.T) {
	docs := map[string]string{}
	for i := range 5 {
		docs[fmt.Sprintf("d%d.yaml", i)] = bindOf(fmt.Sprintf("c%d", i), "n", "urn:x:y") + "default_scopes: [" + numbered(128, "s") + "]\n" +
			"allow:\n" + strings.ReplaceAll(rulesOf(120, "r", ", scopes: [x]"), `"true"`, `grant == "x"`) + ""
	}
	for i := range 5 {
		docs[fmt.Sprintf("d%d.yaml", i+5)] = bindOf(fmt.Sprintf("c%d", i+5), "n", "urn:x:y") + "default_scopes: [" + numbered(128, "s") + "]\n"
	}
	report, err := Check(tree(docs))
	require.NoError(t, err)
	require.Len(t, report.Findings, maxFindings)
	require.Equal(t, 1281-maxFindings, report.More)
}
