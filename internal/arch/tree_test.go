package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// rootModule is the path of the root module and the prefix of every package of the project.
const rootModule = "github.com/tokenboundary/tokenboundary"

// file is one parsed source file.
type file struct {
	name    string // slash-separated, relative to the repository
	dir     string // of the package, "." for root
	module  string // directory of the module it belongs to
	test    bool
	syntax  *ast.File
	imports map[string]string // by path: the local name, "" for the default
}

// repository is every Go file of the tree, and the modules by directory.
type repository struct {
	fset    *token.FileSet
	files   []file
	modules map[string]string // directory: text of go.mod
	work    string            // text of go.work, "" where there is none
}

// load parses the tree. Directories that the go command ignores (a leading dot or underscore, testdata) are left out.
func load(t *testing.T) repository {
	t.Helper()
	top, err := filepath.Abs("../..")
	require.NoError(t, err)
	tree := os.DirFS(top)
	mod, err := fs.ReadFile(tree, "go.mod")
	require.NoError(t, err)
	require.Contains(t, string(mod), "module "+rootModule+"\n", "run from internal/arch")

	repo := repository{fset: token.NewFileSet(), modules: map[string]string{}}
	work, err := fs.ReadFile(tree, "go.work")
	if err == nil {
		repo.work = string(work)
	}
	err = fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return repo.visit(tree, name, d)
	})
	require.NoError(t, err)
	for i := range repo.files {
		repo.files[i].module = repo.moduleOf(repo.files[i].dir)
	}
	require.NotEmpty(t, repo.files)
	return repo
}

func (r *repository) visit(tree fs.FS, name string, d fs.DirEntry) error {
	base := path.Base(name)
	switch {
	case name == ".":
		return nil
	case d.IsDir() && (base[0] == '.' || base[0] == '_' || base == "testdata"):
		return fs.SkipDir
	case d.IsDir():
		return nil
	case base == "go.mod":
		text, err := fs.ReadFile(tree, name)
		r.modules[path.Dir(name)] = string(text)
		return err
	case path.Ext(name) != ".go":
		return nil
	}
	text, err := fs.ReadFile(tree, name)
	if err != nil {
		return err
	}
	syntax, err := parser.ParseFile(r.fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	f := file{name: name, dir: path.Dir(name), test: strings.HasSuffix(name, "_test.go"), syntax: syntax, imports: map[string]string{}}
	for _, i := range syntax.Imports {
		local := ""
		if i.Name != nil {
			local = i.Name.Name
		}
		f.imports[strings.Trim(i.Path.Value, "`\"")] = local
	}
	r.files = append(r.files, f)
	return nil
}

// moduleOf returns the directory of the module that owns a directory.
func (r *repository) moduleOf(dir string) string {
	for ; dir != "."; dir = path.Dir(dir) {
		if _, ok := r.modules[dir]; ok {
			return dir
		}
	}
	return "."
}

// local returns the directory of an imported package of the project.
func local(importPath string) (dir string, ok bool) {
	if importPath == rootModule {
		return ".", true
	}
	return strings.CutPrefix(importPath, rootModule+"/")
}

// standard reports whether an import is of the standard library.
func standard(importPath string) bool {
	first, _, _ := strings.Cut(importPath, "/")
	return !strings.Contains(first, ".")
}

// under reports whether a slash-separated path is root or below it.
func under(p, root string) bool { return p == root || strings.HasPrefix(p, root+"/") }

var requirement = regexp.MustCompile(`(?m)^\s*(?:require\s+)?([a-z0-9.-]+\.[a-z0-9-]+/\S+)\s+v\d`)

// requires returns the module paths that a go.mod names, directly or not.
func requires(mod string) []string {
	var out []string
	for _, m := range requirement.FindAllStringSubmatch(mod, -1) {
		out = append(out, m[1])
	}
	return out
}

// findings collects what is wrong, so that one run shows all of it.
type findings []string

func (f *findings) unless(ok bool, format string, args ...any) {
	if !ok {
		*f = append(*f, fmt.Sprintf(format, args...))
	}
}

func (f *findings) report(t *testing.T) {
	t.Helper()
	slices.Sort(*f)
	require.Empty(t, *f, strings.Join(*f, "\n"))
}
