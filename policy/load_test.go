package policy

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

// good is a set that uses everything documents have.
var good = map[string]string{
	"boundary.yaml": "deny:\n- {rule: frozen, when: env.tenant_frozen == true}\nlimits: {lifetime: 1h}\ncontrols: [c:1]\n",
	"agents/support-bot/crm.yaml": `# a comment
bind:
  client: [support-bot, other-bot]
  connection: sf
  resource: [HTTPS://CRM.example.com:443/, https://billing.example.com/]
default_scopes: [cases:read]
allow:
  - rule: triage-reads
    when: grant == "token_exchange" && session.kind == "human" && task.purpose == "triage"
    scopes: [cases:read, contacts:read]
    resources: [https://crm.example.com/]
    lifetime: 5m
    recheck: 1m
    delegates: [crm-tool]
  - rule: refunds
    when: >
      task.purpose == "refund" &&
      risk.level in ["low", "medium"]
    scopes: [refunds:write]
    refresh: true
    require: {approval: {by: support-leads}, step_up: {acr: mfa, max_age: 5m}}
deny:
  - {rule: late, when: now > task.deadline}
limits: { lifetime: 10m, depth: 3, derivations: 50, recheck: 5m }
controls: [c:2, c:1]
`,
	"agents/support-bot/crm_test.yaml": "ignored: [",
	".git/config.yml":                  "ignored",
	"agents/.hidden.txt":               "ignored",
}

func TestLoadAcceptsEverythingDocumented(t *testing.T) {
	s := load(t, good)
	require.Equal(t, 4, s.size())
	l := s.find("other-bot", "sf", crm)
	require.Equal(t, "/agents/support-bot/crm", l.path)
	require.Equal(t, []string{"c:1", "c:2"}, l.controls)
	require.Equal(t, 10*60.0, l.limits.lifetime.Seconds())
	require.Equal(t, []string{crm}, l.allows[0].resources)
	require.Equal(t, "/boundary#frozen", l.guard.denies[0].id)
	require.Equal(t, []bool{false, true}, []bool{l.allows[0].refresh, l.allows[1].refresh})
	require.Len(t, l.allows[1].obligations, 2)
}

// The documents in docs/policy.md load: the leaf, and every fragment in one that fits around it.
func TestTheReferenceLoads(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	require.NoError(t, err)
	leaves, rules, conditions, catalogs, requests := 0, 0, 0, 0, 0
	leaf := ""
	for i, block := range strings.Split(string(page), "```yaml\n")[1:] {
		block, _, closed := strings.Cut(block, "```")
		require.True(t, closed)
		switch {
		case strings.Contains(block, "\nbind:"):
			leaves++
			leaf = block
			load(t, map[string]string{"leaf.yaml": block})
		case strings.Contains(block, "\nresources:"):
			catalogs++
			load(t, map[string]string{"leaf.yaml": leaf, "catalog.yaml": block}) // they go together
		case strings.Contains(block, "\ntests:") || strings.HasPrefix(block, "expect:"): // of package policytest
		case strings.HasPrefix(block, "client: "):
			requests++
			_, err := ParseRequest([]byte(block))
			require.NoError(t, err)
		case strings.HasPrefix(block, "allow:\n"):
			rules++
			one(t, block)
		default:
			for _, line := range strings.Split(strings.TrimSpace(block), "\n") {
				require.True(t, strings.HasPrefix(line, "when: "), "block %d: %s", i, line)
				conditions++
				one(t, "deny:\n- rule: d\n  "+line+"\n")
			}
		}
	}
	require.Equal(t, []int{1, 2, 3, 1, 1}, []int{leaves, rules, conditions, catalogs, requests})
}

