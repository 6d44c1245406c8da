package policycli

import (
	"bytes"
	"encoding/xml"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy/policytest"
)

// update writes the golden files anew.
var update = os.Getenv("UPDATE_GOLDEN") != ""

// files writes a tree and returns its directory.
func files(t *testing.T, tree map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range tree {
		file := filepath.Join(dir, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	}
	return dir
}

// policyRun runs "policy" with the arguments.
func policyRun(args ...string) (code int, stdout, stderr string) {
	var out, bad bytes.Buffer
	code = Run(args, &out, &bad)
	return code, out.String(), bad.String()
}

// requireGolden compares text with a file in testdata.
func requireGolden(t *testing.T, name, text string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), text)
}

const (
	testLeaf = `bind: {client: bot, connection: sf, resource: https://crm.example.com/}
allow:
  - {rule: reads, when: task.purpose == "triage", scopes: [cases:read], lifetime: 5m}
  - rule: refunds
    when: task.purpose == "refund"
    scopes: [refunds:write]
    require: {approval: {by: leads}}
`
	testGuard = "deny: [{rule: frozen, when: has(env.frozen) && env.frozen == true}]\n"
	testHead  = "defaults: {client: bot, connection: sf, grant: token_exchange}\ntests:\n"
	testGood  = testHead + `  - {test: triage reads, request: {scopes: [cases:read], task: {purpose: triage}}, expect: {effect: allow}}
  - test: refunds
    request: {scopes: [refunds:write], task: {purpose: refund}}
    expect: {effect: allow, obligations: [{kind: approval, by: leads}]}
    cases:
      - {case: with an approval}
      - {case: not while frozen, request: {env: {frozen: true}}, expect: {effect: deny, rule: frozen}}
`
	testBad = testHead + `  - test: triage <writes> & "reads"
    request: {scopes: [cases:read, cases:write], task: {purpose: triage}}
    expect: {effect: allow, scopes: [cases:read, cases:write], lifetime: 10m}
  - {test: refund, request: {scopes: [refunds:write]}, expect: {effect: allow}}
`
)

func testSet(t *testing.T, tests map[string]string) string {
	t.Helper()
	set := map[string]string{"agents/crm.yaml": testLeaf, "boundary.yaml": testGuard}
	for name, text := range tests {
		set[name] = text
	}
	return files(t, set)
}

func TestTestRunsTests(t *testing.T) {
	good := testSet(t, map[string]string{"agents/crm_test.yaml": testGood})
	mixed := testSet(t, map[string]string{"agents/crm_test.yaml": testGood, "bad_test.yaml": testBad})
	for name, c := range map[string]struct {
		args []string
		code int
	}{
		"passes":    {[]string{good}, exitOK},
		"verbose":   {[]string{"-v", "--cover", good}, exitOK},
		"fails":     {[]string{"--cover", mixed}, exitError},
		"picked":    {[]string{"--run", "^triage reads$|frozen", "-v", "--min-cover", "60", mixed}, exitOK},
		"uncovered": {[]string{"--run", "triage reads", "--min-cover", "34", mixed}, exitError},
	} {
		t.Run(name, func(t *testing.T) {
			code, stdout, stderr := policyRun(append([]string{"test"}, c.args...)...)
			require.Equal(t, c.code, code, stdout+stderr)
			require.Empty(t, stderr)
			requireGolden(t, "test-"+name+".txt", stdout)
		})
	}
}

