package policy

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestVerdictOfTheDocumentedSet(t *testing.T) {
	s := load(t, good)
	f := request()
	f.Scopes = []string{"cases:read", "contacts:read", "refunds:write"}
	v := evaluate(t, s, f)
	require.Equal(t, tokenboundary.Verdict{
		Effect: tokenboundary.Allow, Path: "/agents/support-bot/crm", Version: s.Version(), Resources: []string{crm},
		Access:   []lineage.Access{{Resource: crm, Scopes: []string{"cases:read", "contacts:read"}}},
		Lifetime: 5 * time.Minute, Depth: 3, Derivations: 50, Recheck: time.Minute,
		Controls: []string{"c:1", "c:2"},
		Reasons: []lineage.Reason{
			{Resource: crm, Scope: "cases:read", Granted: true, Rule: "/agents/support-bot/crm#triage-reads", Delegates: []string{"crm-tool"}},
			{Resource: crm, Scope: "contacts:read", Granted: true, Rule: "/agents/support-bot/crm#triage-reads", Delegates: []string{"crm-tool"}},
			{Resource: crm, Scope: "refunds:write", Why: "rule refunds: condition false"},
		},
	}, v)
}

func TestDeniesEndItFromTheRootDown(t *testing.T) {
	docs := map[string]string{
		"boundary.yaml":     "deny:\n- {rule: root, when: 'client.kind == \"one\" || client.kind == \"all\"'}\n",
		"a/boundary.yaml":   "deny:\n- {rule: mid, when: 'client.kind == \"two\" || client.kind == \"all\"'}\n",
		"a/b/crm.yaml":      leafOf("allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny:\n- {rule: leaf, when: 'client.kind == \"three\" || client.kind == \"all\"'}\n"),
		"z/boundary.yaml":   "deny:\n- {rule: elsewhere, when: \"true\"}\n",
		"z/other.yaml":      "bind: {client: other, connection: sf, resource: https://crm.example.com/}\n",
		"a/c/boundary.yaml": "deny:\n- {rule: sibling, when: \"true\"}\n",
	}
	s := load(t, docs)
	for kind, rule := range map[string]string{
		"one": "/boundary#root", "two": "/a/boundary#mid", "three": "/a/b/crm#leaf", "all": "/boundary#root", "none": "",
	} {
		f := request()
		f.Client.Kind = kind
		v := evaluate(t, s, f)
		if rule == "" {
			require.Equal(t, tokenboundary.Allow, v.Effect, whys(v))
			continue
		}
		require.Equal(t, tokenboundary.Verdict{
			Code: tokenboundary.CodeInvalidTarget, Path: "/a/b/crm", Version: s.Version(), Resources: []string{crm},
			Reasons: []lineage.Reason{{Rule: rule, Why: "denied"}},
		}, v)
	}
}

func TestADenyThatCannotBeEvaluatedDenies(t *testing.T) {
	deny := func(c string) *Set {
		return one(t, "allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny:\n- rule: d\n  when: |\n    "+c)
	}
	for c, why := range map[string]string{
		`env.missing == true`:                     "denied: the rule failed: no such key: missing",
		`1/0 == 0`:                                "denied: the rule failed: division by zero",
		`env.regions == "eu"`:                     "denied: the rule failed: a dynamic value is of the wrong type",
		`env.limit in ["high"]`:                   "denied: the rule failed: a dynamic value is of the wrong type",
		`client.attributes.missing == true`:       "denied: the rule failed: no such key: missing",
		`!(session.attributes.managed == "true")`: "denied: the rule failed: a dynamic value is of the wrong type",
	} {
		v := evaluate(t, deny(c), request())
		require.Equal(t, tokenboundary.Deny, v.Effect, c)
		require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code, c)
		require.Equal(t, "/crm#d", v.Reasons[0].Rule, c)
		require.Equal(t, why, v.Reasons[0].Why, c)
	}
	require.Equal(t, tokenboundary.Allow, evaluate(t, deny(`env.tenant_frozen == true`), request()).Effect)
	require.Equal(t, tokenboundary.Allow, evaluate(t, deny(`has(env.missing) && env.missing == true`), request()).Effect)

	f := request()
	f.Task = nil
	v := evaluate(t, deny(`task.purpose == "export"`), f)
	require.Contains(t, whys(v), "the request has no task")
	require.Equal(t, tokenboundary.Allow, evaluate(t, deny(`task.present && task.purpose == "export"`), f).Effect)
}

