//go:build mutation

package mutation

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

var only = flag.String("check", "", "run only the mutants of the checks that match this `expression`")

// cell is a place in the matrix.
type cell struct{ entry, check string }

// halves is what became of a cell: of the request that is allowed, and of the one that is refused.
type halves struct{ allowed, refused string }

// TestEveryCheckIsMissed removes one check after the other: the cells of its row must turn red, and the requests beside
// them that are allowed must stay allowed, so that a mutant which refuses everything shows nothing.
func TestEveryCheckIsMissed(t *testing.T) {
	wanted := regexp.MustCompile(*only)
	all := run(t, "", "^TestMatrix$")
	require.NotEmpty(t, all)
	for c, h := range all {
		require.Equal(t, halves{"pass", "pass"}, h, "without a mutant: %v", c)
	}
	left := map[cell]bool{}
	for c := range all {
		left[c] = wanted.MatchString(c.check)
	}
	var (
		mu    sync.Mutex
		table []string
	)
	helpers := pruned(t)
	t.Run("without", func(t *testing.T) {
		for _, m := range mutants(t) {
			if !slices.ContainsFunc(m.checks, wanted.MatchString) {
				continue
			}
			cells := m.cells(all)
			t.Run(m.String(), func(t *testing.T) {
				t.Parallel()
				verdict := "SURVIVED"
				defer func() {
					mu.Lock()
					defer mu.Unlock()
					table = append(table, verdict+" "+m.String())
				}()
				m.kill(t, helpers, cells)
				if t.Failed() {
					return
				}
				verdict = "killed  "
				mu.Lock()
				defer mu.Unlock()
				for _, c := range cells {
					left[c] = false
				}
			})
		}
	})
	for c, missing := range left {
		if missing {
			table = append(table, "NO MUTANT KILLED "+c.check+" at "+c.entry)
			t.Fail()
		}
	}
	slices.Sort(table)
	t.Logf("%d cells\n%s", len(all), strings.Join(table, "\n"))
}

// cells are those that the mutant must turn red.
func (m mutant) cells(all map[cell]halves) (out []cell) {
	for c := range all {
		if slices.Contains(m.checks, c.check) && (len(m.on) == 0 || slices.Contains(m.on, c.entry)) {
			out = append(out, c)
		}
	}
	return out
}

// kill runs the cells on the code without the check.
func (m mutant) kill(t *testing.T, helpers map[string]string, cells []cell) {
	require.NotEmpty(t, cells, "no cell is of this check and entry point")
	for _, name := range m.on {
		require.True(t, slices.ContainsFunc(cells, func(c cell) bool { return c.entry == name }), "no cell at %s", name)
	}
	pattern := "^TestMatrix$/./^(" + strings.Join(m.checks, "|") + ")$"
	if len(m.on) > 0 {
		pattern = strings.Replace(pattern, "/./", "/^("+strings.Join(m.on, "|")+")$/", 1)
	}
	got := run(t, m.overlay(t, helpers), pattern)
	for _, c := range cells {
		require.Equal(t, "pass", got[c].allowed, "%v: the request beside it is refused", c)
		if got[c].refused != "fail" {
			t.Errorf("%v: it does not turn red", c)
		}
	}
}

// overlay writes the mutant beside the code, which stays as it is, and returns the file that the go command is told of.
func (m mutant) overlay(t *testing.T, helpers map[string]string) string {
	dir := t.TempDir()
	replace := map[string]string{}
	texts := m.mutated(t)
	maps.Copy(texts, helpers)
	for name, text := range texts {
		original, err := filepath.Abs(filepath.Join(top, filepath.FromSlash(name)))
		require.NoError(t, err)
		replace[original] = filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		require.NoError(t, os.WriteFile(replace[original], []byte(text), 0o600))
	}
	raw, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	file := filepath.Join(dir, "overlay.json")
	require.NoError(t, os.WriteFile(file, raw, 0o600))
	return file
}

// run runs cells and returns what became of each.
func run(t *testing.T, overlay, pattern string) map[cell]halves {
	t.Helper()
	var out, trouble bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "go", "test", "-json", "-vet=off", "-ldflags=-s -w", "-count=1", "-timeout=5m", "-overlay="+overlay, "-run", pattern, ".")
	cmd.Dir, cmd.Stdout, cmd.Stderr = top, &out, &trouble
	_ = cmd.Run() // whether it fails, the cells say
	got := map[cell]halves{}
	for s := bufio.NewScanner(&out); s.Scan(); {
		var e struct{ Action, Test, Output string }
		require.NoError(t, json.Unmarshal(s.Bytes(), &e))
		require.NotEqual(t, "build-fail", e.Action, "the mutant does not compile: %s", trouble.String())
		if e.Action == "build-output" {
			trouble.WriteString(e.Output)
		}
		name := strings.Split(e.Test, "/")
		if len(name) != 4 || e.Action != "pass" && e.Action != "fail" {
			continue
		}
		c := cell{name[1], name[2]}
		h := got[c]
		if name[3] == "allowed" {
			h.allowed = e.Action
		} else {
			h.refused = e.Action
		}
		got[c] = h
	}
	require.NotEmpty(t, got, "nothing ran: %s", trouble.String())
	return got
}
