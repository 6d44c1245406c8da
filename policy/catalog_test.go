package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// catalogue is what most tests here have in the root: of the CRM, one scope implies the other, and the third says nothing.
const catalogue = `resources:
  - resource: https://crm.example.com/
    scopes:
      - {scope: cases:read, sensitivity: low}
      - {scope: cases:write, implies: [cases:read], sensitivity: high, lifetime: 60s}
      - {scope: notes:read}
  - resource: https://billing.example.com/
    scopes:
      - {scope: refunds:read, sensitivity: medium, lifetime: 2m}
      - {scope: refunds:write, implies: [refunds:read], sensitivity: medium}
      - {scope: cases:read, sensitivity: medium}
connections:
  - {connection: sf, clients: [support-bot, other-bot]}
  - {connection: sap, clients: [billing-bot]}
`

func refusal(t *testing.T, docs map[string]string) string {
	t.Helper()
	_, err := Load(tree(docs))
	require.Error(t, err)
	var le *LoadError
	require.ErrorAs(t, err, &le)
	return err.Error()
}

func TestLoadRefusesCatalogs(t *testing.T) {
	resource := func(scopes string) string {
		return "resources:\n- resource: https://crm.example.com/\n  scopes:\n" + scopes
	}
	var many, chain strings.Builder
	for i := range 129 {
		fmt.Fprintf(&many, "  - {scope: s%d}\n", i)
		fmt.Fprintf(&chain, "  - {scope: s%d, implies: [s%d]}\n", i, (i+1)%129)
	}
	for name, c := range map[string]struct{ text, want string }{
		"empty":                  {"", "catalog.yaml: the document is empty"},
		"nothing":                {"{}\n", "catalog.yaml:1:1: catalog.yaml: needs resources or connections"},
		"list":                   {"- a\n", "catalog.yaml:1:1: catalog.yaml: must be a mapping"},
		"unknown key":            {"scopes: []\n", `catalog.yaml:1:1: catalog.yaml: unknown key "scopes"`},
		"rules":                  {"allow: []\n", `unknown key "allow"`},
		"key twice":              {"resources: []\nresources: []\n", `catalog.yaml:2: key "resources" twice`},
		"no resources":           {"resources: []\n", "catalog.yaml:1:12: resources: must be a list that is not empty"},
		"resource as text":       {"resources: [https://x.example/]\n", "catalog.yaml:1:13: resources: must be a mapping"},
		"resource without name":  {"resources:\n- scopes: [{scope: a}]\n", "catalog.yaml:2:3: resources: resource is required"},
		"resource without scope": {"resources:\n- resource: https://x.example/\n", "catalog.yaml:2:3: resources: scopes is required"},
		"resource with more":     {"resources:\n- {resource: https://x.example/, owner: a, scopes: [{scope: a}]}\n", `resources: unknown key "owner"`},
		"any resource":           {"resources:\n- {resource: \"*\", scopes: [{scope: a}]}\n", `catalog.yaml:2:14: resource: "*" is not allowed in a catalog`},
		"bad resource":           {"resources:\n- {resource: \"https://x/#f\", scopes: [{scope: a}]}\n", "catalog.yaml:2:14: resource: not a usable resource indicator"},
		"resource twice": {
			resource("  - {scope: a}\n") + "- {resource: \"HTTPS://CRM.example.com:443/\", scopes: [{scope: a}]}\n",
			`catalog.yaml:5:14: resource: "https://crm.example.com/" twice`,
		},
		"no scopes":           {"resources:\n- {resource: https://x.example/, scopes: []}\n", "scopes: must be a list that is not empty"},
		"scope as text":       {resource("  - a\n"), "catalog.yaml:4:5: scopes: must be a mapping"},
		"scope without name":  {resource("  - {sensitivity: low}\n"), "catalog.yaml:4:5: scopes: scope is required"},
		"scope with more":     {resource("  - {scope: a, delegates: [b]}\n"), `catalog.yaml:4:16: scopes: unknown key "delegates"`},
		"any scope":           {resource("  - {scope: \"*\"}\n"), `catalog.yaml:4:13: scope: "*" is not allowed in a catalog`},
		"bad scope":           {resource("  - {scope: \"a b\"}\n"), "catalog.yaml:4:13: scope: scope has a forbidden character"},
		"scope twice":         {resource("  - {scope: a}\n  - {scope: a}\n"), `catalog.yaml:5:13: scope: "a" twice`},
		"too many scopes":     {resource(many.String()), "catalog.yaml:4:3: scopes: more than 128 entries"},
		"sensitivity":         {resource("  - {scope: a, sensitivity: secret}\n"), "catalog.yaml:4:29: sensitivity: must be low, medium or high"},
		"unknown sensitivity": {resource("  - {scope: a, sensitivity: unknown}\n"), "sensitivity: must be low, medium or high"},
		"sensitivity as flag": {resource("  - {scope: a, sensitivity: true}\n"), "sensitivity: must be a string"},
		"lifetime":            {resource("  - {scope: a, lifetime: 5}\n"), "catalog.yaml:4:26: lifetime: must be a duration such as 5m"},
		"no lifetime":         {resource("  - {scope: a, lifetime: 0s}\n"), "lifetime: must be whole seconds between 1s and 24h0m0s"},
		"long lifetime":       {resource("  - {scope: a, lifetime: 25h}\n"), "lifetime: must be whole seconds between 1s and 24h0m0s"},
		"implies text":        {resource("  - {scope: a, implies: b}\n  - {scope: b}\n"), "catalog.yaml:4:25: implies: must be a list"},
		"implies any":         {resource("  - {scope: a, implies: [\"*\"]}\n"), `implies: "*" is not allowed in a catalog`},
		"implies twice":       {resource("  - {scope: a, implies: [b, b]}\n  - {scope: b}\n"), `catalog.yaml:4:29: implies: "b" twice`},
		"implies itself":      {resource("  - {scope: a, implies: [a]}\n"), `catalog.yaml:4:25: implies: "a" implies itself`},
		"cycle":               {resource("  - {scope: a, implies: [b]}\n  - {scope: b, implies: [c]}\n  - {scope: c, implies: [a]}\n"), `implies: "c" implies itself`},
		"implies the unknown": {resource("  - {scope: a, implies: [c]}\n"), `catalog.yaml:4:26: implies: "c" is not a scope of this resource`},
		"implies elsewhere": {
			resource("  - {scope: a, implies: [c]}\n") + "- {resource: https://x.example/, scopes: [{scope: c}]}\n",
			`catalog.yaml:4:26: implies: "c" is not a scope of this resource`,
		},
		"long cycle":                {resource(chain.String()), "scopes: more than 128 entries"},
		"connection as text":        {"connections: [a]\n", "connections: must be a mapping"},
		"connection without name":   {"connections:\n- {clients: [a]}\n", "catalog.yaml:2:3: connections: connection is required"},
		"connection without owner":  {"connections:\n- {connection: a}\n", "catalog.yaml:2:3: connections: clients is required"},
		"connection without owners": {"connections:\n- {connection: a, clients: []}\n", "clients: must be a list that is not empty"},
		"connection with more":      {"connections:\n- {connection: a, clients: [b], owner: c}\n", `connections: unknown key "owner"`},
		"any connection":            {"connections:\n- {connection: \"*\", clients: [b]}\n", `connection: "*" is not allowed in a catalog`},
		"any client":                {"connections:\n- {connection: a, clients: [\"*\"]}\n", `catalog.yaml:2:29: clients: "*" is not allowed in a catalog`},
		"connection twice":          {"connections:\n- {connection: a, clients: [b]}\n- {connection: a, clients: [c]}\n", `catalog.yaml:3:16: connection: "a" twice`},
		"client twice":              {"connections:\n- {connection: a, clients: [b, c, b]}\n", `catalog.yaml:2:35: clients: "b" twice`},
		"too many clients":          {"connections:\n- {connection: a, clients: [" + numbered(4097, "c") + "]}\n", "clients: more than 4096 entries"},
		"alias":                     {"resources: &a []\nconnections: *a\n", "catalog.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, refusal(t, map[string]string{"catalog.yaml": c.text, "crm.yaml": leafOf("")}), c.want)
		})
	}
	load(t, map[string]string{"catalog.yaml": catalogue, "crm.yaml": leafOf("")})
	load(t, map[string]string{"catalog.yaml": resource(strings.Replace(many.String(), "  - {scope: s128}\n", "", 1)), "crm.yaml": leafOf("")})
}

