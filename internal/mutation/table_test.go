// Package mutation shows that every cell of the check matrix turns red where its check is removed. It has tests only:
// one keeps the table of mutants true to the code, and one, behind the build tag mutation, runs them.
package mutation

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// top is the repository.
const top = "../.."

// mutant is the code without one check.
type mutant struct {
	checks []string
	on     []string // the entry points; empty: all that have a cell
	edits  []edit
	line   int
}

type edit struct{ file, old, new string }

func (m mutant) String() string {
	name := strings.Join(m.checks, ",")
	if len(m.checks) > 3 {
		name = fmt.Sprintf("%s and %d more", strings.Join(m.checks[:2], ","), len(m.checks)-2)
	}
	return fmt.Sprintf("%s (mutants.txt:%d)", name, m.line)
}

// mutants reads the table.
func mutants(t *testing.T) (all []mutant) {
	t.Helper()
	raw, err := os.ReadFile("mutants.txt")
	require.NoError(t, err)
	file, last := "", ""
	for i, line := range strings.Split(string(raw), "\n") {
		kind, rest, _ := strings.Cut(line, ": ")
		sign := line[:min(1, len(line))]
		m := &mutant{}
		if len(all) > 0 {
			m = &all[len(all)-1]
		}
		switch {
		case line == "" || sign == "#":
			last = ""
			continue
		case kind == "check":
			all = append(all, mutant{checks: strings.Fields(rest), line: i + 1})
		case kind == "on":
			m.on = strings.Fields(rest)
		case kind == "file":
			file = rest
		case sign == "-" && last == "-":
			e := &m.edits[len(m.edits)-1]
			e.old += "\n" + line[1:]
		case sign == "-":
			m.edits = append(m.edits, edit{file: file, old: line[1:]})
		case sign == "+" && last == "-":
			m.edits[len(m.edits)-1].new = line[1:]
		case sign == "+" && last == "+":
			m.edits[len(m.edits)-1].new += "\n" + line[1:]
		default:
			require.Fail(t, "mutants.txt", "line %d is not of the table: %s", i+1, line)
		}
		last = sign
	}
	return all
}

// mutated returns the files of a mutant, by name.
func (m mutant) mutated(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range m.edits {
		text, ok := out[e.file]
		if !ok {
			raw, err := os.ReadFile(filepath.Join(top, filepath.FromSlash(e.file)))
			require.NoError(t, err, "%s", m)
			text = string(raw)
		}
		require.Equal(t, 1, strings.Count(text, e.old), "%s: this stands in %s more or less than once: %s", m, e.file, e.old)
		out[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return out
}

// TestTheMutantsAreOfThisCode: what a mutant removes is there, exactly once.
func TestTheMutantsAreOfThisCode(t *testing.T) {
	all := mutants(t)
	require.NotEmpty(t, all)
	for _, m := range all {
		t.Run(m.String(), func(t *testing.T) {
			require.NotEmpty(t, m.edits)
			m.mutated(t)
		})
	}
	t.Logf("%d mutants", len(all))
}
