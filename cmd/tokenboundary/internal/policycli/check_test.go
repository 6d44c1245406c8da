package policycli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy"
)

const checkLeaf = `bind: {client: bot, connection: sf, resource: https://crm.example.com/}
default_scopes: [cases:read]
allow:
  - rule: reads
    when: session.kind == "human"
    scopes: [cases:read]
`

func TestCheckOfAGoodSet(t *testing.T) {
	dir := files(t, map[string]string{"agents/crm.yaml": checkLeaf, "boundary.yaml": "limits: {lifetime: 1h}\n"})
	set, err := policy.Load(os.DirFS(dir))
	require.NoError(t, err)
	for _, args := range [][]string{{"check", dir}, {"check", "--strict", dir}} {
		code, stdout, stderr := policyRun(args...)
		require.Equal(t, 0, code)
		require.Empty(t, stderr)
		require.Equal(t, "0 findings in 2 documents with 1 rule and 1 distinct condition, version "+set.Version()+"\n", stdout)
	}
}

func TestCheckReportsFindings(t *testing.T) {
	bad := strings.ReplaceAll(strings.ReplaceAll(checkLeaf, `"human"`, `"person"`), "[cases:read]\nallow", "[cases:read, cases:list]\nallow")
	dir := files(t, map[string]string{"crm.yaml": bad})
	code, stdout, stderr := policyRun("check", dir)
	require.Equal(t, 0, code)
	require.Empty(t, stderr)
	lines := strings.Split(stdout, "\n")
	require.Equal(t, []string{
		`crm.yaml:2: default-not-granted: no rule here grants "cases:list", which a request without scopes asks for`,
		`crm.yaml:5: never-matches: rule "reads": the condition is true for no request`,
	}, lines[:2])
	require.Regexp(t, `^2 findings in 1 document with 1 rule and 1 distinct condition, version sha256:[0-9a-f]{64}$`, lines[2])

	code, strict, _ := policyRun("check", "--strict", dir)
	require.Equal(t, 1, code)
	require.Equal(t, stdout, strict)
}

func TestCheckReportsErrorsWithTheirPlace(t *testing.T) {
	dir := files(t, map[string]string{
		"crm.yaml":           strings.ReplaceAll(checkLeaf, "session.kind", "session.knd"),
		"agents/broken.yaml": "bind: [\n",
		"b.yaml":             strings.ReplaceAll(checkLeaf, "default_scopes:", "default_scope:"),
	})
	code, stdout, stderr := policyRun("check", dir)
	require.Equal(t, 1, code)
	require.Empty(t, stderr)
	require.Equal(t, `agents/broken.yaml:1: not YAML: did not find expected node content
b.yaml:2:1: document: unknown key "default_scope"
the set is refused: 2 errors
`, stdout)

	require.NoError(t, os.Remove(filepath.Join(dir, "agents/broken.yaml")))
	require.NoError(t, os.Remove(filepath.Join(dir, "b.yaml")))
	code, stdout, _ = policyRun("check", dir)
	require.Equal(t, 1, code)
	first, rest, _ := strings.Cut(stdout, "\n")
	require.Contains(t, first, `crm.yaml:5:18: rule "reads": when: 1:8: undeclared reference to 'session.knd'`)
	require.Equal(t, `  | session.knd == "human"
  |        ^
the set is refused: 1 error
`, rest)
}

func TestCheckWritesJSON(t *testing.T) {
	dir := files(t, map[string]string{"crm.yaml": strings.ReplaceAll(checkLeaf, `"human"`, `"person"`)})
	set, err := policy.Load(os.DirFS(dir))
	require.NoError(t, err)
	code, stdout, stderr := policyRun("check", "--json", dir)
	require.Equal(t, 0, code)
	require.Empty(t, stderr)
	require.JSONEq(t, fmt.Sprintf(`{"version": %q, "documents": 1, "rules": 1, "expressions": 1, "problems": [], "findings": [
		{"file": "crm.yaml", "line": 5, "column": 11, "rule": "reads", "kind": "never-matches", "message": "the condition is true for no request"}
	]}`, set.Version()), stdout)
	code, _, _ = policyRun("check", "--json", "--strict", dir)
	require.Equal(t, 1, code)

	dir = files(t, map[string]string{"crm.yaml": strings.ReplaceAll(checkLeaf, `== "human"`, "")})
	code, stdout, _ = policyRun("check", "--json", dir)
	require.Equal(t, 1, code)
	require.JSONEq(t, `{"version": "", "documents": 0, "rules": 0, "expressions": 0, "findings": [], "problems": [
		{"file": "crm.yaml", "line": 5, "column": 11, "rule": "reads", "message": "when: the expression must be a bool, not string", "expression": "session.kind"}
	]}`, stdout)
}

func TestCheckSaysHowManyMoreThereAre(t *testing.T) {
	tree := map[string]string{}
	for i := range 130 {
		tree[fmt.Sprintf("d%d.yaml", i)] = "allow: {}\n"
	}
	code, stdout, _ := policyRun("check", files(t, tree))
	require.Equal(t, 1, code)
	require.True(t, strings.HasSuffix(stdout, "\nand 160 more\nthe set is refused: 260 errors\n"), stdout)
	code, stdout, _ = policyRun("check", "--json", files(t, tree))
	require.Equal(t, 1, code)
	var out map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &out))
	require.Equal(t, 160.0, out["more_problems"])
	require.Len(t, out["problems"], 100)
}

func TestCheckIsUsedAsItSays(t *testing.T) {
	for _, args := range [][]string{{"check"}, {"check", "a", "b"}, {"check", "--loud", "a"}} {
		code, stdout, stderr := policyRun(args...)
		require.Equal(t, 2, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, "tokenboundary: policy check: ")
	}
	code, stdout, stderr := policyRun("check", filepath.Join(t.TempDir(), "none"))
	require.Equal(t, 1, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "tokenboundary: policy check: ")
	code, stdout, _ = policyRun("check", t.TempDir())
	require.Equal(t, 1, code)
	require.Equal(t, ".: no policy document: a set needs at least one leaf\nthe set is refused: 1 error\n", stdout)
	code, _, stderr = policyRun("check", "--help")
	require.Equal(t, 0, code)
	require.Contains(t, stderr, "Usage: tokenboundary policy check [--strict] [--json] DIR")
}
