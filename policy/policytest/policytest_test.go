package policytest

import (
	"io/fs"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

const (
	leaf = `bind: {client: bot, connection: sf, resource: [https://crm.example.com/, https://billing.example.com/]}
default_scopes: [cases:read]
allow:
  - rule: reads
    when: grant in ["token_exchange", "refresh_token"] && task.purpose == "triage"
    scopes: [cases:read, contacts:read]
    lifetime: 5m
    recheck: 1m
    delegates: [tool, aide]
  - {rule: goes-on, when: task.purpose == "triage", scopes: [cases:read], refresh: true, deliver: true}
  - rule: writes
    when: risk.level == "low"
    scopes: [cases:write]
    resources: [https://crm.example.com/]
    require: {approval: {by: leads}, step_up: {acr: aal2, max_age: 5m}}
  - {rule: writes-freely, when: env.emergency == true, scopes: [cases:write]}
deny:
  - {rule: closed, when: env.closed == true}
controls: [owasp-asi:ASI03]
`
	guardrail = `deny: [{rule: frozen, when: has(env.frozen) && env.frozen == true}]
limits: {lifetime: 10m, depth: 3, derivations: 50}
`
	head = `defaults:
  client: bot
  connection: sf
  grant: token_exchange
  resource: https://crm.example.com/
  session: {kind: human}
  task: {purpose: triage}
  env: {closed: false}
tests:
`
)

// tree is the set with a file of tests.
func tree(tests string) fstest.MapFS {
	return fstest.MapFS{
		"boundary.yaml":       {Data: []byte(guardrail)},
		"agents/crm.yaml":     {Data: []byte(leaf)},
		"agents/a_test.yaml":  {Data: []byte(tests)},
		".git/odd_test.yaml":  {Data: []byte("no tests")},
		"agents/.x_test.yaml": {Data: []byte("no tests")},
	}
}

func run(t *testing.T, fsys fs.FS) Report {
	t.Helper()
	r, err := Run(fsys, Options{Cover: true})
	require.NoError(t, err)
	return r
}

// one runs one test of the request that expects that, and returns the diff.
func one(t *testing.T, request, expect string) string {
	t.Helper()
	r := run(t, tree(head+"  - {test: t, request: {"+request+"}, expect: {"+expect+"}}\n"))
	require.Len(t, r.Results, 1)
	require.Equal(t, len(r.Results[0].Differences) > 0, r.Failed() == 1)
	return r.Results[0].Diff()
}

// TestEveryExpectationHoldsAndFails runs each expectation with what is decided, and with what is not.
func TestEveryExpectationHoldsAndFails(t *testing.T) {
	const (
		both     = "scopes: [cases:read, contacts:read, cases:delete]"
		writes   = "scopes: [cases:write], risk: low"
		frozen   = "env: {frozen: true}"
		resource = "resource: [https://crm.example.com/, https://billing.example.com/]"
	)
	for _, c := range []struct{ request, right, wrong, diff string }{
		{"", "effect: allow", "effect: deny, path: /agents/crm", "- effect  deny\n+ effect  allow\n          cases:read at https://crm.example.com/: granted by /agents/crm#reads\n"},
		{"task: null", "effect: deny", "effect: allow, lifetime: 1s", "- effect  allow\n+ effect  deny invalid_scope\n" +
			"          cases:read at https://crm.example.com/: rule reads: failed: the request has no task; rule goes-on: failed: the request has no task\n"},
		{frozen, "effect: deny, code: invalid_target", "effect: deny, code: invalid_scope",
			"- code  invalid_scope\n+ code  invalid_target\n        /boundary#frozen: denied\n"},
		{frozen, "effect: deny, rule: frozen", "effect: deny, rule: closed", "- rule  closed\n+ rule  /boundary#frozen\n        /boundary#frozen: denied\n"},
		{frozen, "effect: deny, rule: /boundary#frozen", "effect: deny, rule: /agents/crm#closed", "- rule  /agents/crm#closed\n+ rule  /boundary#frozen\n        /boundary#frozen: denied\n"},
		{"env: {closed: null}", "effect: deny, rule: closed", "effect: deny, rule: frozen",
			"- rule  frozen\n+ rule  /agents/crm#closed\n        /agents/crm#closed: denied: the rule failed: no such key: closed\n"},
		{"task: null", "effect: deny, code: invalid_scope", "effect: deny, rule: frozen", "- rule  frozen\n+ rule  none\n" +
			"        cases:read at https://crm.example.com/: rule reads: failed: the request has no task; rule goes-on: failed: the request has no task\n"},
		{"connection: other", "effect: deny, code: invalid_target", "effect: deny, path: /agents/crm", "- path  /agents/crm\n+ path  none\n"},
		{"connection: other", "effect: deny, path: none", "effect: deny, path: /agents/crm", "- path  /agents/crm\n+ path  none\n"},
		{"", "effect: allow, path: null", "effect: allow, path: none", "- path  none\n+ path  /agents/crm\n"},
		{"", "effect: allow, path: /agents/crm", "effect: allow, path: /crm", "- path  /crm\n+ path  /agents/crm\n"},
		{"", "effect: allow, controls: ['owasp-asi:ASI03']", "effect: allow, controls: []", "- controls  none\n+ controls  owasp-asi:ASI03\n"},
		{both, "effect: allow, scopes: [contacts:read, cases:read]", "effect: allow, scopes: [cases:read, cases:delete, other]",
			"- scopes  cases:delete cases:read other\n+ scopes  cases:read contacts:read\n" +
				"          cases:delete at https://crm.example.com/: no rule grants it\n" +
				"          contacts:read at https://crm.example.com/: granted by /agents/crm#reads\n" +
				"          other at https://crm.example.com/: not requested\n"},
		{resource, "effect: allow, scopes: {'https://crm.example.com/': [cases:read], 'https://billing.example.com/': [cases:read]}",
			"effect: allow, scopes: {'https://crm.example.com/': [cases:read]}",
			"- scopes at https://billing.example.com/  none\n+ scopes at https://billing.example.com/  cases:read\n" +
				"                                          cases:read at https://billing.example.com/: granted by /agents/crm#reads\n"},
		{both, "effect: allow, dropped: [cases:delete]", "effect: allow, dropped: []",
			"- dropped  none\n+ dropped  cases:delete\n           cases:delete at https://crm.example.com/: no rule grants it\n"},
		{"", "effect: allow, lifetime: 5m", "effect: allow, lifetime: 1h30m", "- lifetime  1h30m\n+ lifetime  5m\n"},
		{"", "effect: allow, recheck: 1m", "effect: allow, recheck: 0", "- recheck  none\n+ recheck  1m\n"},
		{writes, "effect: allow, recheck: 0", "effect: allow, recheck: 1m", "- recheck  1m\n+ recheck  none\n"},
		{"", "effect: allow, depth: 3", "effect: allow, depth: 2", "- depth  2\n+ depth  3\n"},
		{"", "effect: allow, derivations: 50", "effect: allow, derivations: 0", "- derivations  0\n+ derivations  50\n"},
		{"", "effect: allow, delegates: {cases:read: [tool, aide]}", "effect: allow, delegates: {cases:read: []}",
			"- delegates of cases:read  none\n+ delegates of cases:read  aide tool\n"},
		{"", "effect: allow, delegates: {cases:write: []}", "effect: allow, delegates: {cases:write: [tool]}",
			"- delegates of cases:write  tool\n+ delegates of cases:write  none\n"},
		{both, "effect: allow, refresh: [cases:read]", "effect: allow, refresh: true",
			"- refresh  cases:read contacts:read\n+ refresh  cases:read\n"},
		{"", "effect: allow, refresh: true", "effect: allow, refresh: false", "- refresh  none\n+ refresh  cases:read\n"},
		{both, "effect: allow, deliver: [cases:read]", "effect: allow, deliver: true",
			"- deliver  cases:read contacts:read\n+ deliver  cases:read\n"},
		{"scopes: [contacts:read]", "effect: allow, deliver: false", "effect: allow, deliver: true", "- deliver  contacts:read\n+ deliver  none\n"},
		{"", "effect: allow, rules: {cases:read: reads}", "effect: allow, rules: {cases:read: goes-on}",
			"- rule of cases:read  goes-on\n+ rule of cases:read  /agents/crm#reads\n                      cases:read at https://crm.example.com/: granted by /agents/crm#reads\n"},
		{"", "effect: allow, rules: {cases:read: /agents/crm#reads}", "effect: allow, rules: {cases:write: writes}",
			"- rule of cases:write  writes\n+ rule of cases:write  none\n"},
		{writes, "effect: allow, scopes: [cases:write], obligations: [{kind: step_up, acr: aal2, max_age: 5m}, {kind: approval, by: leads, scopes: [cases:write]}]",
			"effect: allow, obligations: [{kind: approval, by: other}, {kind: approval}]",
			"- obligations  {kind: approval, by: other}\n+ obligations  {kind: step_up, acr: aal2, max_age: 5m, scopes: [cases:write]}\n"},
		{writes, "effect: allow, dropped: []", "effect: deny",
			"- effect  deny\n+ effect  allow\n          cases:write at https://crm.example.com/: granted by /agents/crm#writes, " +
				"held back until {kind: approval, by: leads}, held back until {kind: step_up, acr: aal2, max_age: 5m}\n"},
		{"", "effect: allow, obligations: []", "effect: allow, obligations: [{kind: approval, scopes: [a]}]",
			"- obligations  {kind: approval, scopes: [a]}\n+ obligations  none\n"},
	} {
		require.Empty(t, one(t, c.request, c.right), c.right)
		require.Equal(t, c.diff, one(t, c.request, c.wrong), c.wrong)
	}
}

// TestVerdictsAreNarrowed: what is compared is what the Governor would grant.
func TestVerdictsAreNarrowed(t *testing.T) {
	for request, expect := range map[string]string{
		"grant: refresh_token, scopes: [cases:read, contacts:read]":          "effect: allow, scopes: [cases:read], dropped: [contacts:read]",
		"grant: refresh_token, scopes: [contacts:read]":                      "effect: deny, code: invalid_scope, dropped: [contacts:read], path: /agents/crm",
		"grant: refresh_token, scopes: [cases:read, cases:write], risk: low": "effect: allow, scopes: [cases:read], obligations: []",

		"lifetime: 90s": "effect: allow, lifetime: 90s",
		"lifetime: 1h":  "effect: allow, lifetime: 5m",
		"task: {purpose: triage, expires_in: 2m}": "effect: allow, lifetime: 2m",
		"parent: {expires_in: 1m}":                "effect: allow, lifetime: 1m",

		"scopes: [cases:read, contacts:read], ceiling: [{resource: 'https://crm.example.com/', scopes: [contacts:read]}]": "effect: allow, scopes: [contacts:read], dropped: [cases:read]",
		"ceiling: [{resource: 'https://other.example.com/', scopes: [cases:read]}]":                                       "effect: deny, code: invalid_target",
		"resource: null, ceiling: []": "effect: deny, code: invalid_target",

		"resource: [https://crm.example.com/, https://billing.example.com/], scopes: [cases:read, cases:write], risk: low": "effect: deny, code: invalid_target, dropped: [cases:read, cases:write]",
		"resource: [https://crm.example.com/, https://billing.example.com/]":                                               "effect: allow, scopes: [cases:read], delegates: {cases:read: [tool, aide]}",
	} {
		require.Empty(t, one(t, request, expect), request)
	}
}

func TestCasesSayWhatIsDifferent(t *testing.T) {
	r := run(t, tree(head+`  - test: triage
    request: {scopes: [contacts:read], env: {a: 1}}
    expect: {effect: allow, scopes: [contacts:read], lifetime: 5m}
    cases:
      - {case: as it is}
      - {case: shorter, request: {lifetime: 1m}, expect: {lifetime: 1m}}
      - {case: another effect takes over nothing, request: {task: {purpose: refund}}, expect: {effect: deny, code: invalid_scope}}
      - {case: no task at all, request: {task: null}, expect: {effect: deny}}
      - {case: a fact beside the others, request: {env: {frozen: true}}, expect: {effect: deny, rule: frozen}}
      - {case: a fact taken away, request: {env: {closed: null}}, expect: {effect: deny, rule: closed}}
  - test: alone
    expect: {effect: allow}
`))
	require.Zero(t, r.Failed(), r.Results)
	var list []string
	for _, x := range r.Results {
		require.Equal(t, "agents/a_test.yaml", x.File)
		require.Positive(t, x.Line)
		list = append(list, x.Name())
	}
	require.Equal(t, []string{
		"triage/as it is", "triage/shorter", "triage/another effect takes over nothing", "triage/no task at all",
		"triage/a fact beside the others", "triage/a fact taken away", "alone",
	}, list)
	require.Equal(t, 14, r.Results[0].Line)

	r, err := Run(tree(head+"  - {test: a, expect: {effect: allow}}\n  - {test: b, expect: {effect: deny}}"), Options{Run: regexp.MustCompile("^a$")})
	require.NoError(t, err)
	require.Len(t, r.Results, 1)
	require.Nil(t, r.Coverage)
}

func TestTestsThatCannotFailAreRefused(t *testing.T) {
	const ok = "  - {test: fine, expect: {effect: allow}}\n"
	for text, want := range map[string]string{
		"defaults: {client: bot}": "1: tests: is required",
		"tests: []":               "1: tests: is empty",
		"tests: {a: b}":           "1: tests: must be a list",
		"test: a":                 "1: test: unknown key; known are defaults, tests",
		"defaults: {client: bot}\ntests:\n - {test: a, expect: {effect: allow}}": "3: tests[0].request: connection is required",
		"tests:\n - {test: a, expect: {effect: allow}}":                          "2: tests[0]: request: is required, here or under defaults",
		head + "  - {test: a}":                                                                                          "10: tests[0]: expect: is required",
		head + "  - {test: a, expect: {}}":                                                                              "10: tests[0].expect: effect: is required",
		head + "  - {test: a, expect: {scopes: [cases:read]}}":                                                          "10: tests[0].expect: effect: is required",
		head + "  - {test: a, expect: {effect: denied}}":                                                                "tests[0].expect.effect: must be one of allow, deny",
		head + "  - {test: a, expect: {effect: deny, scopes: [a]}}":                                                     "tests[0].expect.scopes: does not go with effect: deny",
		head + "  - {test: a, expect: {effect: allow, code: invalid_scope}}":                                            "tests[0].expect.code: does not go with effect: allow",
		head + "  - {test: a, expect: {effect: allow, scopes: []}}":                                                     "tests[0].expect.scopes: is empty",
		head + "  - {test: a, expect: {effect: deny, code: invalid_scope}, cases: [{case: b, expect: {rule: frozen}}]}": "tests[0].cases[0].expect.rule: does not go with code: invalid_scope",
		head + "  - {test: a, expect: {effect: allow, path: crm}}":                                                      "tests[0].expect.path: must be a policy path",
		head + "  - {test: a, expect: {effect: null}}":                                                                  "tests[0].expect: effect: is required",
		head + "  - {test: a, expect: {effect: allow, version: x}}":                                                     "tests[0].expect.version: unknown key",
		head + "  - {test: a, request: {scope: a}, expect: {effect: allow}}":                                            "tests[0].request.scope: unknown key",
		head + "  - {test: a, expect: {effect: deny, rule: thawed}}":                                                    `tests[0].expect.rule: the set has no such rule: "thawed"`,
		head + "  - {test: a, expect: {effect: deny, rule: reads}}":                                                     `the set has no such rule: "reads"`,
		head + "  - {test: a, expect: {effect: allow, rules: {cases:read: /crm#reads}}}":                                `tests[0].expect.rules.cases:read: the set has no such rule: "/crm#reads"`,
		head + "  - {test: a, expect: {effect: allow, rules: {cases:read: frozen}}}":                                    `the set has no such rule: "frozen"`,
		head + "  - {test: a, expect: {effect: allow, obligations: [{by: leads}]}}":                                     "tests[0].expect.obligations[0]: kind: is required",
		head + "  - {test: a, expect: {effect: allow, lifetime: 0}}":                                                    "tests[0].expect.lifetime: must be a duration",
		head + ok + "  - {test: fine, expect: {effect: deny}}":                                                          `11: tests[1].test: a second one of the name "fine"`,
		head + "  - {expect: {effect: deny}}":                                                                           "10: tests[0]: test: is required: its name",
		head + "  - {test: ' ', expect: {effect: deny}}":                                                                "10: tests[0].test: is blank",
		head + "  - {test: a, expect: {effect: deny}, cases: []}":                                                       "tests[0].cases: is empty",
		head + "  - {test: a, expect: {effect: deny}, cases: [{case: b}, {case: b}]}":                                   `tests[0].cases[1].case: a second one of the name "b"`,
		head + "  - {test: a, cases: [{case: b}]}":                                                                      "tests[0].cases[0]: expect: is required",
		head + "  - {test: a, cases: [{case: b, expect: {code: invalid_scope}}]}":                                       "tests[0].cases[0].expect: effect: is required",
		head + "  - {test: a, cases: [{request: {}}]}":                                                                  "tests[0].cases[0]: case: is required",
		head + "  - &x {test: a}":                                                                                       "10: tests[0]: YAML anchors and aliases are not allowed",
	} {
		_, err := Run(tree(text), Options{})
		var bad *FileError
		require.ErrorAs(t, err, &bad, text)
		require.Len(t, bad.Problems, 1)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "agents/a_test.yaml:", text)
	}
	require.Zero(t, run(t, tree(head+ok)).Failed(), "the positive control")

	two := tree("tests: []")
	two["b_test.yaml"] = &fstest.MapFile{Data: []byte("tests: 1")}
	_, err := Run(two, Options{})
	require.ErrorContains(t, err, "agents/a_test.yaml:1: tests: is empty\nb_test.yaml:1: tests: must be a list")
	_, err = Run(fstest.MapFS{"crm.yaml": {Data: []byte("bind: 1")}}, Options{})
	require.ErrorContains(t, err, "policy: the set is refused")
	two["b_test.yaml"].Data = make([]byte, 1<<20)
	_, err = Run(two, Options{})
	require.ErrorContains(t, err, "b_test.yaml: the document is larger than")
}

