package suggest

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// wide admits every document that package policy has loaded.
var wide = yamldoc.Limits{Bytes: 256 << 10, Depth: 16, Nodes: 20_000}

const wildcard = "*"

// document is a leaf of the set: its text, and what of it suggestions are about.
type document struct {
	file, path string
	text       []byte
	bind       map[string][]string // by key
	rules      []rule
	line       int // of bind
}

// rule is one allow rule.
type rule struct {
	name      string
	line      int
	scopes    []string
	resources []string
	delegates []string
	lifetime  time.Duration
	refresh   bool
}

// readDocuments reads the leaves of a set that has loaded.
func readDocuments(fsys fs.FS) ([]*document, error) {
	var out []*document
	err := fs.WalkDir(fsys, ".", func(file string, e fs.DirEntry, err error) error {
		switch name := e.Name(); {
		case err != nil:
			return err
		case file != "." && strings.HasPrefix(name, "."):
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		case e.IsDir(), name == "boundary.yaml", name == "catalog.yaml", strings.HasSuffix(name, "_test.yaml"):
			return nil
		}
		text, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		d, err := newDocument(file, text)
		out = append(out, d)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("suggest: %w", err)
	}
	return out, nil
}

func newDocument(file string, text []byte) (*document, error) {
	root, bad := yamldoc.Parse(text, wide)
	if bad != nil {
		return nil, fmt.Errorf("%s:%d: %s", file, bad.Line, bad.Message)
	}
	d := &document{file: file, path: "/" + strings.TrimSuffix(file, ".yaml"), text: text, bind: map[string][]string{}}
	for key, value := range yamldoc.Pairs(root) {
		switch key.Value {
		case "bind":
			d.line = key.Line
			for k, v := range yamldoc.Pairs(value) {
				d.bind[k.Value] = texts(v)
			}
		case "allow":
			for _, item := range value.Content {
				d.rules = append(d.rules, newRule(item))
			}
		}
	}
	return d, nil
}

func newRule(n *yaml.Node) rule {
	r := rule{line: n.Line}
	for key, value := range yamldoc.Pairs(n) {
		switch key.Value {
		case "rule":
			r.name = value.Value
		case "scopes":
			r.scopes = texts(value)
		case "resources":
			r.resources = texts(value)
		case "delegates":
			r.delegates = texts(value)
		case "lifetime":
			r.lifetime, _ = yamldoc.Duration(value)
		case "refresh":
			r.refresh = value.Value == "true"
		}
	}
	return r
}

// texts returns the strings of a list, or the one that stands for a list.
func texts(n *yaml.Node) (out []string) {
	if n.Kind == yaml.ScalarNode {
		return []string{n.Value}
	}
	for _, item := range n.Content {
		out = append(out, item.Value)
	}
	return out
}

// overlaps reports whether another document could decide, for one of the clients and connections of d, requests for the
// resource.
func (d *document) overlaps(o *document, resource string) bool {
	meets := func(key string) bool {
		a, b := d.bind[key], o.bind[key]
		return slices.Contains(a, wildcard) || slices.Contains(b, wildcard) ||
			slices.ContainsFunc(a, func(s string) bool { return slices.Contains(b, s) })
	}
	return meets("client") && meets("connection") && slices.ContainsFunc(o.bind["resource"], func(s string) bool {
		return s == wildcard || canonical(s) == canonical(resource)
	})
}

// canonical returns a resource as records name it.
func canonical(resource string) string {
	c, err := canon.Resource(resource)
	if err != nil {
		return resource
	}
	return c
}

// overlay is a file system with some of its files replaced.
type overlay struct {
	fs.FS
	files map[string][]byte
}

// Open implements fs.FS.
func (o overlay) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	text, ok := o.files[name]
	if err != nil || !ok {
		return f, err
	}
	return &replaced{f, strings.NewReader(string(text))}, nil
}

type replaced struct {
	fs.File
	text *strings.Reader
}

func (r *replaced) Read(p []byte) (int, error) { return r.text.Read(p) }
