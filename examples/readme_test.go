// Package examples holds one program for each way to use the boundary.
package examples

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestREADMEShowsWhatIsCompiled: the program on the first screen is the one in decide, from its first statement on.
func TestREADMEShowsWhatIsCompiled(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	require.NoError(t, err)
	program, err := os.ReadFile("decide/main.go")
	require.NoError(t, err)
	_, body, found := strings.Cut(string(program), "\tconst crm")
	require.True(t, found)
	body, _, found = strings.Cut("const crm"+strings.ReplaceAll(body, "\n\t", "\n"), "\n}\n")
	require.True(t, found)
	require.Contains(t, string(readme), "```go\n"+body+"\n```")
}
