package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const catalogText = `resources:
- resource: https://crm.example.com/
  scopes:
  - {scope: "cases:read"}
  - {scope: "cases:write", implies: ["cases:read"]}
  - {scope: "cases:delete"}
- resource: https://billing.example.com/
  scopes:
  - {scope: "invoices:read"}
  - {scope: "invoices:pay"}
`

func TestCheckFindsScopesThatNothingGrants(t *testing.T) {
	rule := func(scopes, more string) string {
		return "allow: [{rule: r, when: 'true', scopes: " + scopes + more + "}]\n"
	}
	const (
		noDelete = `catalog.yaml:6: unused-scope: no rule grants "cases:delete" at https://crm.example.com/, and no scope that one grants implies it`
		noRead   = `catalog.yaml:4: unused-scope: no rule grants "cases:read" at https://crm.example.com/, and no scope that one grants implies it`
		noWrite  = `catalog.yaml:5: unused-scope: no rule grants "cases:write" at https://crm.example.com/, and no scope that one grants implies it`
		noPay    = `catalog.yaml:10: unused-scope: no rule grants "invoices:pay" at https://billing.example.com/, and no scope that one grants implies it`
		nothing  = `catalog.yaml:7: unused-scope: no rule grants a scope of https://billing.example.com/: invoices:pay, invoices:read`
	)
	for _, c := range []struct {
		leaf string
		want []string
	}{
		{leafOf(rule("[cases:write]", "")), []string{noDelete, nothing}}, // which implies cases:read
		{leafOf(rule("[cases:read, cases:delete]", "")), []string{noWrite, nothing}},
		{bindOf("a", "b", `"*"`) + rule("[cases:write, cases:delete, invoices:read]", ""), []string{noPay}},
		{bindOf("a", "b", `"*"`) + rule("[cases:write, invoices:read, invoices:pay]", ", resources: ["+crm+"]"), nil}, // refused
		{bindOf("a", "b", `"*"`) + rule("[cases:delete]", ", resources: ["+crm+"]"), []string{noRead, noWrite, nothing}},
		{bindOf("a", "b", `"*"`) + rule("[cases:write, cases:delete, invoices:read, invoices:pay]", ""), nil},
	} {
		docs := map[string]string{"catalog.yaml": catalogText, "crm.yaml": c.leaf}
		if _, err := Load(tree(docs)); err != nil {
			require.Empty(t, c.want)
			continue
		}
		require.Equal(t, c.want, checkedSet(t, docs), c.leaf)
	}
}

// What a catalog implies counts for defaults as well, where the scope that implies it is a default itself.
func TestCheckKnowsWhatDefaultsImply(t *testing.T) {
	set := func(defaults string) []string {
		return checkedSet(t, map[string]string{
			"catalog.yaml": catalogText[:strings.Index(catalogText, "  - {scope: \"cases:delete\"}")],
			"crm.yaml":     leafOf("default_scopes: " + defaults + "\nallow: [{rule: r, when: 'true', scopes: [cases:write]}]\n"),
		})
	}
	require.Empty(t, set("[cases:read, cases:write]"))
	require.Equal(t, []string{`crm.yaml:2: default-not-granted: no rule here grants "cases:read", which a request without scopes asks for`}, set("[cases:read]"))
}

// Without a catalog every sensitivity is unknown; with one it can be any.
func TestCheckKnowsWhatSensitivityCanBe(t *testing.T) {
	docs := map[string]string{"crm.yaml": leafOf("allow: [{rule: r, when: 'request.sensitivity == \"low\"', scopes: [cases:write, cases:delete]}]\n")}
	require.Equal(t, []string{`crm.yaml:2: never-matches: rule "r": the condition is true for no request`}, checkedSet(t, docs))
	docs["catalog.yaml"] = catalogText[:strings.Index(catalogText, "- resource: https://billing")]
	require.Empty(t, checkedSet(t, docs))
	docs["crm.yaml"] = strings.ReplaceAll(docs["crm.yaml"], `"low"`, `"none"`)
	require.Equal(t, []string{`crm.yaml:2: never-matches: rule "r": the condition is true for no request`}, checkedSet(t, docs))
}

// Where a catalog says who can use a connection, only they can lose or win requests.
func TestCheckKnowsWhoOwnsConnections(t *testing.T) {
	for owners, want := range map[string][]string{
		"[c]":    {"b.yaml:1: shadowed-bind: nothing is decided here: for each client that the catalog gives these connections to, another document decides"},
		"[c, d]": {`b.yaml:1: shadowed-bind: requests named here are decided elsewhere, since an exact client goes before an exact connection, and that before an exact resource: client "c" by a.yaml`},
		"[d]":    nil,
	} {
		require.Equal(t, want, checkedSet(t, map[string]string{
			"catalog.yaml": "connections:\n- {connection: n, clients: " + owners + "}\n",
			"a.yaml":       bindOf("c", `"*"`, `"*"`), "b.yaml": bindOf(`"*"`, "n", crm),
		}), owners)
	}
}