// An attribute that no signal has set never permits, and denies in a deny rule that does not ask for it first.
func TestAnAttributeThatNobodySetNeverPermits(t *testing.T) {
	for _, about := range []string{"subject", "actor", "client", "session"} {
		blocked := about + ".attributes.blocked"
		allow := when(t, blocked+" == false")
		deny := one(t, "allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny: [{rule: d, when: '"+blocked+" == true'}]\n")
		asking := one(t, "allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny: [{rule: d, when: 'has("+blocked+") && "+blocked+" == true'}]\n")
		for _, c := range []struct {
			value                any
			allow, deny, another tokenboundary.Effect
		}{
			{nil, tokenboundary.Deny, tokenboundary.Deny, tokenboundary.Allow},
			{false, tokenboundary.Allow, tokenboundary.Allow, tokenboundary.Allow},
			{true, tokenboundary.Deny, tokenboundary.Deny, tokenboundary.Deny},
			{"false", tokenboundary.Deny, tokenboundary.Deny, tokenboundary.Deny},
		} {
			f := request()
			f.Attributes = tokenboundary.Attributes{}
			if c.value != nil {
				set := map[string]any{"blocked": c.value}
				*map[string]*map[string]any{
					"subject": &f.Attributes.Subject, "actor": &f.Attributes.Actor, "client": &f.Attributes.Client, "session": &f.Attributes.Session,
				}[about] = set
			}
			v := evaluate(t, allow, f)
			require.Equal(t, c.allow, v.Effect, "%s %v: %s", about, c.value, whys(v))
			v = evaluate(t, deny, f)
			require.Equal(t, c.deny, v.Effect, "%s %v: %s", about, c.value, whys(v))
			if c.value == nil {
				require.Equal(t, "/crm#d denied: the rule failed: no such key: blocked", whys(v))
			}
			v = evaluate(t, asking, f)
			require.Equal(t, c.another, v.Effect, "%s %v: %s", about, c.value, whys(v))
		}
	}
}

func TestLimitsMeetDownThePath(t *testing.T) {
	leaf := leafOf("allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\nlimits: {depth: 9, derivations: 0}\n")
	s := load(t, map[string]string{
		"boundary.yaml":   "limits: {lifetime: 10m, depth: 5, recheck: 2m}\n",
		"a/boundary.yaml": "limits: {lifetime: 30m, depth: 0, derivations: 7}\n",
		"a/crm.yaml":      leaf,
	})
	v := evaluate(t, s, request())
	require.Equal(t, 10*time.Minute, v.Lifetime)
	require.Equal(t, 0, v.Depth)
	require.Equal(t, uint64(0), v.Derivations)
	require.Equal(t, 2*time.Minute, v.Recheck)

	v = evaluate(t, one(t, "allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\n"), request())
	require.Equal(t, MaxLifetime, v.Lifetime)
	require.Equal(t, canon.MaxChain, v.Depth)
	require.Equal(t, uint64(math.MaxInt32), v.Derivations)
	require.Zero(t, v.Recheck)
}

func TestResolutionPrefersTheExactName(t *testing.T) {
	docs := map[string]string{}
	names := []string{"ccc", "ccx", "cxc", "cxx", "xcc", "xcx", "xxc", "xxx"}
	for _, n := range names {
		pick := func(i int, exact string) string {
			if n[i] == 'x' {
				return `"*"`
			}
			return exact
		}
		docs[n+".yaml"] = "bind: {client: " + pick(0, "support-bot") + ", connection: " + pick(1, "sf") + ", resource: " + pick(2, crm) + "}\n"
	}
	for _, n := range names {
		require.Equal(t, "/"+n, evaluate(t, load(t, docs), request()).Path)
		delete(docs, n+".yaml")
		docs["other.yaml"] = "bind: {client: other, connection: other, resource: " + billing + "}\n"
	}
	v := evaluate(t, load(t, docs), request())
	require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
	require.Empty(t, v.Path)
	require.Equal(t, "no policy path", v.Reasons[0].Why)
}

