package policy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// asked evaluates the request of the helpers for other scopes.
func asked(t *testing.T, s *Set, scopes ...string) tokenboundary.Verdict {
	t.Helper()
	f := request()
	f.Scopes = scopes
	return evaluate(t, s, f)
}

func TestObligations(t *testing.T) {
	s := one(t, `allow:
- {rule: approved, when: "true", scopes: [a, b], lifetime: 1m, delegates: [d], require: {approval: {by: leads}, step_up: {acr: mfa, max_age: 5m}}}
- {rule: free, when: 'grant == "token_exchange"', scopes: [b], lifetime: 30m}
- {rule: same, when: "true", scopes: [a, e], lifetime: 2s, delegates: [e], require: {approval: {by: leads}}}
- {rule: other, when: "true", scopes: [f], require: {approval: {by: admins}}}
- {rule: off, when: "false", scopes: [g], require: {approval: {by: leads}}}
`)
	v := asked(t, s, "b")
	require.Empty(t, v.Obligations)
	require.Equal(t, "/crm#free", v.Reasons[0].Rule)
	require.Empty(t, v.Reasons[0].Delegates, "a rule whose obligation is not met has no delegates")
	require.Equal(t, 30*time.Minute, v.Lifetime)

	f := request()
	f.Grant, f.Scopes = tokenboundary.ClientCredentials, []string{"b"}
	v = evaluate(t, s, f)
	require.Equal(t, tokenboundary.Allow, v.Effect, "who evaluates holds nothing back")
	require.Equal(t, map[string]string{crm: "b"}, access(v))
	require.Equal(t, []lineage.Reason{
		{Resource: crm, Scope: "b", Granted: true, Rule: "/crm#approved", Delegates: []string{"d"}},
	}, v.Reasons)
	require.Equal(t, time.Minute, v.Lifetime)
	require.Equal(t, []lineage.Obligation{
		{Kind: "approval", Scopes: []string{"b"}, Args: map[string]string{"by": "leads"}},
		{Kind: "step_up", Scopes: []string{"b"}, Args: map[string]string{"acr": "mfa", "max_age": "300"}},
	}, v.Obligations)

	v = asked(t, s, "f", "a", "e", "b")
	require.Equal(t, []lineage.Obligation{
		{Kind: "approval", Scopes: []string{"a", "e"}, Args: map[string]string{"by": "leads"}},
		{Kind: "step_up", Scopes: []string{"a"}, Args: map[string]string{"acr": "mfa", "max_age": "300"}},
		{Kind: "approval", Scopes: []string{"f"}, Args: map[string]string{"by": "admins"}},
	}, v.Obligations)
	require.Equal(t, map[string]string{crm: "a b e f"}, access(v))
	require.Equal(t, []string{"d"}, v.Reasons[0].Delegates, "of several rules with obligations the first counts alone")

	v = asked(t, s, "g")
	require.Equal(t, tokenboundary.Deny, v.Effect, "an obligation is no way around a condition")
	require.Empty(t, v.Obligations)
}

// An obligation holds a scope at every resource, so it is stated even where a rule grants the scope freely elsewhere.
func TestAnObligationAtOneResource(t *testing.T) {
	s := load(t, map[string]string{"crm.yaml": "bind: {client: support-bot, connection: sf, resource: [" + crm + ", " + billing + "]}\nallow:\n" +
		"- {rule: free, when: \"true\", scopes: [a], resources: [" + crm + "]}\n" +
		"- {rule: bound, when: \"true\", scopes: [a], require: {approval: {by: leads}}}\n"})
	f := request()
	f.Scopes = []string{"a"}
	require.Empty(t, evaluate(t, s, f).Obligations)
	f.Resources = []string{crm, billing}
	v := evaluate(t, s, f)
	require.Equal(t, []lineage.Obligation{{Kind: "approval", Scopes: []string{"a"}, Args: map[string]string{"by": "leads"}}}, v.Obligations)
	require.Equal(t, map[string]string{crm: "a", billing: "a"}, access(v))
	require.Equal(t, "a /crm#free\na /crm#bound", whys(v))
}

