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
	someScopes     = []string{"a", "b", "c", "d", "e"}
	someResources  = []string{crm, billing, "https://third.example/"}
	someConditions = []string{
		"true", "false", "1/0 == 1", "env.on == true", "env.on != true", `client.kind == "agent"`, `resource.contains("crm")`,
		`subset(request.scopes, ["a", "b"])`, `task.present`, `task.purpose == "triage"`, `risk.level in ["low"]`,
	}
)

func some(r *rand.Rand, from []string) []string {
	return slices.DeleteFunc(slices.Clone(from), func(string) bool { return r.IntN(2) == 0 })
}

func quoted(list []string) string {
	return "[" + strings.Join(list, ", ") + "]"
}

// madeRule is what a random rule says.
type madeRule struct {
	scopes         []string
	refresh, bound bool
	recheck        time.Duration
}

// randomLeaf makes a document, and the rules that it has by name.
func randomLeaf(r *rand.Rand) (string, map[string]madeRule) {
	var b strings.Builder
	rules := map[string]madeRule{}
	fmt.Fprintf(&b, "bind: {client: support-bot, connection: sf, resource: %s}\nallow:\n", quoted(someResources))
	for i := range 1 + r.IntN(5) {
		scopes := some(r, someScopes)
		if len(scopes) == 0 {
			scopes = []string{"a"}
		}
		name := fmt.Sprintf("r%d", i)
		made := madeRule{scopes: scopes, refresh: r.IntN(2) == 0, bound: r.IntN(3) == 0}
		more := ""
		if r.IntN(2) == 0 {
			made.recheck = time.Duration(1+r.IntN(60)) * time.Second
			more = fmt.Sprintf(", recheck: %s", made.recheck)
		}
		if made.bound {
			more += fmt.Sprintf(", require: {approval: {by: g%d}}", r.IntN(2))
		}
		rules[name] = made
		fmt.Fprintf(&b, "- {rule: %s, scopes: %s, lifetime: %dm, refresh: %t%s, when: '%s'}\n", name, quoted(scopes), 1+r.IntN(60),
			made.refresh, more, someConditions[r.IntN(len(someConditions))])
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "deny: [{rule: d, when: '%s'}]\n", someConditions[r.IntN(len(someConditions))])
	}
	if d := some(r, someScopes); len(d) > 0 && r.IntN(2) == 0 {
		fmt.Fprintf(&b, "default_scopes: %s\n", quoted(d))
	}
	fmt.Fprintf(&b, "limits: {lifetime: %dm, depth: %d, derivations: %d", 1+r.IntN(60), r.IntN(17), r.IntN(100))
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, ", recheck: %ds", 1+r.IntN(60))
	}
	b.WriteString("}\n")
	return b.String(), rules
}

func randomFacts(r *rand.Rand) tokenboundary.Facts {
	f := request()
	f.Scopes = some(r, append(slices.Clone(someScopes), "unknown"))
	f.Resources = some(r, someResources)
	f.Env = map[string]any{}
	if r.IntN(2) == 0 {
		f.Env["on"] = []any{true, false, "true"}[r.IntN(3)]
	}
	if r.IntN(2) == 0 {
		f.Task = nil
	}
	if r.IntN(2) == 0 {
		f.Ceiling = &lineage.Authority{}
		for _, res := range some(r, someResources) {
			f.Ceiling.Access = append(f.Ceiling.Access, lineage.Access{Resource: res, Scopes: some(r, someScopes)})
		}
	}
	return f
}

