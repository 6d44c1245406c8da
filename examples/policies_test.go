package examples

import (
	"io/fs"
	"os"
	"regexp"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy"
	"github.com/tokenboundary/tokenboundary/policy/policytest"
)

// TestPoliciesOfTheGuide runs the tests of each set. They cover every rule, and a check finds nothing suspicious.
func TestPoliciesOfTheGuide(t *testing.T) {
	sets, err := os.ReadDir("policies")
	require.NoError(t, err)
	require.Len(t, sets, 10)
	for _, set := range sets {
		t.Run(set.Name(), func(t *testing.T) {
			fsys := os.DirFS("policies/" + set.Name())
			report := policytest.Test(t, fsys)
			require.Equal(t, 100, report.Coverage.Percent(), report.Coverage.Documents)
			found, err := policy.Check(fsys)
			require.NoError(t, err)
			require.Empty(t, found.Findings)
		})
	}
}

var shown = regexp.MustCompile("(?s)(\\(\\.\\./examples/(policies/[^ )]+)\\)\n\n```yaml\n)(.*?)(```\n)")

// TestGuideShowsThePolicies: the guide has the text of every file, once. UPDATE_DOCS=1 writes it.
func TestGuideShowsThePolicies(t *testing.T) {
	const page = "../docs/policies-guide.md"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	seen := map[string]bool{}
	want := shown.ReplaceAllStringFunc(string(text), func(block string) string {
		parts := shown.FindStringSubmatch(block)
		require.False(t, seen[parts[2]], "%s twice", parts[2])
		seen[parts[2]] = true
		file, err := os.ReadFile(parts[2])
		require.NoError(t, err)
		return parts[1] + string(file) + parts[4]
	})
	require.NoError(t, fs.WalkDir(os.DirFS("."), "policies", func(name string, e fs.DirEntry, err error) error {
		require.NoError(t, err)
		require.True(t, e.IsDir() || seen[name], "the guide does not show %s", name)
		return nil
	}))
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(page, []byte(want), 0o644))
		return
	}
	require.Equal(t, want, string(text))
}

// TestPolicyPageTestsItsPolicy: the tests that docs/policy.md shows are of the policy that it shows, and pass.
func TestPolicyPageTestsItsPolicy(t *testing.T) {
	page, err := os.ReadFile("../docs/policy.md")
	require.NoError(t, err)
	set := fstest.MapFS{}
	for _, m := range regexp.MustCompile("(?s)```yaml\n# policies/([^\n]+)\n(.*?)```\n").FindAllSubmatch(page, -1) {
		set[string(m[1])] = &fstest.MapFile{Data: m[2]}
	}
	require.Len(t, set, 3)
	require.Len(t, policytest.Test(t, set).Results, 4)
}
