package sqlitestore_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```\n")

// TestGuideShowsTheWholeStore: the code in the guide is this package's, all of it and in its order; besides there are pieces
// of the tests.
func TestGuideShowsTheWholeStore(t *testing.T) {
	guide := read(t, "../../docs/writing-a-store.md")
	rest, tests := read(t, "sqlitestore.go"), read(t, "sqlitestore_test.go")+read(t, "example_test.go")+read(t, "bench_test.go")
	for _, block := range goBlock.FindAllStringSubmatch(guide, -1) {
		before, behind, found := strings.Cut(rest, block[1])
		if !found {
			require.Contains(t, tests, block[1], "the guide shows what is not compiled, or not in its order")
			continue
		}
		require.Empty(t, strings.TrimSpace(before), "the guide does not show this")
		rest = behind
	}
	require.Empty(t, strings.TrimSpace(rest), "the guide does not show this")
}

// TestStoreIsSmall: the guide promises fewer than 300 lines of code, not counting comments and blank lines.
func TestStoreIsSmall(t *testing.T) {
	lines := 0
	for line := range strings.Lines(read(t, "sqlitestore.go")) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	require.Less(t, lines, 300)
	require.Greater(t, lines, 200, "control: lines are counted")
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