// TestCoverageIsOfTheRulesThatDecided runs one request at a time.
func TestCoverageIsOfTheRulesThatDecided(t *testing.T) {
	for request, want := range map[string][]string{
		"":                                      {"goes-on", "reads"},
		"scopes: [contacts:read]":               {"reads"},
		"scopes: [cases:delete, contacts:read]": {"reads"},
		"grant: client_credentials, session: null":                                                           {"goes-on"},
		"scopes: [cases:write], risk: low":                                                                   {"writes"},
		"scopes: [cases:write], env: {emergency: true}":                                                      {"writes-freely"},
		"scopes: [cases:write], risk: low, env: {emergency: true}":                                           {"writes-freely"}, // the other is not in force
		"scopes: [cases:write], env: {emergency: true}, resource: 'https://billing.example.com/', risk: low": {"writes-freely"},
		"env: {frozen: true}":                                                                                {"frozen"},
		"env: {frozen: true, closed: true}":                                                                  {"frozen"}, // the other was not reached
		"env: {closed: true}":                                                                                {"closed"},
		"env: {closed: null}":                                                                                nil, // it failed
		"scopes: [cases:delete]":                                                                             nil,
		"connection: other":                                                                                  nil,
	} {
		r := run(t, tree(head+"  - {test: t, request: {"+request+"}, expect: {effect: allow}}\n"))
		untested := map[string]bool{}
		for _, d := range r.Coverage.Documents {
			require.Equal(t, d.Total, d.Covered+len(d.Untested))
			for _, rule := range d.Untested {
				require.Equal(t, d.File, rule.File)
				untested[rule.ID] = true
			}
		}
		require.Len(t, untested, 6-len(want), request)
		for _, name := range want {
			require.False(t, untested["/agents/crm#"+name] || untested["/boundary#"+name] && name == "frozen", "%s: %s", request, name)
		}
	}
}