func TestNothingMatchesByBeingEmptyOrTheWildcard(t *testing.T) {
	s := load(t, map[string]string{"any.yaml": `{bind: {client: "*", connection: "*", resource: "*"}, allow: [{rule: r, when: "true", scopes: [cases:read]}]}`})
	require.Equal(t, tokenboundary.Allow, evaluate(t, s, request()).Effect)
	for name, change := range map[string]func(*tokenboundary.Facts){
		"no client":     func(f *tokenboundary.Facts) { f.Client.ID = "" },
		"client *":      func(f *tokenboundary.Facts) { f.Client.ID = "*" },
		"no connection": func(f *tokenboundary.Facts) { f.Connection = "" },
		"connection *":  func(f *tokenboundary.Facts) { f.Connection = "*" },
		"no resource":   func(f *tokenboundary.Facts) { f.Resources = nil },
		"resource *":    func(f *tokenboundary.Facts) { f.Resources = []string{"*"} },
		"resource ''":   func(f *tokenboundary.Facts) { f.Resources = []string{""} },
		"not canonical": func(f *tokenboundary.Facts) { f.Resources = []string{"HTTPS://crm.example.com/"} },
		"too many":      func(f *tokenboundary.Facts) { f.Resources = slices.Repeat([]string{crm}, 17) },
	} {
		f := request()
		change(&f)
		v := evaluate(t, s, f)
		require.Equal(t, tokenboundary.Deny, v.Effect, name)
		require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code, name)
		require.Equal(t, s.Version(), v.Version, name)
		require.Len(t, v.Reasons, 1, name)
	}
	v := evaluate(t, s, tokenboundary.Facts{})
	require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
}

func TestTheOneBoundResourceIsTheDefault(t *testing.T) {
	allow := "\nallow: [{rule: r, when: \"true\", scopes: [cases:read]}]\n"
	docs := map[string]string{
		"crm.yaml": "bind: {client: support-bot, connection: sf, resource: https://crm.example.com/}" + allow,
		"any.yaml": `bind: {client: support-bot, connection: sf, resource: "*"}` + allow,
		"far.yaml": "bind: {client: support-bot, connection: other, resource: https://billing.example.com/}" + allow,
	}
	f := request()
	f.Resources = nil
	v := evaluate(t, load(t, docs), f)
	require.Equal(t, tokenboundary.Allow, v.Effect)
	require.Equal(t, []string{crm}, v.Resources)
	require.Equal(t, "/crm", v.Path)

	docs["also.yaml"] = `bind: {client: "*", connection: sf, resource: https://crm.example.com/}` + allow
	require.Equal(t, "/crm", evaluate(t, load(t, docs), f).Path)

	docs["second.yaml"] = `bind: {client: "*", connection: sf, resource: https://billing.example.com/}` + allow
	v = evaluate(t, load(t, docs), f)
	require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
	require.Contains(t, whys(v), "several resources are bound")
	require.Empty(t, v.Resources)

	f.Connection = "unbound"
	v = evaluate(t, load(t, docs), f)
	require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
	require.Contains(t, whys(v), "no policy path")
}

func TestAllResourcesHaveOneLeaf(t *testing.T) {
	docs := map[string]string{
		"crm.yaml": "bind: {client: support-bot, connection: sf, resource: [https://crm.example.com/, https://billing.example.com/]}\n" +
			"allow:\n- {rule: both, when: \"true\", scopes: [cases:read]}\n" +
			"- {rule: crm-only, when: 'resource == \"https://crm.example.com/\"', scopes: [contacts:read]}\n" +
			"- {rule: listed, when: \"true\", scopes: [invoices:read], resources: [https://billing.example.com/]}\n",
		"other.yaml": "bind: {client: support-bot, connection: sf, resource: https://other.example/}\n",
	}
	f := request()
	f.Resources, f.Scopes = []string{billing, crm}, []string{"cases:read", "contacts:read", "invoices:read"}
	v := evaluate(t, load(t, docs), f)
	require.Equal(t, map[string]string{billing: "cases:read invoices:read", crm: "cases:read contacts:read"}, access(v))
	require.Equal(t, f.Resources, v.Resources)
	require.Len(t, v.Reasons, 6)
	require.Equal(t, "rule crm-only: condition false", v.Reasons[1].Why)
	require.Equal(t, "no rule grants it", v.Reasons[5].Why)

	f.Resources = []string{crm, "https://other.example/"}
	v = evaluate(t, load(t, docs), f)
	require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
	require.Equal(t, "the resources are bound to different policy paths: /crm and /other", v.Reasons[0].Why)
	f.Resources = []string{crm, "https://nowhere.example/"}
	require.Equal(t, "no policy path", evaluate(t, load(t, docs), f).Reasons[0].Why)
}

