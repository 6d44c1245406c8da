//go:build mutation

package mutation

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// major is the end of an import path that names no package.
var major = regexp.MustCompile(`/v[0-9]+$`)

var isTest = regexp.MustCompile(`^(Test|Example|Fuzz|Benchmark)`)

// pruned returns the other tests of the root package without their tests, by file: what is left is what the matrix may
// use. Compiling the whole for every mutant would take most of the time.
func pruned(t *testing.T) map[string]string {
	out := map[string]string{}
	files, err := filepath.Glob(filepath.Join(top, "*_test.go"))
	require.NoError(t, err)
	for _, name := range files {
		if strings.HasPrefix(filepath.Base(name), "matrix") {
			continue
		}
		raw, err := os.ReadFile(name)
		require.NoError(t, err)
		out[filepath.Base(name)] = prune(t, raw)
	}
	return out
}

func prune(t *testing.T, raw []byte) string {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "", raw, parser.SkipObjectResolution)
	require.NoError(t, err)
	kept := f.Decls[:0]
	used := map[string]bool{}
	for _, d := range f.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && isTest.MatchString(fn.Name.Name) {
			continue
		}
		kept = append(kept, d)
		ast.Inspect(d, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if x, ok := sel.X.(*ast.Ident); ok {
					used[x.Name] = true
				}
			}
			return true
		})
	}
	f.Decls = kept
	for _, i := range f.Imports {
		name := strings.TrimPrefix(path.Base(major.ReplaceAllString(strings.Trim(i.Path.Value, `"`), "")), "go-")
		if i.Name != nil {
			name = i.Name.Name
		}
		if !used[name] {
			i.Name = ast.NewIdent("_")
		}
	}
	var b bytes.Buffer
	require.NoError(t, format.Node(&b, fset, f))
	return b.String()
}
