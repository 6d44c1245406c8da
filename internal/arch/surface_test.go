package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hidden are the third parties that no user may have to know.
var hidden = []string{
	"cel.dev", "github.com/google/cel-go", "google.golang.org/genproto", "github.com/go-jose/go-jose", "go.etcd.io/bbolt", "go.yaml.in/yaml",
}

// public are the packages whose exported signatures hold none of them.
var public = []string{".", "agent", "gate", "policy", "policy/policytest", "policy/replay", "policy/suggest", "lineage", "store", "store/memory", "store/bolt", "store/storetest", "exchange", "endpoint", "verify"}

// clocked are the functions of package time that read or wait for the machine's clock.
var clocked = []string{"Now", "Since", "Until", "Sleep", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc"}

func TestSignaturesShowNoThirdParty(t *testing.T) {
	var bad findings
	for _, f := range load(t).files {
		if f.test || !slices.Contains(public, f.dir) {
			continue
		}
		for _, d := range exported(f.syntax) {
			for name, p := range selectors(d.signature, f.imports) {
				concealed := slices.ContainsFunc(hidden, func(h string) bool { return under(p, h) })
				bad.unless(!concealed, "%s: the signature of %s mentions %s", f.name, d.name, name)
			}
		}
	}
	bad.report(t)
}

func TestTimeComesFromAClock(t *testing.T) {
	var bad findings
	for _, f := range load(t).files {
		if key, _ := room(f.dir); f.test || outermost(key) {
			continue
		}
		for name := range selectors(f.syntax, f.imports) {
			member, ofTime := strings.CutPrefix(name, "time.")
			bad.unless(!ofTime || !slices.Contains(clocked, member), "%s: %s; use the injected clock", f.name, name)
		}
		bad.unless(f.imports["time"] != ".", "%s: time is imported without its name", f.name)
	}
	bad.report(t)
}

func TestEverythingExportedIsDocumented(t *testing.T) {
	var bad findings
	packages := map[string]bool{}
	for _, f := range load(t).files {
		if f.test || f.syntax.Name.Name == "main" {
			continue
		}
		packages[f.dir] = packages[f.dir] || f.syntax.Doc != nil
		for _, d := range exported(f.syntax) {
			bad.unless(d.documented, "%s: %s has no doc comment", f.name, d.name)
		}
	}
	for dir, documented := range packages {
		bad.unless(documented, "package %s has no package comment", dir)
	}
	bad.report(t)
}

// declaration is one exported name.
type declaration struct {
	name       string
	signature  ast.Node
	documented bool
}

// exported returns the exported declarations of a file: functions, methods of exported types, types, constants and
// variables. Fields and the methods of an interface belong to their type, whose comment may speak of them all.
func exported(f *ast.File) []declaration {
	var out []declaration
	for _, d := range f.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			if receiver := receiverName(d); d.Name.IsExported() && (d.Recv == nil || ast.IsExported(receiver)) {
				out = append(out, declaration{strings.TrimPrefix(receiver+"."+d.Name.Name, "."), d.Type, d.Doc != nil})
			}
		case *ast.GenDecl:
			for _, s := range d.Specs {
				out = append(out, exportedSpec(d, s)...)
			}
		}
	}
	return out
}

func exportedSpec(d *ast.GenDecl, s ast.Spec) []declaration {
	var out []declaration
	switch s := s.(type) {
	case *ast.TypeSpec:
		if !s.Name.IsExported() {
			return nil
		}
		out = append(out, declaration{s.Name.Name, visible(s), d.Doc != nil || s.Doc != nil})
	case *ast.ValueSpec:
		for _, n := range s.Names {
			if n.IsExported() {
				out = append(out, declaration{n.Name, s, d.Doc != nil || s.Doc != nil || s.Comment != nil})
			}
		}
	}
	return out
}

func receiverName(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	name := ""
	ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
		if id, ok := n.(*ast.Ident); ok && name == "" {
			name = id.Name
		}
		return name == ""
	})
	return name
}

// visible returns a type without the fields that another package cannot see.
func visible(s *ast.TypeSpec) ast.Node {
	st, ok := s.Type.(*ast.StructType)
	if !ok {
		return s
	}
	fields := &ast.FieldList{}
	for _, f := range st.Fields.List {
		if len(f.Names) == 0 || slices.ContainsFunc(f.Names, (*ast.Ident).IsExported) {
			fields.List = append(fields.List, f)
		}
	}
	return &ast.StructType{Fields: fields}
}

// selectors returns what a node takes from imported packages: "name.Member" as the package itself is named, and the
// import path.
func selectors(node ast.Node, imports map[string]string) map[string]string {
	byName := map[string]string{}
	for p, alias := range imports {
		name := alias
		if name == "" {
			name = packageName(p)
		}
		byName[name] = p
	}
	out := map[string]string{}
	ast.Inspect(node, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := sel.X.(*ast.Ident); ok && byName[x.Name] != "" {
				out[packageName(byName[x.Name])+"."+sel.Sel.Name] = byName[x.Name]
			}
		}
		return true
	})
	return out
}

// packageName guesses the name of a package: the last element of its path that is not a major version.
func packageName(p string) string {
	parts := strings.Split(p, "/")
	last := parts[len(parts)-1]
	if len(parts) > 1 && len(last) > 1 && last[0] == 'v' && strings.Trim(last[1:], "0123456789") == "" {
		last = parts[len(parts)-2]
	}
	return strings.TrimPrefix(last, "go-")
}

func TestTheChecksSeeWhatTheyLookFor(t *testing.T) {
	const source = `package p

import (
	"github.com/go-jose/go-jose/v4"
	mytime "time"
	bolt "go.etcd.io/bbolt"
)

// T is documented.
type T struct {
	Key  jose.JSONWebKey
	db   *bolt.DB
}

func (t *T) Open(db *bolt.DB) { _ = mytime.Now() }
func (t *t) Hidden(db *bolt.DB) {}
func internal(db *bolt.DB) {}

// I is documented.
type I interface{ A(jose.Signer) }

const C = 1

var (
	V bolt.DB // V is documented.
)
`
	syntax, err := parser.ParseFile(token.NewFileSet(), "p.go", source, parser.ParseComments)
	require.NoError(t, err)
	imports := map[string]string{"github.com/go-jose/go-jose/v4": "", "time": "mytime", "go.etcd.io/bbolt": "bolt"}
	require.Contains(t, selectors(syntax, imports), "time.Now")

	got := map[string]bool{}
	var foreign []string
	for _, d := range exported(syntax) {
		got[d.name] = d.documented
		for name := range selectors(d.signature, imports) {
			foreign = append(foreign, d.name+": "+name)
		}
	}
	require.Equal(t, map[string]bool{"T": true, "T.Open": false, "I": true, "C": false, "V": true}, got)
	require.ElementsMatch(t, []string{"T: jose.JSONWebKey", "T.Open: bbolt.DB", "I: jose.Signer", "V: bbolt.DB"}, foreign)
}