func TestADenyThatReadsTheResourceIsAskedForEach(t *testing.T) {
	s := load(t, map[string]string{"crm.yaml": "bind: {client: support-bot, connection: sf, resource: [https://crm.example.com/, https://billing.example.com/]}\n" +
		"allow: [{rule: r, when: \"true\", scopes: [cases:read]}]\ndeny: [{rule: d, when: 'resource == \"https://crm.example.com/\"'}]\n"})
	f := request()
	f.Resources = []string{billing, crm}
	v := evaluate(t, s, f)
	require.Equal(t, []lineage.Reason{{Resource: crm, Rule: "/crm#d", Why: "denied"}}, v.Reasons)
	f.Resources = []string{billing}
	require.Equal(t, tokenboundary.Allow, evaluate(t, s, f).Effect)
}

func TestTheDefaultScopes(t *testing.T) {
	rules := "allow: [{rule: r, when: 'subset(request.scopes, [\"a\", \"b\"])', scopes: [a, b, c]}]\n"
	f := request()
	f.Scopes = nil
	v := evaluate(t, one(t, rules), f)
	require.Equal(t, tokenboundary.CodeInvalidScope, v.Code)
	require.Equal(t, "/crm", v.Path)
	require.Contains(t, whys(v), "no scope is requested, and the policy path has no default")

	v = evaluate(t, one(t, "default_scopes: [b, a]\n"+rules), f)
	require.Equal(t, map[string]string{crm: "a b"}, access(v))

	f.Scopes = []string{"c"}
	v = evaluate(t, one(t, "default_scopes: [b, a]\n"+rules), f)
	require.Equal(t, tokenboundary.CodeInvalidScope, v.Code)
	require.Equal(t, "rule r: condition false", v.Reasons[0].Why)

	f.Scopes = make([]string, 129)
	require.Equal(t, tokenboundary.CodeInvalidScope, evaluate(t, one(t, rules), f).Code)
}

func TestTheCeilingBounds(t *testing.T) {
	s := one(t, "default_scopes: [a, b]\nallow: [{rule: r, when: \"true\", scopes: [a, b, c]}]\n")
	f := request()
	f.Scopes = []string{"a", "b", "x"}
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"b", "x"}}, {Resource: billing, Scopes: []string{"a"}}}}
	v := evaluate(t, s, f)
	require.Equal(t, map[string]string{crm: "b"}, access(v))
	require.Equal(t, "a  not held by what it is made from\nb /crm#r\nx  no rule grants it", whys(v))

	f.Scopes = nil
	require.Equal(t, map[string]string{crm: "b"}, access(evaluate(t, s, f)))
	f.Ceiling = &lineage.Authority{}
	v = evaluate(t, s, f)
	require.Equal(t, tokenboundary.CodeInvalidScope, v.Code)
	f.Ceiling = nil
	require.Equal(t, map[string]string{crm: "a b"}, access(evaluate(t, s, f)))
}