// What a leaf names has to be in the catalog.
func TestLoadRefusesWhatTheCatalogDoesNotHave(t *testing.T) {
	bind := func(client, connection, resource string) string {
		return fmt.Sprintf("bind: {client: %s, connection: %s, resource: %s}\n", client, connection, resource)
	}
	both := bind("support-bot", "sf", "[https://crm.example.com/, https://billing.example.com/]")
	anything := bind("support-bot", "sf", `"*"`)
	rule := func(scopes, more string) string {
		return "allow:\n- rule: r\n  when: \"true\"\n  scopes: [" + scopes + "]\n" + more
	}
	for name, c := range map[string]struct{ text, want string }{
		"resource": {
			bind("support-bot", "sf", "https://other.example.com/"),
			`crm.yaml:1: bind: resource "https://other.example.com/" is not in the catalog, which has https://billing.example.com/, https://crm.example.com/`,
		},
		"connection":               {bind("support-bot", "ldap", `"*"`), `crm.yaml:1: bind: connection "ldap" is not in the catalog`},
		"connection of any client": {bind(`"*"`, "ldap", `"*"`), `crm.yaml:1: bind: connection "ldap" is not in the catalog`},
		"client": {
			bind("[support-bot, billing-bot]", "sf", `"*"`),
			`crm.yaml:1: bind: the catalog does not give connection "sf" to client "billing-bot", but to other-bot, support-bot`,
		},
		"scope": {
			leafOf(rule("cases:delete", "")),
			`crm.yaml:5: rule "r": scopes: "cases:delete" is not a scope of https://crm.example.com/: the catalog has cases:read, cases:write, notes:read for it`,
		},
		"scope of one of two resources": {both + rule("cases:write", ""), `rule "r": scopes: "cases:write" is not a scope of https://billing.example.com/`},
		"scope of the other resource": {
			both + rule("cases:read, refunds:read", "  resources: [https://crm.example.com/]\n"),
			`rule "r": scopes: "refunds:read" is not a scope of https://crm.example.com/`,
		},
		"scope of no resource": {anything + rule("cases:delete", ""), `crm.yaml:5: rule "r": scopes: "cases:delete" is not a scope of any resource of the catalog`},
		"resource of a rule":   {anything + rule("cases:read", "  resources: [https://other.example.com/]\n"), `rule "r": resources: "https://other.example.com/" is not in the catalog`},
		"default scope": {
			both + "default_scopes: [cases:read, notes:read]\n",
			`crm.yaml:2: default_scopes: "notes:read" is not a scope of https://billing.example.com/`,
		},
		"default scope of no resource": {anything + "default_scopes: [cases:delete]\n", `default_scopes: "cases:delete" is not a scope of any resource`},
	} {
		t.Run(name, func(t *testing.T) {
			require.Contains(t, refusal(t, map[string]string{"catalog.yaml": catalogue, "crm.yaml": c.text}), c.want)
			load(t, map[string]string{"crm.yaml": c.text}) // without a catalog there is nothing wrong with it
		})
	}
	for _, good := range []string{
		leafOf(rule("cases:read, cases:write", "")), both + rule("cases:read", ""), anything + rule("refunds:write, notes:read", ""),
		both + rule("refunds:read", "  resources: [https://billing.example.com/]\n"), both + "default_scopes: [cases:read]\n",
		bind(`"*"`, "sap", crm), bind("stranger", `"*"`, crm), bind("billing-bot", "sap", billing),
	} {
		load(t, map[string]string{"catalog.yaml": catalogue, "crm.yaml": good})
	}
}