func TestCoverageCounts(t *testing.T) {
	r := run(t, tree(head+"  - {test: a, expect: {effect: allow}}\n  - {test: b, request: {env: {frozen: true}}, expect: {effect: deny}}\n"))
	covered, total := r.Coverage.Rules()
	require.Equal(t, []int{3, 6, 50}, []int{covered, total, r.Coverage.Percent()})
	require.Equal(t, "agents/crm.yaml", r.Coverage.Documents[0].File)
	require.Equal(t, "boundary.yaml", r.Coverage.Documents[1].File)
	require.Equal(t, 1, r.Coverage.Documents[1].Covered)
	lines := map[string]int{}
	for _, rule := range r.Coverage.Documents[0].Untested {
		lines[rule.ID] = rule.Line
	}
	require.Equal(t, map[string]int{"/agents/crm#writes": 12, "/agents/crm#writes-freely": 16, "/agents/crm#closed": 18}, lines)
	require.Equal(t, 100, (&Coverage{}).Percent())
	require.Equal(t, 99, (&Coverage{Documents: []Document{{Covered: 999, Total: 1000}}}).Percent(), "100 means all")
}

// TestTest runs itself in a process of its own, where it may fail.
func TestTest(t *testing.T) {
	switch os.Getenv("POLICYTEST") {
	case "fails":
		Test(t, tree(head+"  - {test: a, expect: {effect: allow}}\n  - {test: b, expect: {effect: deny}}\n"))
		return
	case "none":
		Test(t, fstest.MapFS{"crm.yaml": {Data: []byte(leaf)}})
		return
	}
	for mode, want := range map[string]string{
		"fails": "agents/a_test.yaml:11: b\n            - effect  deny\n            + effect  allow\n", "none": "policytest: the set has no tests",
	} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run", "^TestTest$")
		cmd.Env = append(os.Environ(), "POLICYTEST="+mode)
		out, err := cmd.CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(out), want)
	}
	r := Test(t, tree(head+"  - {test: a, expect: {effect: allow}}\n")) // the positive control
	require.NotNil(t, r.Coverage)
}