func TestLoadRefusesDocuments(t *testing.T) {
	rule := func(text string) string { return leafOf("allow:\n- rule: r\n  when: \"true\"\n  scopes: [a]\n" + text) }
	cond := func(text string) string { return leafOf("allow:\n- rule: r\n  scopes: [a]\n  when: " + text + "\n") }
	cases := []struct{ name, text, want string }{
		// the form of a document
		{"empty", "", "crm.yaml: the document is empty"},
		{"null", "---\n", "crm.yaml:2:1: document: must be a mapping"},
		{"list", "- a\n", "crm.yaml:1:1: document: must be a mapping"},
		{"syntax", "bind: [\n", "crm.yaml:1: not YAML: did not find expected node content"},
		{"unknown key", leafOf("permit: []\n"), `crm.yaml:2:1: document: unknown key "permit"`},
		{"key twice", leafOf("limits: {depth: 1}\nlimits: {depth: 2}\n"), `crm.yaml:3: key "limits" twice`},

		// bind
		{"no bind", "controls: [x]\n", "crm.yaml:1:1: bind: is required"},
		{"bind without client", "bind: {connection: sf, resource: \"*\"}\n", `crm.yaml:1:7: bind: client is required (write "*" for any)`},
		{"bind without connection", "bind: {client: a, resource: \"*\"}\n", `bind: connection is required`},
		{"bind without resource", "bind: {client: a, connection: sf}\n", `bind: resource is required`},
		{"bind unknown", "bind: {client: a, connection: b, resource: \"*\", tenant: x}\n", `crm.yaml:1:49: bind: unknown key "tenant"`},
		{"bind empty list", "bind: {client: [], connection: b, resource: \"*\"}\n", "crm.yaml:1:16: bind: client: must be a list that is not empty"},
		{"bind wildcard in a list", "bind: {client: [a, \"*\"], connection: b, resource: \"*\"}\n", `bind: client: "*" stands alone`},
		{"bind twice", "bind: {client: [a, a], connection: b, resource: \"*\"}\n", `bind: client: "a" twice`},
		{"bind resource", "bind: {client: a, connection: b, resource: \"https://x/#f\"}\n", "bind: resource: not a usable resource indicator"},
		{"bind same resource", "bind: {client: a, connection: b, resource: [\"https://x/\", \"HTTPS://X:443/\"]}\n", `bind: resource: "https://x/" twice`},
		{"bind number", "bind: {client: 12, connection: b, resource: \"*\"}\n", "bind: client: must be a string"},
		{"bind control character", "bind: {client: \"a\\u0007\", connection: b, resource: \"*\"}\n", "bind: client: name has a control character"},

		// rules
		{"rule without a name", leafOf("allow:\n- when: \"true\"\n  scopes: [a]\n"), "crm.yaml:3:3: allow: a rule needs a name"},
		{"rule with a bad name", leafOf("allow:\n- rule: a b\n  when: \"true\"\n  scopes: [a]\n"), "crm.yaml:3:9: rule: a name is made of"},
		{"rules of one name", rule("deny:\n- rule: r\n  when: \"false\"\n"), `crm.yaml:8: rule "r": two rules of this name`},
		{"rule unknown key", rule("  effect: allow\n"), `crm.yaml:6:3: rule "r": allow: unknown key "effect"`},
		{"deny with scopes", leafOf("deny:\n- {rule: r, when: \"true\", scopes: [a]}\n"), `crm.yaml:3:27: rule "r": deny: unknown key "scopes"`},
		{"no when", leafOf("allow:\n- rule: r\n  scopes: [a]\n"), `crm.yaml:3:3: rule "r": when: is required`},
		{"empty when", cond(`""`), `crm.yaml:5:9: rule "r": when: must be a string that is not empty`},
		{"blank when", cond(`"  "`), `crm.yaml:5:9: rule "r": when: is blank`},
		{"bool when", cond(`true`), `crm.yaml:5:9: rule "r": when: must be a string (write "true" for always)`},
		{"no scopes", leafOf("allow:\n- rule: r\n  when: \"true\"\n"), `crm.yaml:3:3: rule "r": scopes: is required`},
		{"empty scopes", leafOf("allow:\n- {rule: r, when: \"true\", scopes: []}\n"), `rule "r": scopes: must be a list that is not empty`},
		{"bad scope", leafOf("allow:\n- {rule: r, when: \"true\", scopes: [\"a b\"]}\n"), `rule "r": scopes: scope has a forbidden character`},
		{"scope twice", leafOf("allow:\n- {rule: r, when: \"true\", scopes: [a, a]}\n"), `rule "r": scopes: "a" twice`},
		{"scopes as text", leafOf("allow:\n- {rule: r, when: \"true\", scopes: a}\n"), `rule "r": scopes: must be a list`},
		{"foreign resource", rule("  resources: [https://other.example/]\n"), `crm.yaml:6:15: rule "r": resources: "https://other.example/" is not bound`},
		{"lifetime", rule("  lifetime: 5\n"), `crm.yaml:6:13: rule "r": lifetime: must be a duration such as 5m`},
		{"negative lifetime", rule("  lifetime: -5m\n"), `crm.yaml:6:13: rule "r": lifetime: must be whole seconds between 1s and 24h0m0s`},
		{"zero lifetime", rule("  lifetime: 0s\n"), `rule "r": lifetime: must be whole seconds`},
		{"long lifetime", rule("  lifetime: 25h\n"), `rule "r": lifetime: must be whole seconds`},
		{"recheck", rule("  recheck: often\n"), `crm.yaml:6:12: rule "r": recheck: must be a duration such as 5m`},
		{"zero recheck", rule("  recheck: 0s\n"), `crm.yaml:6:12: rule "r": recheck: must be whole seconds between 1s and 24h0m0s`},
		{"negative recheck", rule("  recheck: -30s\n"), `rule "r": recheck: must be whole seconds`},
		{"recheck in parts of a second", rule("  recheck: 1500ms\n"), `rule "r": recheck: must be whole seconds`},
		{"any delegate", rule("  delegates: [\"*\"]\n"), `crm.yaml:6:15: rule "r": delegates: a delegate is one client`},
		{"refresh", rule("  refresh: yes\n"), `crm.yaml:6:12: rule "r": refresh: must be true or false`},
		{"refresh as text", rule("  refresh: \"true\"\n"), `crm.yaml:6:12: rule "r": refresh: must be true or false`},
		{"refresh is no obligation", rule("  require: {refresh: true}\n"), `crm.yaml:6:13: rule "r": require: unknown key "refresh"`},
		{"require nothing", rule("  require: {}\n"), `crm.yaml:6:12: rule "r": require: is empty`},
		{"require unknown", rule("  require: {mfa: {}}\n"), `crm.yaml:6:13: rule "r": require: unknown key "mfa"`},
		{"approval by nobody", rule("  require: {approval: {}}\n"), `crm.yaml:6:23: rule "r": require: approval: by is required`},
		{"approval by a control character", rule("  require: {approval: {by: \"a\\u0007\"}}\n"), "require: approval: by: name has a control character"},
		{"approval by several", rule("  require: {approval: {by: [a, b]}}\n"), "require: approval: by: must be a string"},
		{"empty step up", rule("  require: {step_up: {}}\n"), `crm.yaml:6:22: rule "r": require: step_up: needs acr or max_age`},
		{"long acr", rule("  require: {step_up: {acr: " + strings.Repeat("a", 600) + "}}\n"), "require: step_up: acr: name too long"},
		{"no acr", rule("  require: {step_up: {acr: \"\", max_age: 5m}}\n"), "require: step_up: acr: must be a string that is not empty"},
		{"zero max_age", rule("  require: {step_up: {max_age: 0s}}\n"), "require: step_up: max_age: must be whole seconds"},

		// the rest
		{"empty default", leafOf("default_scopes: []\n"), "crm.yaml:2:17: default_scopes: must be a list that is not empty"},
		{"empty allow", leafOf("allow: []\n"), "crm.yaml:2:8: allow: must be a list that is not empty"},
		{"null deny", leafOf("deny:\n"), "crm.yaml:2:6: deny: must be a list that is not empty"},
		{"limits unknown", leafOf("limits: {scopes: 3}\n"), `crm.yaml:2:10: limits: unknown key "scopes"`},
		{"depth", leafOf("limits: {depth: 17}\n"), "crm.yaml:2:17: limits: depth: must be between 0 and 16"},
		{"octal depth", leafOf("limits: {depth: 010}\n"), "crm.yaml:2:17: limits: depth: must be a whole number"},
		{"text depth", leafOf("limits: {depth: \"3\"}\n"), "crm.yaml:2:17: limits: depth: must be a whole number"},
		{"derivations", leafOf("limits: {derivations: -1}\n"), "crm.yaml:2:23: limits: derivations: must be between 0"},
		{"limit of recheck", leafOf("limits: {recheck: 0s}\n"), "crm.yaml:2:19: limits: recheck: must be whole seconds between 1s and 24h0m0s"},
		{"refresh as a limit", leafOf("limits: {refresh: true}\n"), `crm.yaml:2:10: limits: unknown key "refresh"`},
		{"deny with recheck", leafOf("deny:\n- {rule: r, when: \"true\", recheck: 1m}\n"), `rule "r": deny: unknown key "recheck"`},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(tree(map[string]string{"crm.yaml": c.text, "ok.yaml": strings.ReplaceAll(leafOf(""), "support-bot", "ok")}))
			require.ErrorContains(t, err, c.want)
			var le *LoadError
			require.ErrorAs(t, err, &le)
			require.Equal(t, "crm.yaml", le.Problems[0].File)
		})
	}
}