// A catalog is for its directory and below. Those on the way add up, and none says again what one above it says.
func TestCatalogsAddUp(t *testing.T) {
	eu := "resources:\n- {resource: https://eu.example.com/, scopes: [{scope: eu:read}]}\nconnections:\n- {connection: eu, clients: [eu-bot]}\n"
	leaf := func(client, connection, resource, scope string) string {
		return fmt.Sprintf("bind: {client: %s, connection: %s, resource: %s}\nallow: [{rule: r, when: \"true\", scopes: [%s]}]\n",
			client, connection, resource, scope)
	}
	docs := map[string]string{
		"catalog.yaml": catalogue, "a/eu/catalog.yaml": eu,
		"crm.yaml": leaf("support-bot", "sf", crm, "cases:read"), "a/eu/x/leaf.yaml": leaf("eu-bot", "eu", "https://eu.example.com/", "eu:read"),
		"a/eu/up.yaml": leaf("other-bot", "sf", crm, "cases:read"),
	}
	s := load(t, docs)
	root, below := s.find("support-bot", "sf", crm).catalog, s.find("eu-bot", "eu", "https://eu.example.com/").catalog
	require.Same(t, below, s.find("other-bot", "sf", crm).catalog, "one for all leaves that have the same")
	require.Same(t, root, below.above)
	require.Nil(t, root.resource("https://eu.example.com/"))
	require.NotNil(t, below.resource(crm))

	docs["b/leaf.yaml"] = leaf("eu-bot", "eu", "https://eu.example.com/", "eu:read")
	delete(docs, "a/eu/x/leaf.yaml")
	why := refusal(t, docs)
	require.Contains(t, why, `b/leaf.yaml:1: bind: connection "eu" is not in the catalog`)
	require.Contains(t, why, `b/leaf.yaml:1: bind: resource "https://eu.example.com/" is not in the catalog`)
	docs["b/catalog.yaml"] = eu // beside the other one, it may say the same
	load(t, docs)

	docs["a/eu/catalog.yaml"] = eu + "- {connection: sf, clients: [eu-bot]}\n"
	require.Contains(t, refusal(t, docs), "a/eu/catalog.yaml:5: connections: sf is described by catalog.yaml:13 already")
	docs["a/eu/catalog.yaml"] = "resources:\n- {resource: https://crm.example.com/, scopes: [{scope: eu:read}]}\n"
	require.Contains(t, refusal(t, docs), "a/eu/catalog.yaml:2: resources: https://crm.example.com/ is described by catalog.yaml:2 already")
}