func TestLifetimeAndDelegatesAreOfTheRulesThatGrant(t *testing.T) {
	s := one(t, `allow:
- {rule: long, when: "true", scopes: [a, b], lifetime: 30m, delegates: [z, y]}
- {rule: short, when: "true", scopes: [b], lifetime: 10m, delegates: [x, y]}
- {rule: off, when: "false", scopes: [a, b], lifetime: 1m, delegates: [no]}
- {rule: other, when: "true", scopes: [c], lifetime: 2m}
`)
	f := request()
	f.Scopes = []string{"a"}
	v := evaluate(t, s, f)
	require.Equal(t, 30*time.Minute, v.Lifetime)
	require.Equal(t, []string{"y", "z"}, v.Reasons[0].Delegates)
	f.Scopes = []string{"a", "b"}
	v = evaluate(t, s, f)
	require.Equal(t, 10*time.Minute, v.Lifetime)
	require.Equal(t, []string{"y", "z"}, v.Reasons[0].Delegates)
	require.Equal(t, []string{"x", "y", "z"}, v.Reasons[1].Delegates)
	require.Equal(t, "/crm#long", v.Reasons[1].Rule)
	f.Scopes = []string{"a", "b", "c"}
	require.Equal(t, 2*time.Minute, evaluate(t, s, f).Lifetime)
}

func TestReasonsNameTheRulesThatDidNotGrant(t *testing.T) {
	var rules strings.Builder
	for _, n := range []string{"one", "two", "three", "four", "five"} {
		rules.WriteString("- {rule: " + n + ", when: \"false\", scopes: [cases:read]}\n")
	}
	v := evaluate(t, one(t, "allow:\n"+rules.String()), request())
	require.Equal(t, "rule one: condition false; rule two: condition false; rule three: condition false; and 2 more", v.Reasons[0].Why)
}

func TestDetailsAreNeverGranted(t *testing.T) {
	v := evaluate(t, when(t, `request.details.size() == 1`), request())
	require.Equal(t, tokenboundary.Allow, v.Effect)
	require.Nil(t, v.Details)
}

func TestEvaluateStopsWithItsContext(t *testing.T) {
	s := when(t, "true")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v, err := s.Evaluate(ctx, request())
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, tokenboundary.Verdict{}, v)

	// The context ends after the first look: the rules are not evaluated.
	late := &lateContext{Context: t.Context(), looks: 1}
	v, err = s.Evaluate(late, request())
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, tokenboundary.Verdict{}, v)
	late = &lateContext{Context: t.Context(), looks: 1}
	_, err = one(t, "deny: [{rule: d, when: \"true\"}]\n").Evaluate(late, request())
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

type lateContext struct {
	context.Context
	looks int
}

func (c *lateContext) Err() error {
	c.looks--
	if c.looks < 0 {
		return context.DeadlineExceeded
	}
	return nil
}

func TestAVerdictSharesNothingWithTheSet(t *testing.T) {
	s := load(t, good)
	f := request()
	first := evaluate(t, s, f)
	first.Controls[0], first.Reasons[0].Delegates[0], first.Resources[0] = "x", "x", "x"
	require.Equal(t, []string{crm}, f.Resources)
	second := evaluate(t, s, f)
	require.Equal(t, "c:1", second.Controls[0])
	require.Equal(t, "crm-tool", second.Reasons[0].Delegates[0])
}

func TestEachRuleIsEvaluatedOnceAndOnlyIfItsScopeIsAsked(t *testing.T) {
	s := one(t, `allow:
- {rule: wanted, when: "env.a == 1", scopes: [a, b]}
- {rule: unwanted, when: "env.b == 1", scopes: [c]}
`)
	f := request()
	f.Scopes, f.Env = []string{"a", "b"}, map[string]any{"a": 1.0}
	require.Equal(t, map[string]string{crm: "a b"}, access(evaluate(t, s, f)))
	require.Equal(t, []int{0}, s.find("support-bot", "sf", crm).rulesFor("b"))
	require.Nil(t, s.find("support-bot", "sf", crm).rulesFor("bb"))
}

func TestRulesOfOneTextShareAProgram(t *testing.T) {
	docs := map[string]string{}
	for _, n := range []string{"a", "b", "c"} {
		docs[n+".yaml"] = "bind: {client: " + n + ", connection: sf, resource: \"*\"}\nallow: [{rule: r, scopes: [x], when: ' grant == \"refresh_token\"\t'}]\n"
	}
	s := load(t, docs)
	a, b := s.find("a", "sf", crm), s.find("b", "sf", crm)
	require.Same(t, a.allows[0].prog, b.allows[0].prog)
}
