package tokenboundary_test

import (
	"cmp"
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// The check matrix: every entry point of the Governor and every check that it makes or shares. Each cell is a request
// that is allowed, and the same request with one thing wrong, which is refused for exactly that reason. A pair without a
// cell says why. That a cell turns red where its check is removed is shown by internal/mutation.

// check is one rule, with a cell or a reason for having none at every entry point.
type check struct {
	name  string
	cells []cell
	not   []exempt
}

// cell is one thing that is wrong, at some entry points.
type cell struct {
	on     []string
	before func(*try) // the world; of the control too
	given  func(*try) // the request, made ready; of the control too
	wrong  func(*try)
	want   reply
	shows  string // what the control shows, where that is not what the entry point says
}

// exempt says why a check has no cell at some entry points.
type exempt struct {
	why string
	on  []string
}

// on names entry points, by name or by list.
func on(lists ...any) (out []string) {
	for _, l := range lists {
		switch l := l.(type) {
		case string:
			out = append(out, l)
		case []string:
			out = append(out, l...)
		}
	}
	return out
}

// but names all entry points of a list but some.
func but(list []string, without ...string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(without, s) })
}

func matrix() []check {
	return slices.Concat(
		callerChecks(), assertionChecks(), requestChecks(), policyChecks(), boundChecks(), ancestryChecks(), taskChecks(),
		delegateChecks(), chainChecks(), subjectChecks(), tokenChecks(), tenantChecks(), blockChecks(), raceChecks(),
		proofChecks(), waitChecks(), refreshChecks(), hostChecks(), verbChecks(), leaseChecks(), keptChecks(),
	)
}

func TestMatrix(t *testing.T) {
	f := newWire(t)
	for _, e := range entries {
		t.Run(e.name, func(t *testing.T) {
			for _, c := range matrix() {
				for _, one := range c.cells {
					if slices.Contains(one.on, e.name) {
						t.Run(c.name, func(t *testing.T) { one.run(t, f, e) })
					}
				}
			}
		})
	}
}

// run makes the two requests of a cell, each in a world of its own.
func (c cell) run(t *testing.T, f *wire, e entry) {
	t.Parallel()
	t.Run("allowed", func(t *testing.T) {
		x := newTry(t, f, e, c)
		full := x.use()
		full.allowed(x, cmp.Or(c.shows, e.shows))
		if c.want.life > 0 {
			require.Greater(t, full.life, c.want.life, "what bounds the life must be what is wrong")
		}
	})
	t.Run("refused", func(t *testing.T) {
		x := newTry(t, f, e, c)
		c.wrong(x)
		c.want.is(x, x.use())
	})
}

// TestTheMatrixIsComplete: every pair of an entry point and a check has a cell, or one reason for having none.
func TestTheMatrixIsComplete(t *testing.T) {
	names := map[string]bool{}
	for _, e := range entries {
		require.False(t, names[e.name], "%s stands twice among the entry points", e.name)
		names[e.name] = true
	}
	seen, cells, exempted := map[string]bool{}, 0, 0
	for _, c := range matrix() {
		require.False(t, seen[c.name], "%s stands twice among the checks", c.name)
		seen[c.name] = true
		said := map[string]int{}
		for _, one := range c.cells {
			require.NotEmpty(t, one.on, c.name)
			for _, name := range one.on {
				said[name]++
				cells++
			}
		}
		for _, x := range c.not {
			require.NotEmpty(t, x.why, c.name)
			for _, name := range x.on {
				said[name]++
				exempted++
			}
		}
		for name, n := range said {
			require.True(t, names[name], "%s: %s is no entry point", c.name, name)
			require.Equal(t, 1, n, "%s at %s: one cell, or one reason for none", c.name, name)
		}
		for name := range names {
			require.NotZero(t, said[name], "%s at %s: neither a cell nor a reason for none", c.name, name)
		}
	}
	t.Logf("%d entry points, %d checks, %d cells, %d not applicable", len(names), len(seen), cells, exempted)
}

// outside are the verbs that no check of a caller or of a request concerns.
var outside = map[string]string{
	"Issuer":          "a constant",
	"Health":          "for whoever runs the boundary: it says nothing of any token",
	"Authenticate":    "every other verb is called with what it returns",
	"AwaitRevocation": "it says only that Revocations has something new",
}

// TestEveryEntryPointIsInTheMatrix: a new verb of the Governor, or a new grant, needs entries.
func TestEveryEntryPointIsInTheMatrix(t *testing.T) {
	verbs, grants := map[string]bool{}, map[string]bool{}
	for _, e := range entries {
		grants[string(e.grant)] = true
		for _, v := range e.verbs {
			verbs[v] = true
		}
	}
	for m := range reflect.TypeFor[*tb.Governor]().Methods() {
		require.True(t, verbs[m.Name] != (outside[m.Name] != ""), "%s is in the matrix, or said to be outside", m.Name)
	}
	declared := 0
	parsed, err := parser.ParseFile(gotoken.NewFileSet(), "request.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(parsed, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if kind, named := typeName(spec, ok); named && kind == "Grant" {
			declared++
			text := spec.Values[0].(*ast.BasicLit).Value
			if text == `"lease"` { // by Attach alone, which takes an authenticated client
				return true
			}
			require.True(t, grants[strings.Trim(text, `"`)], "no entry point asks by the grant %s", text)
		}
		return true
	})
	require.Positive(t, declared)
}

func typeName(spec *ast.ValueSpec, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	id, ok := spec.Type.(*ast.Ident)
	if !ok {
		return "", false
	}
	return id.Name, true
}

// TestEveryCheckHasAMutant: the mutation run removes each check at least once, and nothing that is no check.
func TestEveryCheckHasAMutant(t *testing.T) {
	raw, err := os.ReadFile("internal/mutation/mutants.txt")
	require.NoError(t, err)
	removed := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^check: (.+)$`).FindAllStringSubmatch(string(raw), -1) {
		for _, name := range strings.Fields(m[1]) {
			removed[name] = true
		}
	}
	for _, c := range matrix() {
		require.True(t, removed[c.name], "no mutant removes %s", c.name)
		delete(removed, c.name)
	}
	require.Empty(t, removed, "no check of the matrix")
}