func TestTestFailsWhereNothingIsTested(t *testing.T) {
	none := testSet(t, nil)
	good := testSet(t, map[string]string{"a_test.yaml": testGood})
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{none}, "no tests in " + none},
		{[]string{"--run", "nothing", good}, "has a name that matches nothing"},
		{[]string{filepath.Join(none, "missing")}, "no such file or directory"},
		{[]string{testSet(t, map[string]string{"a_test.yaml": "tests: []"})}, "a_test.yaml:1: tests: is empty"},
		{[]string{files(t, map[string]string{"crm.yaml": "bind: 1", "a_test.yaml": testGood})}, "policy: the set is refused\ncrm.yaml:1:"},
		{[]string{"--junit", filepath.Join(none, "no", "such", "dir"), good}, "no such file or directory"},
	} {
		code, stdout, stderr := policyRun(append([]string{"test"}, c.args...)...)
		require.Equal(t, exitError, code, c.want)
		require.Contains(t, stderr, c.want)
		require.Contains(t, stderr, "tokenboundary: policy test: ")
		require.Empty(t, stdout)
	}
}

func TestTestIsMisused(t *testing.T) {
	dir := testSet(t, map[string]string{"a_test.yaml": testGood})
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "0 arguments instead of 1"},
		{[]string{dir, dir}, "2 arguments instead of 1"},
		{[]string{dir, "--cover"}, "--cover: flags go before the arguments"},
		{[]string{"--min-cover", "101", dir}, "--min-cover: must be between 0 and 100"},
		{[]string{"--min-cover", "most", dir}, "invalid value"},
		{[]string{"--run", "(", dir}, "--run: error parsing regexp"},
		{[]string{"--covers", dir}, "flag provided but not defined"},
	} {
		code, stdout, stderr := policyRun(append([]string{"test"}, c.args...)...)
		require.Equal(t, exitUsage, code, c.want)
		require.Contains(t, stderr, c.want)
		require.Contains(t, stderr, "tokenboundary policy test DIR")
		require.Empty(t, stdout)
	}
	code, _, stderr := policyRun("test", "-h")
	require.Equal(t, exitOK, code)
	require.Contains(t, stderr, "Usage: tokenboundary policy "+testUse)
}

func TestTestWritesJUnit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "junit.xml")
	read := func() (text string, parsed junitSuites) {
		data, err := os.ReadFile(out)
		require.NoError(t, err)
		require.NoError(t, xml.Unmarshal(data, &parsed))
		return string(data), parsed
	}
	mixed := testSet(t, map[string]string{"agents/crm_test.yaml": testGood, "bad_test.yaml": testBad})
	code, _, _ := policyRun("test", "--junit", out, mixed)
	require.Equal(t, exitError, code)
	text, parsed := read()
	requireGolden(t, "test-junit.xml", text)
	require.Equal(t, []int{5, 2, 0, 2}, []int{parsed.Tests, parsed.Failures, parsed.Errors, len(parsed.Suites)})
	require.Equal(t, `triage <writes> & "reads"`, parsed.Suites[1].Cases[0].Name)

	code, _, _ = policyRun("test", "--junit", out, testSet(t, nil))
	require.Equal(t, exitError, code)
	_, parsed = read()
	require.Equal(t, []int{1, 0, 1}, []int{parsed.Tests, parsed.Failures, parsed.Errors}, "a report of an earlier run is not left there")
	require.Contains(t, parsed.Suites[0].Cases[0].Error.Text, "no tests in")
}

func TestJUnitHoldsWhatXMLCanHold(t *testing.T) {
	odd := "a\x00b\x1bc\ufffed\x85"
	report := policytest.Report{Results: []policytest.Result{{
		File: "a_test.yaml", Line: 1, Test: odd,
		Differences: []policytest.Difference{{Field: "path", Expected: odd, Got: "]]>", Why: []string{odd}}},
	}}}
	data := junitXML(report, nil)
	var parsed junitSuites
	require.NoError(t, xml.Unmarshal(data, &parsed))
	require.Equal(t, "abcd\ufffd", strings.ToValidUTF8(parsed.Suites[0].Cases[0].Name, "!"))
	require.Contains(t, parsed.Suites[0].Cases[0].Failure.Text, "+ path  ]]>")
	require.NoError(t, xml.Unmarshal(junitXML(policytest.Report{}, errors.New(odd)), &parsed))
}