func TestGuardrailsCanOnlyRestrict(t *testing.T) {
	for _, key := range []string{"allow: []", "bind: {}", "default_scopes: [a]", "require: {}"} {
		_, err := Load(tree(map[string]string{"a/boundary.yaml": key + "\n", "a/crm.yaml": leafOf("")}))
		name, _, _ := strings.Cut(key, ":")
		require.ErrorContains(t, err, `a/boundary.yaml:1:1: boundary.yaml: unknown key "`+name+`"`)
	}
}

func TestLoadRefusesTrees(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"a/x.yml", "a/x.yml: policy documents end in .yaml, not .yml"},
		{"README.md", "README.md: not a policy document"},
		{"a b/x.yaml", "a b: a name is made of"},
		{"a/_x.yaml", "a/_x.yaml: a name is made of"},
		{"a/x$.yaml", "a/x$.yaml: a name is made of"},
		{strings.Repeat("a", 120) + strings.Repeat("/"+strings.Repeat("b", 120), 4) + ".yaml", "the path is too long"},
	} {
		_, err := Load(tree(map[string]string{"crm.yaml": leafOf(""), c.file: leafOf("")}))
		require.ErrorContains(t, err, c.want)
	}
	fsys := tree(map[string]string{"crm.yaml": leafOf("")})
	_, err := Load(fsys)
	require.NoError(t, err)
	fsys["link.yaml"] = &fstest.MapFile{Data: []byte("crm.yaml"), Mode: fs.ModeSymlink}
	_, err = Load(fsys)
	require.ErrorContains(t, err, "link.yaml: symbolic links are not followed")
	fsys["link.yaml"].Mode = fs.ModeNamedPipe
	_, err = Load(fsys)
	require.ErrorContains(t, err, "link.yaml: not a regular file")
}

