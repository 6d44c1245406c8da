package suggest_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/policy/suggest"
)

var errContext = errors.New("the patch does not fit")

// patched applies a unified diff to files, as patch -p1 does without guessing.
func patched(files map[string]string, diff string) (map[string]string, error) {
	out := map[string]string{}
	for name, text := range files {
		out[name] = text
	}
	diff = strings.ReplaceAll(diff, "\n\\ No newline at end of file\n", "\x00")
	for _, part := range strings.Split("\n"+diff, "\n--- a/")[1:] {
		name, hunks, _ := strings.Cut(part, "\n+++ b/")
		_, hunks, _ = strings.Cut(hunks, "\n")
		rest, done := files[name], ""
		for _, h := range strings.Split("\n"+hunks, "\n@@ ")[1:] {
			_, body, _ := strings.Cut(h, "\n")
			var before, after strings.Builder
			for line := range strings.Lines(strings.ReplaceAll(body, "\x00", "\x00\n") + "\n") {
				text := strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\x00")
				end := "\n"
				if strings.HasSuffix(line, "\x00\n") {
					end = ""
				}
				switch {
				case line == "\n":
				case line[0] == '-':
					before.WriteString(text[1:] + end)
				case line[0] == '+':
					after.WriteString(text[1:] + end)
				default:
					before.WriteString(text[1:] + end)
					after.WriteString(text[1:] + end)
				}
			}
			kept, behind, found := strings.Cut(rest, before.String())
			if !found {
				return nil, errContext
			}
			done, rest = done+kept+after.String(), behind
		}
		out[name] = done + rest
	}
	return out, nil
}

// byTool applies a diff with git and, where it is there, patch. It reports false where git is not there.
func byTool(t *testing.T, files map[string]string, diff string) (map[string]string, bool) {
	var last map[string]string
	for _, tool := range [][]string{{"git", "apply", "-p1", "-"}, {"patch", "-p1", "-s", "-f"}} {
		if _, err := exec.LookPath(tool[0]); err != nil {
			continue
		}
		dir := t.TempDir()
		for name, text := range files {
			require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		}
		run := func() ([]byte, error) {
			cmd := exec.CommandContext(t.Context(), tool[0], tool[1:]...)
			cmd.Dir, cmd.Stdin = dir, strings.NewReader(diff)
			cmd.Env = append(os.Environ(), "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
			return cmd.CombinedOutput()
		}
		out, err := run()
		require.NoError(t, err, "%s: %s\n%s", tool[0], out, diff)
		last = map[string]string{}
		for name := range files {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			last[name] = string(text)
		}
		_, err = run()
		require.Error(t, err, "%s: a patch that is applied already does not fit", tool[0])
	}
	return last, last != nil
}

func TestUnifiedIsWhatToolsTake(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 40 {
		var lines []string
		for i := range 5 + random.IntN(80) {
			lines = append(lines, fmt.Sprintf("line %d %d\n", i, random.IntN(5)))
		}
		if random.IntN(3) == 0 {
			lines = append(lines, "an end without an end")
		}
		var after []string
		for _, line := range lines {
			switch random.IntN(12) {
			case 0:
			case 1:
				after = append(after, "changed "+line)
			default:
				after = append(after, line)
			}
		}
		files := map[string]string{"a/b.yaml": strings.Join(lines, ""), "other.yaml": "x\n"}
		want := map[string]string{"a/b.yaml": strings.Join(after, ""), "other.yaml": "x\n"}
		diff := suggest.Unified("a/b.yaml", files["a/b.yaml"], want["a/b.yaml"])
		if diff == "" {
			require.Equal(t, want, files)
			continue
		}
		got, err := patched(files, diff)
		require.NoError(t, err, diff)
		require.Equal(t, want, got, diff)
		if got, ok := byTool(t, files, diff); ok {
			require.Equal(t, want, got, diff)
		}
	}
	require.Empty(t, suggest.Unified("a", "x\n", "x\n"))
}

func TestALifetimeIsWhatAPersonWouldWrite(t *testing.T) {
	for age, want := range map[string]string{
		"0s": "10s", "1s": "10s", "7s": "20s", "40s": "1m", "41s": "1m30s", "3m": "4m30s", "6m40s": "10m", "30m": "45m", "50m": "1h15m", "100m": "2h30m",
		"2h40m": "4h",
	} {
		require.Equal(t, want, yamldoc.FormatDuration(suggest.EnoughFor(duration(t, age))), age)
	}
}
