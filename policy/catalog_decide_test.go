package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// catalogued loads a leaf /crm with the fields under a catalog.
func catalogued(t testing.TB, catalog, more string) *Set {
	t.Helper()
	return load(t, map[string]string{"catalog.yaml": catalog, "crm.yaml": leafOf(more)})
}

func asking(scopes ...string) tokenboundary.Facts {
	f := request()
	f.Scopes = scopes
	return f
}

// implying is a catalog of the CRM with a scope for each line, which may imply others.
func implying(scopes ...string) string {
	var b strings.Builder
	b.WriteString("resources:\n- resource: https://crm.example.com/\n  scopes:\n")
	for _, s := range scopes {
		name, implied, _ := strings.Cut(s, " > ")
		fmt.Fprintf(&b, "  - {scope: %q", name)
		if implied != "" {
			fmt.Fprintf(&b, ", implies: [%s]", implied)
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// allow is an allow rule that always holds.
func allow(name, scopes, more string) string {
	return fmt.Sprintf("- {rule: %s, when: 'true', scopes: [%s]%s}\n", name, scopes, more)
}

// A wildcard binds only what the catalog has.
func TestAWildcardBindsOnlyWhatTheCatalogHas(t *testing.T) {
	anything := "bind: {client: \"*\", connection: \"*\", resource: \"*\"}\nallow:\n" + allow("r", "cases:read, notes:read, refunds:read", "")
	s := load(t, map[string]string{"catalog.yaml": catalogue, "any.yaml": anything})
	for _, c := range []struct{ client, connection, resource, why string }{
		{"support-bot", "sf", crm, ""},
		{"billing-bot", "sap", billing, ""},
		{"billing-bot", "sf", crm, "the catalog does not give the connection to this client"},
		{"stranger", "sf", crm, "the catalog does not give the connection to this client"},
		{"support-bot", "ldap", crm, "the catalog does not give the connection to this client"},
		{"support-bot", "sf", "https://other.example.com/", "the catalog does not have this resource"},
	} {
		f := asking("cases:read")
		f.Client.ID, f.Connection, f.Resources = c.client, c.connection, []string{c.resource}
		v := evaluate(t, s, f)
		if c.why == "" {
			require.Equal(t, map[string]string{c.resource: "cases:read"}, access(v))
			continue
		}
		require.Equal(t, tokenboundary.Deny, v.Effect, c)
		require.Equal(t, tokenboundary.CodeInvalidTarget, v.Code)
		require.Equal(t, "/any", v.Path)
		require.Equal(t, c.why, v.Reasons[0].Why)
	}
	v := evaluate(t, s, asking("cases:read", "refunds:read"))
	require.Equal(t, map[string]string{crm: "cases:read"}, access(v))
	require.Equal(t, "cases:read /any#r\nrefunds:read  not a scope of this resource", whys(v))
	f := asking("refunds:read")
	f.Resources = []string{crm, "https://other.example.com/"}
	require.Equal(t, lineage.Reason{Resource: "https://other.example.com/", Why: "the catalog does not have this resource"}, evaluate(t, s, f).Reasons[0])
}

// What a granted scope implies is granted too, all the way down, by the rule that granted it.
func TestWhatAGrantedScopeImpliesIsGranted(t *testing.T) {
	s := catalogued(t, implying("admin > write", "write > read", "read", "other"),
		"allow:\n"+allow("a", "admin", ", delegates: [tool], refresh: true, lifetime: 5m")+allow("o", "other", ""))
	v := evaluate(t, s, asking("admin", "other"))
	require.Equal(t, map[string]string{crm: "admin other read write"}, access(v))
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read", "write"}}}, v.Implied)
	require.Equal(t, lineage.Reason{
		Resource: crm, Scope: "read", Granted: true, Rule: "/crm#a", Why: "implied by admin", Delegates: []string{"tool"}, Refresh: true,
	}, v.Reasons[2])
	require.Equal(t, 5*time.Minute, v.Lifetime)
	require.Equal(t, "admin /crm#a\nother /crm#o\nread /crm#a implied by admin\nwrite /crm#a implied by admin", whys(v))

	v = evaluate(t, s, asking("other"))
	require.Equal(t, map[string]string{crm: "other"}, access(v), "nothing comes of what is not granted")
	require.Empty(t, v.Implied)
	v = evaluate(t, s, asking("admin", "read"))
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"write"}}}, v.Implied, "what was asked for is no addition")
	v = evaluate(t, s, asking("read"))
	require.Equal(t, tokenboundary.CodeInvalidScope, v.Code, "what is implied is not granted by itself")
	require.Equal(t, "read  no rule grants it", whys(v))

	f := asking("admin")
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"admin", "read"}}}}
	require.Equal(t, map[string]string{crm: "admin read"}, access(evaluate(t, s, f)), "only what the ceiling holds")
	f.Ceiling.Access[0].Scopes = []string{"read"}
	require.Equal(t, "admin  not held by what it is made from", whys(evaluate(t, s, f)))
}