func TestLoadRefusesASetWithoutALeaf(t *testing.T) {
	for _, docs := range []map[string]string{{}, {"boundary.yaml": "controls: [x]\n"}, {"a_test.yaml": "x"}, {"catalog.yaml": "resources: []\n"}} {
		_, err := Load(tree(docs))
		require.ErrorContains(t, err, "no policy document")
	}
}

func TestLoadRefusesTwoLeavesForOneTriple(t *testing.T) {
	docs := map[string]string{
		"a.yaml": "bind: {client: [x, y], connection: sf, resource: https://crm.example.com/}\n",
		"b.yaml": "controls: [x]\nbind: {client: y, connection: sf, resource: HTTPS://crm.example.com/}\n",
	}
	_, err := Load(tree(docs))
	require.ErrorContains(t, err, `b.yaml:2: bind: client "y", connection "sf", resource "https://crm.example.com/" is bound by a.yaml already`)
	docs["b.yaml"] = strings.Replace(docs["b.yaml"], "client: y", `client: "*"`, 1)
	load(t, docs)
}

func TestLoadReportsAllProblemsInOrder(t *testing.T) {
	_, err := Load(tree(map[string]string{
		"b.yaml": leafOf("limits: {depth: x}\ncontrols: 3\n"),
		"a.yaml": leafOf("nothing: 1\n"),
	}))
	var le *LoadError
	require.ErrorAs(t, err, &le)
	require.Len(t, le.Problems, 3)
	require.Equal(t, "a.yaml", le.Problems[0].File)
	require.Equal(t, []int{2, 3}, []int{le.Problems[1].Line, le.Problems[2].Line})

	many := leafOf("")
	for i := range 300 {
		many += strings.Repeat("k", i+1) + ": 1\n"
	}
	_, err = Load(tree(map[string]string{"a.yaml": many, "b.yaml": many}))
	require.ErrorAs(t, err, &le)
	require.Len(t, le.Problems, maxProblems)
	require.Positive(t, le.More)
	require.Less(t, len(err.Error()), 100_000)
}

func TestLoadReportsAnUnreadableFile(t *testing.T) {
	_, err := Load(broken{tree(map[string]string{"crm.yaml": leafOf("")})})
	require.ErrorContains(t, err, "crm.yaml: cannot be read")
}

type broken struct{ fs.FS }

func (b broken) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, suffix) {
		return nil, errors.New("disk on fire")
	}
	return b.FS.Open(name)
}

func TestVersionIsOfPathsAndContents(t *testing.T) {
	base := load(t, good).Version()
	require.Regexp(t, "^sha256:[0-9a-f]{64}$", base)
	require.Equal(t, base, load(t, good).Version())

	with := func(change func(m map[string]string)) string {
		m := map[string]string{}
		for k, v := range good {
			m[k] = v
		}
		change(m)
		return load(t, m).Version()
	}
	require.Equal(t, base, with(func(m map[string]string) { delete(m, "agents/support-bot/crm_test.yaml") }))
	require.NotEqual(t, base, with(func(m map[string]string) { m["boundary.yaml"] += "# note\n" }))
	require.NotEqual(t, base, with(func(m map[string]string) {
		m["moved.yaml"] = m["agents/support-bot/crm.yaml"]
		delete(m, "agents/support-bot/crm.yaml")
	}))
	require.NotEqual(t, base, with(func(m map[string]string) { delete(m, "boundary.yaml") }))
}