// A verdict never grants what was not requested (or declared as the default), what the ceiling does not hold, or what
// no rule names, and never lasts longer than a limit; and every scope at every resource has exactly one reason. What
// only a rule with an obligation grants is under that obligation, and can be refreshed only if a rule says so.
func TestAVerdictNeverExceedsWhatIsAskedAndHeld(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed, refused, bound := 0, 0, 0
	for range 400 {
		text, rules := randomLeaf(r)
		s := load(t, map[string]string{"crm.yaml": text})
		l := s.find("support-bot", "sf", crm)
		for range 10 {
			f := randomFacts(r)
			v := decided(t, s, f)
			again := decided(t, s, f)
			require.Equal(t, v, again, "a verdict is a function of the facts")
			if v.Effect != tokenboundary.Allow {
				refused++
				require.NotEmpty(t, v.Code, text)
				require.NotEmpty(t, v.Reasons, text)
				require.Empty(t, v.Access, text)
				require.Zero(t, v.Lifetime, text)
				require.Zero(t, v.Recheck, text)
				require.Empty(t, v.Obligations, text)
				continue
			}
			allowed++
			bound += len(v.Obligations)
			checkAllowed(t, v, f, l, rules)
			checkObligations(t, v, l, rules)
		}
	}
	require.Greater(t, allowed, 200)
	require.Greater(t, refused, 200)
	require.Greater(t, bound, 200)
}

func checkAllowed(t *testing.T, v tokenboundary.Verdict, f tokenboundary.Facts, l *leaf, rules map[string]madeRule) {
	t.Helper()
	asked := f.Scopes
	if len(asked) == 0 {
		asked = l.defaults
	}
	require.Equal(t, f.Resources, v.Resources)
	require.Positive(t, v.Lifetime)
	require.LessOrEqual(t, v.Lifetime, l.limits.lifetime)
	require.Equal(t, l.limits.depth, v.Depth)
	require.Len(t, v.Reasons, len(asked)*len(f.Resources))
	for _, a := range v.Access {
		require.Contains(t, f.Resources, a.Resource)
		require.NotEmpty(t, a.Scopes)
		require.True(t, slices.IsSorted(a.Scopes))
		for _, scope := range a.Scopes {
			require.Contains(t, asked, scope)
			if f.Ceiling != nil {
				require.Contains(t, f.Ceiling.Scopes(a.Resource), scope)
			}
			at := slices.IndexFunc(v.Reasons, func(r lineage.Reason) bool { return r.Resource == a.Resource && r.Scope == scope })
			require.True(t, v.Reasons[at].Granted)
			_, name, _ := strings.Cut(v.Reasons[at].Rule, "#")
			require.Contains(t, rules[name].scopes, scope)
		}
	}
}

// checkObligations checks what is said of each granted scope against the rule that its reason names.
func checkObligations(t *testing.T, v tokenboundary.Verdict, l *leaf, rules map[string]madeRule) {
	t.Helper()
	granted, obliged := map[string]bool{}, map[string]bool{}
	intervals := []time.Duration{l.limits.recheck}
	for _, reason := range v.Reasons {
		if !reason.Granted {
			require.False(t, reason.Refresh)
			continue
		}
		_, name, _ := strings.Cut(reason.Rule, "#")
		rule := rules[name]
		says := rule.refresh
		for _, r := range rules {
			says = says || !rule.bound && !r.bound && r.refresh && slices.Contains(r.scopes, reason.Scope)
			if slices.Contains(r.scopes, reason.Scope) && r.bound == rule.bound {
				intervals = append(intervals, r.recheck)
			}
		}
		require.True(t, says || !reason.Refresh, "no rule that can have granted it lets it be refreshed")
		require.True(t, reason.Refresh || !rule.refresh, "a rule that granted it lets it be refreshed")
		if rule.recheck > 0 {
			require.Positive(t, v.Recheck)
			require.LessOrEqual(t, v.Recheck, rule.recheck)
		}
		granted[reason.Scope] = true
		obliged[reason.Scope] = obliged[reason.Scope] || rule.bound
	}
	require.Contains(t, append(intervals, 0), v.Recheck)
	if l.limits.recheck > 0 {
		require.Positive(t, v.Recheck)
		require.LessOrEqual(t, v.Recheck, l.limits.recheck)
	}
	under := map[string]bool{}
	for _, o := range v.Obligations {
		require.Equal(t, "approval", o.Kind)
		require.NotEmpty(t, o.Scopes)
		require.True(t, slices.IsSorted(o.Scopes))
		for _, scope := range o.Scopes {
			under[scope] = true
		}
	}
	for scope := range obliged {
		require.Equal(t, obliged[scope], under[scope], scope)
	}
	require.Subset(t, sorted(granted), sorted(under), "only what is granted is under an obligation")
}