// What a rule grants by itself stands, with its own terms.
func TestWhatARuleGrantsByItselfStands(t *testing.T) {
	s := catalogued(t, implying("write > read", "read"),
		"allow:\n"+allow("w", "write", ", delegates: [tool], refresh: true")+allow("r", "read", ", delegates: [other]"))
	v := evaluate(t, s, asking("read", "write"))
	require.Equal(t, lineage.Reason{Resource: crm, Scope: "read", Granted: true, Rule: "/crm#r", Delegates: []string{"other"}}, v.Reasons[0])
	require.Empty(t, v.Implied)
}

// Several scopes can imply one: whoever may derive, or refresh, any of them may do so with it.
func TestWhatSeveralScopesImply(t *testing.T) {
	s := catalogued(t, implying("a > r", "b > r", "c > r", "r"), "allow:\n"+allow("a", "a", ", delegates: [tool]")+
		allow("b", "b", ", delegates: [bot], refresh: true")+allow("c", "c", ", delegates: [boss], require: {approval: {by: x}}"))
	v := evaluate(t, s, asking("a", "b", "c"))
	require.Equal(t, lineage.Reason{
		Resource: crm, Scope: "r", Granted: true, Rule: "/crm#a", Why: "implied by a", Delegates: []string{"bot", "tool"}, Refresh: true,
	}, v.Reasons[3])
	require.Equal(t, []string{"bot"}, v.Reasons[1].Delegates, "the others keep their own")
	require.Equal(t, []string{"c"}, v.Obligations[0].Scopes)
}

// What is granted only under an obligation passes it on, unless the scope is granted without.
func TestAnObligationHoldsBackWhatIsImplied(t *testing.T) {
	catalog := implying("refund > read, list", "read", "list")
	bound := allow("w", "refund", ", delegates: [tool], require: {approval: {by: leads}, step_up: {acr: mfa}}")
	v := evaluate(t, catalogued(t, catalog, "allow:\n"+bound), asking("refund"))
	require.Equal(t, map[string]string{crm: "list read refund"}, access(v))
	require.Len(t, v.Obligations, 2)
	for _, o := range v.Obligations {
		require.Equal(t, []string{"list", "read", "refund"}, o.Scopes, o.Kind)
	}
	require.Equal(t, []string{"tool"}, v.Reasons[0].Delegates)

	v = evaluate(t, catalogued(t, catalog, "allow:\n"+bound+allow("r", "read", "")), asking("read", "refund"))
	require.Equal(t, []string{"list", "refund"}, v.Obligations[0].Scopes)
	v = evaluate(t, catalogued(t, catalog, "allow:\n"+bound+allow("r", "read", "")), asking("refund"))
	require.Equal(t, []string{"list", "read", "refund"}, v.Obligations[0].Scopes, "nobody asked for it by itself")

	free := implying("refund > read", "write > read", "read")
	v = evaluate(t, catalogued(t, free, "allow:\n"+bound+allow("r", "write", "")), asking("refund", "write"))
	require.Equal(t, []string{"refund"}, v.Obligations[0].Scopes)
	require.Equal(t, "read /crm#r implied by write\nrefund /crm#w\nwrite /crm#r", whys(v))
}

// A token lives no longer than the catalog lets any of its scopes.
func TestTheCatalogBoundsLifetimes(t *testing.T) {
	scope := func(name, more string) string { return "  - {scope: " + name + more + "}\n" }
	catalog := implying() + scope("write", ", implies: [read], lifetime: 4m") + scope("read", ", lifetime: 2m") + scope("note", "") + scope("late", ", lifetime: 1h")
	s := catalogued(t, catalog, "allow:\n"+allow("r", "write, read, note, late", ", lifetime: 10m"))
	for scopes, want := range map[string]time.Duration{
		"note": 10 * time.Minute, "late": 10 * time.Minute, "read": 2 * time.Minute, "note write": 2 * time.Minute,
	} {
		require.Equal(t, want, evaluate(t, s, asking(strings.Fields(scopes)...)).Lifetime, scopes)
	}
	f := asking("write", "note")
	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"note", "write"}}}}
	require.Equal(t, 4*time.Minute, evaluate(t, s, f).Lifetime, "what is not granted does not count")
	s = catalogued(t, catalog, "allow:\n"+allow("r", "write", ", require: {approval: {by: x}}")+allow("n", "note", ""))
	require.Equal(t, 2*time.Minute, evaluate(t, s, asking("write", "note")).Lifetime, "what is held back counts")
}

