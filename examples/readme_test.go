// Package examples holds one program for each way to use the boundary.
package examples

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/policy"
)

// TestREADMEShowsWhatIsCompiled: the program on the first screen is the one in decide, from its first statement to its
// last, and what it prints is what README shows.
func TestREADMEShowsWhatIsCompiled(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("decide/main.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(program), "\tconst crm")
	require.True(t, found)
	body, _, found = strings.Cut(body, "\n}\n")
	require.True(t, found)
	require.Contains(t, string(readme), "```go\nconst crm"+strings.ReplaceAll(body, "\n\t", "\n")+"\n```")

	out, err := exec.CommandContext(t.Context(), "go", "run", "./decide").Output()
	require.NoError(t, err)
	require.Contains(t, string(readme), "```\n"+string(out)+"```")
}

// TestPolicyReferenceListsEveryVariable: the table in docs/policy.md is the one that the compiler uses. UPDATE_DOCS=1
// writes it.
func TestPolicyReferenceListsEveryVariable(t *testing.T) {
	var table strings.Builder
	table.WriteString("| name | type | meaning |\n|---|---|---|\n")
	for _, v := range policy.Variables() {
		table.WriteString("| `" + v.Name + "` | `" + v.Type + "` | " + v.Doc + " |\n")
	}
	const page, begin, end = "../docs/policy.md", "<!-- variables -->\n", "<!-- end -->"
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	head, rest, found := strings.Cut(string(text), begin)
	require.True(t, found)
	have, tail, found := strings.Cut(rest, end)
	require.True(t, found)
	if os.Getenv("UPDATE_DOCS") != "" {
		require.NoError(t, os.WriteFile(page, []byte(head+begin+table.String()+end+tail), 0o644))
		return
	}
	require.Equal(t, table.String(), have)
}