func TestRefreshIsSaidByTheRulesThatGrant(t *testing.T) {
	s := one(t, `allow:
- {rule: again, when: "true", scopes: [a, b, c], refresh: true}
- {rule: once, when: "true", scopes: [b, d, e], refresh: false}
- {rule: off, when: "env.missing == true", scopes: [d], refresh: true}
- {rule: bound, when: "true", scopes: [c, e, f], refresh: true, require: {approval: {by: leads}}}
- {rule: bound-once, when: "true", scopes: [f, g], require: {approval: {by: leads}}}
- {rule: bound-again, when: "true", scopes: [g], refresh: true, require: {approval: {by: leads}}}
`)
	for scope, want := range map[string]struct {
		refresh, obliged bool
		why              string
	}{
		"a": {true, false, "a rule says so"},
		"b": {true, false, "one of two says so"},
		"c": {true, false, "the free rule says so"},
		"d": {false, false, "the rule that says so does not grant"},
		"e": {false, false, "the rule that says so is not in force beside one without obligations"},
		"f": {true, true, "the first rule with an obligation says so"},
		"g": {false, true, "only the second rule with an obligation says so"},
	} {
		v := asked(t, s, scope)
		require.Equal(t, tokenboundary.Allow, v.Effect, scope)
		require.Len(t, v.Reasons, 1)
		require.True(t, v.Reasons[0].Granted)
		require.Equal(t, want.refresh, v.Reasons[0].Refresh, "%s: %s", scope, want.why)
		require.Equal(t, want.obliged, len(v.Obligations) == 1, "%s: refresh is no obligation", scope)
	}
	v := asked(t, s, "a", "d", "unknown")
	require.Equal(t, map[string]string{crm: "a d"}, access(v), "what cannot be refreshed is granted all the same")
	require.Equal(t, []bool{true, false, false}, []bool{v.Reasons[0].Refresh, v.Reasons[1].Refresh, v.Reasons[2].Refresh})
}

func TestRecheckIsTheSmallestThatIsSet(t *testing.T) {
	rules := `allow:
- {rule: none, when: "true", scopes: [a, b]}
- {rule: minute, when: "true", scopes: [b, c], recheck: 1m, lifetime: 10m}
- {rule: half, when: "true", scopes: [c, d], recheck: 30s}
- {rule: off, when: "false", scopes: [a], recheck: 1s}
- {rule: bound, when: "true", scopes: [d, e], recheck: 2s, require: {approval: {by: leads}}}
`
	for _, c := range []struct {
		guard, leaf string
		scopes      []string
		want        time.Duration
	}{
		{"", "", []string{"a"}, 0},
		{"", "", []string{"b"}, time.Minute},
		{"", "", []string{"c"}, 30 * time.Second},
		{"", "", []string{"a", "b"}, time.Minute},
		{"", "", []string{"d"}, 30 * time.Second}, // the free rule is in force
		{"", "", []string{"e"}, 2 * time.Second},
		{"", "", []string{"b", "e"}, 2 * time.Second},
		{"40s", "", []string{"a"}, 40 * time.Second},
		{"40s", "", []string{"c"}, 30 * time.Second},
		{"", "50s", []string{"a"}, 50 * time.Second},
		{"40s", "50s", []string{"a"}, 40 * time.Second},
		{"50s", "40s", []string{"b"}, 40 * time.Second},
		{"24h", "", []string{"a"}, 24 * time.Hour},
	} {
		docs := map[string]string{"boundary.yaml": "controls: [x]\n", "crm.yaml": leafOf(rules)}
		if c.guard != "" {
			docs["boundary.yaml"] += "limits: {recheck: " + c.guard + "}\n"
		}
		if c.leaf != "" {
			docs["crm.yaml"] += "limits: {recheck: " + c.leaf + "}\n"
		}
		v := asked(t, load(t, docs), c.scopes...)
		require.Equal(t, tokenboundary.Allow, v.Effect, "%+v", c)
		require.Equal(t, c.want, v.Recheck, "%+v", c)
	}
	v := asked(t, one(t, "limits: {recheck: 1m}\n"), "a")
	require.Equal(t, tokenboundary.Deny, v.Effect)
	require.Zero(t, v.Recheck, "a verdict that denies has no limits")
}

// A refresh is decided anew: what a rule says of the grant is asked again.
func TestARefreshNeedsARuleForItsGrant(t *testing.T) {
	for when, want := range map[string]tokenboundary.Effect{
		`grant == "token_exchange"`:                          tokenboundary.Deny,
		`grant in ["token_exchange", "refresh_token"]`:       tokenboundary.Allow,
		`task.purpose == "triage"`:                           tokenboundary.Allow,
		`grant != "client_credentials" && risk.level=="low"`: tokenboundary.Allow,
	} {
		f := request()
		f.Grant = tokenboundary.Refresh
		s := one(t, "allow: [{rule: r, scopes: [cases:read], refresh: true, when: '"+when+"'}]\n")
		require.Equal(t, want, evaluate(t, s, f).Effect, when)
		require.Equal(t, tokenboundary.Allow, evaluate(t, s, request()).Effect, when)
	}
}
