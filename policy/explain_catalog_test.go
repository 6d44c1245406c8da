package policy

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

const explainedCatalog = `
resources:
  - resource: https://crm.example.com/
    scopes:
      - {scope: cases:read, lifetime: 2m}
      - {scope: cases:write, implies: [cases:read]}
      - {scope: cases:admin, sensitivity: high}
connections:
  - {connection: sf, clients: [support-bot]}
`

func TestExplainKnowsTheCatalog(t *testing.T) {
	s := load(t, map[string]string{
		"catalog.yaml": explainedCatalog,
		"crm.yaml": `bind: {client: "*", connection: "*", resource: "*"}` + `
allow:
- {rule: writes, when: "true", scopes: [cases:write], lifetime: 5m}
- {rule: admins, when: 'request.sensitivity == "low"', scopes: [cases:admin]}
`})
	f := request()
	f.Scopes = []string{"cases:write"}
	x := explain(t, s, f)
	require.Equal(t, Limit{"lifetime", "2m", "catalog.yaml"}, x.Limits[0], "of what is implied")
	require.Equal(t, []ScopeResult{
		{Resource: crm, Scope: "cases:read", Fate: Granted, Rule: "/crm#writes", Why: "implied by cases:write"},
		{Resource: crm, Scope: "cases:write", Fate: Granted, Rule: "/crm#writes"},
	}, x.Scopes)

	f.Scopes = []string{"cases:admin", "cases:nothing", "cases:read", "cases:write"}
	x = explain(t, s, f)
	require.Equal(t, []string{
		`leave out scope "cases:nothing": no rule of /crm names it`, "no change of at most 3 facts was found that makes all of it pass",
	}, x.Notes)
	require.Equal(t, []Value{{"request.sensitivity", `"high"`}}, x.Steps[1].Values)

	for why, change := range map[string]func(*tokenboundary.Facts){
		"the catalog does not give the connection to this client": func(f *tokenboundary.Facts) { f.Client.ID = "other" },
		"the catalog does not have this resource":                 func(f *tokenboundary.Facts) { f.Resources = []string{billing} },
	} {
		f := request()
		change(&f)
		x := explain(t, s, f)
		require.Equal(t, tokenboundary.Deny, x.Verdict.Effect)
		require.Len(t, x.Steps, 2)
		for _, scope := range x.Scopes {
			require.Contains(t, scope.Why, "the request is denied: "+why)
		}
		f.Scopes = []string{"cases:write"}
		require.Equal(t, why, explain(t, s, f).Steps[0].Unreached)
	}
}