// A catalog that lists no resources has no say about them, and one without connections none about those.
func TestACatalogSaysOnlyWhatItLists(t *testing.T) {
	resources, connections, _ := strings.Cut(catalogue, "connections:\n")
	stranger := "bind: {client: stranger, connection: ldap, resource: https://crm.example.com/}\nallow: [{rule: r, when: \"true\", scopes: [cases:read]}]\n"
	s := load(t, map[string]string{"catalog.yaml": resources, "crm.yaml": stranger})
	f := request()
	f.Client.ID, f.Connection = "stranger", "ldap"
	require.Equal(t, map[string]string{crm: "cases:read"}, access(evaluate(t, s, f)))

	s = load(t, map[string]string{"catalog.yaml": "connections:\n" + connections, "crm.yaml": leafOf("allow: [{rule: r, when: 'true', scopes: [anything]}]\n")})
	f = request()
	f.Scopes = []string{"anything"}
	require.Equal(t, map[string]string{crm: "anything"}, access(evaluate(t, s, f)))
	require.Nil(t, load(t, map[string]string{"crm.yaml": leafOf("")}).find("support-bot", "sf", crm).catalog)
}

func TestTheVersionCoversCatalogs(t *testing.T) {
	docs := map[string]string{"catalog.yaml": catalogue, "crm.yaml": leafOf("")}
	before := load(t, docs).Version()
	docs["catalog.yaml"] = strings.Replace(catalogue, "60s", "61s", 1)
	require.NotEqual(t, before, load(t, docs).Version())
}

// However many errors a set has, they are told in a bounded message and time.
func TestManyErrorsOfACatalogAreBounded(t *testing.T) {
	var rules strings.Builder
	for i := range 200 {
		fmt.Fprintf(&rules, "- {rule: r%d, when: 'true', scopes: [%s]}\n", i, numbered(60, fmt.Sprintf("s%d-", i)))
	}
	docs := map[string]string{"catalog.yaml": catalogue}
	for i := range 4 {
		docs[fmt.Sprintf("l%d.yaml", i)] = strings.Replace(leafOf("allow:\n"+rules.String()), "support-bot", fmt.Sprintf("bot-%d", i), 1)
	}
	docs["catalog.yaml"] = strings.Replace(catalogue, "connections:", "#", 1)
	docs["catalog.yaml"], _, _ = strings.Cut(docs["catalog.yaml"], "#")
	require.Less(t, len(refusal(t, docs)), 64<<10)
}
