package policy

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

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

// randomLeaf makes a document, and the rules that it has by name.
func randomLeaf(r *rand.Rand) (string, map[string][]string) {
	var b strings.Builder
	rules := map[string][]string{}
	fmt.Fprintf(&b, "bind: {client: support-bot, connection: sf, resource: %s}\nallow:\n", quoted(someResources))
	for i := range 1 + r.IntN(5) {
		scopes := some(r, someScopes)
		if len(scopes) == 0 {
			scopes = []string{"a"}
		}
		name := fmt.Sprintf("r%d", i)
		rules[name] = scopes
		fmt.Fprintf(&b, "- {rule: %s, scopes: %s, lifetime: %dm, refresh: %t, when: '%s'}\n", name, quoted(scopes), 1+r.IntN(60),
			r.IntN(4) == 0, someConditions[r.IntN(len(someConditions))])
	}
	if r.IntN(2) == 0 {
		fmt.Fprintf(&b, "deny: [{rule: d, when: '%s'}]\n", someConditions[r.IntN(len(someConditions))])
	}
	if d := some(r, someScopes); len(d) > 0 && r.IntN(2) == 0 {
		fmt.Fprintf(&b, "default_scopes: %s\n", quoted(d))
	}
	fmt.Fprintf(&b, "limits: {lifetime: %dm, depth: %d, derivations: %d}\n", 1+r.IntN(60), r.IntN(17), r.IntN(100))
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
// no rule names, and never lasts longer than a limit; and every scope at every resource has exactly one reason.
func TestAVerdictNeverExceedsWhatIsAskedAndHeld(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	allowed, refused := 0, 0
	for range 400 {
		text, rules := randomLeaf(r)
		s := load(t, map[string]string{"crm.yaml": text})
		l := s.find("support-bot", "sf", crm)
		for range 10 {
			f := randomFacts(r)
			v := evaluate(t, s, f)
			again := evaluate(t, s, f)
			require.Equal(t, v, again, "a verdict is a function of the facts")
			if v.Effect != tokenboundary.Allow {
				refused++
				require.NotEmpty(t, v.Code, text)
				require.NotEmpty(t, v.Reasons, text)
				require.Empty(t, v.Access, text)
				require.Zero(t, v.Lifetime, text)
				continue
			}
			allowed++
			checkAllowed(t, v, f, l, rules)
		}
	}
	require.Greater(t, allowed, 200)
	require.Greater(t, refused, 200)
}

func checkAllowed(t *testing.T, v tokenboundary.Verdict, f tokenboundary.Facts, l *leaf, rules map[string][]string) {
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
			require.Contains(t, rules[name], scope)
		}
	}
}
