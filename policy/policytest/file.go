package policytest

import (
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/requestdoc"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/policy"
)

// maxCases bounds the tests of one file, and the cases of one test.
const maxCases = 5_000

// example is one request and what is expected of it.
type example struct {
	file       string
	place      yamldoc.Value
	test, name string           // name is the case; empty where the test has none
	layers     [3]yamldoc.Value // of the request: defaults, test, case. They are merged when they are needed: many share the first
	expect     *expectation
}

// facts reads the request.
func (x example) facts() (tokenboundary.Facts, *yamldoc.Problem) {
	var all yamldoc.Value
	for _, layer := range x.layers {
		all = yamldoc.Merge(all, layer)
	}
	if all.Node == nil {
		return tokenboundary.Facts{}, &yamldoc.Problem{
			Line: x.place.Node.Line, Key: x.place.Key, Message: "request: is required, here or under defaults",
		}
	}
	return requestdoc.Read(placed(all, x.place, "request"))
}

// reader reads one file with tests.
type reader struct {
	yamldoc.Reader
	file     string
	known    *rules
	defaults yamldoc.Value
	out      []example
}

// parse returns the tests of a file, or what is wrong with it.
func parse(file string, data []byte, known *rules) ([]example, *yamldoc.Problem) {
	node, bad := yamldoc.Parse(data, requestdoc.Limits)
	r := &reader{file: file, known: known}
	if bad == nil {
		r.document(yamldoc.Value{Node: node})
		bad = r.Bad
	}
	if bad != nil {
		return nil, bad
	}
	return r.out, nil
}

func (r *reader) document(v yamldoc.Value) {
	var tests yamldoc.Value
	r.Object(v, yamldoc.Fields{
		"defaults": func(v yamldoc.Value) { r.defaults = r.mapping(v) },
		"tests":    func(v yamldoc.Value) { tests = v },
	})
	if tests.Node == nil {
		r.Fail(v, "tests: is required")
		return
	}
	seen := map[string]bool{}
	r.some(tests, func(v yamldoc.Value) { r.test(v, seen) })
}

// some reads a list that is not empty: of what is not there, nothing is tested.
func (r *reader) some(v yamldoc.Value, read func(yamldoc.Value)) {
	if v.List() && len(v.Node.Content) == 0 {
		r.Fail(v, "is empty")
	}
	r.List(v, maxCases, read)
}

// mapping reads a value of which only the keys matter yet.
func (r *reader) mapping(v yamldoc.Value) yamldoc.Value {
	if !v.Mapping() {
		r.Fail(v, "must be a mapping")
	}
	return v
}

// name reads a name that stands once.
func (r *reader) name(v yamldoc.Value, seen map[string]bool) string {
	s := strings.TrimSpace(r.Name(v))
	switch {
	case s == "":
		r.Fail(v, "is blank")
	case seen[s]:
		r.Fail(v, "a second one of the name %q", s)
	}
	seen[s] = true
	return s
}

// entry is a test or a case as it is written.
type entry struct {
	name            string
	request, expect yamldoc.Value
}

func (r *reader) entry(v yamldoc.Value, title string, seen map[string]bool, fields yamldoc.Fields) (e entry) {
	fields[title] = func(v yamldoc.Value) { e.name = r.name(v, seen) }
	fields["request"] = func(v yamldoc.Value) { e.request = r.mapping(v) }
	fields["expect"] = func(v yamldoc.Value) { e.expect = r.mapping(v) }
	r.Object(v, fields)
	if e.name == "" {
		r.Fail(v, "%s: is required: its name", title)
	}
	return e
}

func (r *reader) test(v yamldoc.Value, seen map[string]bool) {
	var cases yamldoc.Value
	e := r.entry(v, "test", seen, yamldoc.Fields{"cases": func(v yamldoc.Value) { cases = v }})
	x := example{file: r.file, place: v, test: e.name, layers: [3]yamldoc.Value{r.defaults, e.request}}
	if cases.Node == nil {
		r.example(x, e.expect)
		return
	}
	names := map[string]bool{}
	r.some(cases, func(v yamldoc.Value) {
		c := r.entry(v, "case", names, yamldoc.Fields{})
		x.place, x.name, x.layers[2] = v, c.name, c.request
		r.example(x, above(e.expect, c.expect))
	})
}

// above returns what a case expects: what it says itself and, unless that is another effect, what its test says.
func above(test, own yamldoc.Value) yamldoc.Value {
	get := func(v yamldoc.Value) string {
		if e := yamldoc.Member(v.Node, "effect"); e != nil {
			return e.Value
		}
		return ""
	}
	if mine := get(own); mine != "" && mine != get(test) {
		return own
	}
	return yamldoc.Merge(test, own)
}

// example completes and keeps one example.
func (r *reader) example(x example, expect yamldoc.Value) {
	if r.Bad != nil {
		return
	}
	if expect.Node == nil {
		r.Fail(x.place, "expect: is required: a test that expects nothing cannot fail")
		return
	}
	if _, r.Bad = x.facts(); r.Bad == nil {
		x.expect = r.expectation(placed(expect, x.place, "expect"))
	}
	r.out = append(r.out, x)
}

// placed returns what was merged, in the place of the test or case that it is for.
func placed(merged, v yamldoc.Value, key string) yamldoc.Value {
	n := *merged.Node
	n.Line = v.Node.Line
	return v.At(key, &n)
}

// rules are those of the set, by the names under which tests know them.
type rules struct{ allow, deny []string }

func rulesOf(list []policy.Rule) *rules {
	out := &rules{}
	for _, r := range list {
		to := &out.allow
		if r.Deny {
			to = &out.deny
		}
		*to = append(*to, r.ID)
	}
	return out
}

// listed reports whether a name stands for one of the rules.
func listed(list []string, name string) bool {
	return slices.ContainsFunc(list, func(id string) bool { return names(name, id) })
}

// names reports whether a name, or path#name, stands for the rule.
func names(name, id string) bool {
	return name == id || !strings.Contains(name, "#") && strings.HasSuffix(id, "#"+name)
}