// request.sensitivity is of the resource being decided.
func TestSensitivityIsOfTheResource(t *testing.T) {
	both := "bind: {client: support-bot, connection: sf, resource: [https://crm.example.com/, https://billing.example.com/]}\n"
	levels := []string{"low", "medium", "high", "unknown"}
	var rules strings.Builder
	for _, level := range levels {
		fmt.Fprintf(&rules, "- {rule: %s, when: 'request.sensitivity == \"%s\"', scopes: [cases:read]}\n", level, level)
	}
	said := func(s *Set, resource string, scopes ...string) string {
		f := asking(append(scopes, "cases:read")...)
		f.Resources = []string{crm, billing}
		for _, r := range evaluate(t, s, f).Reasons {
			if r.Resource == resource && r.Scope == "cases:read" {
				_, name, _ := strings.Cut(r.Rule, "#")
				return name
			}
		}
		return ""
	}
	s := load(t, map[string]string{"catalog.yaml": catalogue, "crm.yaml": both + "allow:\n" + rules.String()})
	require.Equal(t, "low", said(s, crm))
	require.Equal(t, "medium", said(s, billing))
	require.Equal(t, "high", said(s, crm, "cases:write"))
	require.Equal(t, "medium", said(s, billing, "cases:write"), "there is no such scope there")
	require.Equal(t, "unknown", said(s, crm, "notes:read"), "nothing is said of it, so it can be anything")
	require.Equal(t, "high", said(s, crm, "notes:read", "cases:write"))
	s = load(t, map[string]string{"crm.yaml": both + "allow:\n" + rules.String()})
	require.Equal(t, "unknown", said(s, crm, "cases:write"))

	implied := strings.Replace(implying("a > cases:read"), "}\n", ", sensitivity: low}\n  - {scope: cases:read, sensitivity: high}\n", 1)
	s = catalogued(t, implied, "deny: [{rule: high, when: 'request.sensitivity == \"high\"'}]\nallow:\n"+allow("r", "a", ""))
	v := evaluate(t, s, asking("a"))
	require.Equal(t, lineage.Reason{Resource: crm, Rule: "/crm#high", Why: "denied"}, v.Reasons[0], "what it implies counts")
}

// A rule that denies a scope denies what would bring it along, also where the catalog stands below the rule.
func TestADenyRuleSeesWhatIsImplied(t *testing.T) {
	docs := map[string]string{
		"boundary.yaml":     "deny:\n- {rule: no-refunds, when: '\"refunds\" in request.scopes'}\n",
		"team/catalog.yaml": implying("refunds", "manage > pay", "pay > refunds", "read"),
		"team/crm.yaml":     leafOf("allow:\n" + allow("r", "manage, read, refunds", "")),
	}
	s := load(t, docs)
	for _, scopes := range [][]string{{"refunds"}, {"manage"}, {"read", "manage"}} {
		v := evaluate(t, s, asking(scopes...))
		require.Equal(t, lineage.Reason{Resource: crm, Rule: "/boundary#no-refunds", Why: "denied"}, v.Reasons[0], scopes)
	}
	require.Equal(t, tokenboundary.Allow, evaluate(t, s, asking("read")).Effect, "control")

	delete(docs, "boundary.yaml")
	require.Equal(t, map[string]string{crm: "manage pay refunds"}, access(evaluate(t, load(t, docs), asking("manage"))), "control")
}

// What is implied at one resource says nothing of another.
func TestRequestScopesAreThoseOfTheResource(t *testing.T) {
	const both = "bind: {client: support-bot, connection: sf, resource: [https://crm.example.com/, https://billing.example.com/]}\n"
	s := load(t, map[string]string{
		"catalog.yaml": implying("read", "write > read") + "- {resource: https://billing.example.com/, scopes: [{scope: read}, {scope: write}]}\n",
		"both.yaml":    both + "allow:\n- {rule: alone, when: '!(\"read\" in request.scopes)', scopes: [write]}\n",
	})
	f := asking("write")
	f.Resources = []string{crm, billing}
	require.Equal(t, map[string]string{billing: "write"}, access(evaluate(t, s, f)))
}

// The dearest catalog of one resource, where each of 128 scopes implies the next.
func TestALongChainOfImplications(t *testing.T) {
	var scopes []string
	for i := range 128 {
		if scopes = append(scopes, fmt.Sprintf("s%03d", i)); i < 127 {
			scopes[i] += fmt.Sprintf(" > s%03d", i+1)
		}
	}
	s := catalogued(t, implying(scopes...), "allow:\n"+allow("r", "s000, s100", ""))
	require.Len(t, evaluate(t, s, asking("s000")).Access[0].Scopes, 128)
	require.Len(t, evaluate(t, s, asking("s100")).Access[0].Scopes, 28)
}

func TestWatchSeesCatalogs(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("crm.yaml", leafOf("allow:\n"+allow("r", "cases:write", "")))
	write("catalog.yaml", catalogue)
	mock := clock.NewMock()
	w, err := Watch(t.Context(), dir, WatchOptions{Clock: mock})
	require.NoError(t, err)
	before := w.Version()
	write("catalog.yaml", strings.Replace(catalogue, "lifetime: 60s", "lifetime: 3600s", 1))
	require.Eventually(t, func() bool { mock.Add(DefaultInterval); return w.Version() != before }, 10*time.Second, time.Millisecond)
	v, err := w.Evaluate(t.Context(), asking("cases:write"))
	require.NoError(t, err)
	require.Equal(t, time.Hour, v.Lifetime)
	require.NoError(t, os.Remove(filepath.Join(dir, "catalog.yaml")))
	require.NoError(t, w.Reload(t.Context()))
	v, err = w.Evaluate(t.Context(), asking("cases:write"))
	require.NoError(t, err)
	require.Empty(t, v.Implied)
}
