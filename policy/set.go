package policy

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tokenboundary/tokenboundary"
)

// Set is a compiled policy set. It is immutable and safe for concurrent use. The zero value is not usable; see Load.
type Set struct {
	version string
	leaves  map[triple]*leaf
	bound   map[pair]target
	pool    sync.Pool // of *slots
}

var _ interface {
	tokenboundary.Policy
	Version() string
} = (*Set)(nil)

// triple is what a leaf is found by.
type triple struct{ client, connection, resource string }

type pair struct{ client, connection string }

// target is the one resource that is bound by name for a client and connection, or several.
type target struct {
	resource string
	several  bool
}

// guard is what the guardrails from the root down to a directory say together.
type guard struct {
	denies   []*rule
	limits   limits
	controls []string
}

// leaf is a policy path with all that applies to it.
type leaf struct {
	path     string
	file     string
	guard    *guard
	denies   []rule
	allows   []rule
	byScope  []scopeRules
	defaults []string
	limits   limits
	controls []string

	anyResource bool // it binds every resource instead of naming some
}

// scopeRules are the allow rules that name one scope, in the order of the file.
type scopeRules struct {
	scope string
	rules []int
}

// Version is the digest of the set's sources, which every verdict names: two sets have the same version if and only if
// their documents have the same paths and the same bytes.
func (s *Set) Version() string { return s.version }

// assemble builds the tree and the index of bindings.
func assemble(docs []*document) (*Set, []Problem) {
	s := &Set{leaves: map[triple]*leaf{}, bound: map[pair]target{}}
	s.pool.New = func() any { return newSlots() }
	guards := guardrails{made: map[string]*guard{}, docs: map[string]*document{}}
	for _, d := range docs {
		if d.guard {
			guards.docs[parent(d.file)] = d
		}
	}
	var problems []Problem
	shared := interner{}
	for _, d := range docs {
		if !d.guard {
			shared.document(d)
			problems = append(problems, s.add(d, guards.at(parent(d.file)))...)
		}
	}
	each(docs, func(_ *document, r *rule) { r.draft = nil })
	return s, problems
}

type guardrails struct {
	docs map[string]*document
	made map[string]*guard
}

// at returns the guardrails of a directory and of all above it.
func (g guardrails) at(dir string) *guard {
	if made := g.made[dir]; made != nil {
		return made
	}
	made := &guard{limits: noLimits}
	if dir != "." {
		made = g.at(parent(dir))
	}
	if d := g.docs[dir]; d != nil {
		own := &guard{limits: made.limits.meet(d.limits), controls: union(made.controls, d.controls)}
		own.denies = slices.Clone(made.denies)
		for i := range d.deny {
			own.denies = append(own.denies, &d.deny[i])
		}
		made = own
	}
	g.made[dir] = made
	return made
}

// add puts a leaf into the index. Two leaves for one triple are a mistake that no order of precedence may hide.
func (s *Set) add(d *document, g *guard) []Problem {
	l := &leaf{
		path: d.path, file: d.file, guard: g, denies: d.deny, allows: d.allow, byScope: index(d.allow),
		defaults: d.defaults, limits: g.limits.meet(d.limits), controls: union(g.controls, d.controls),
		anyResource: slices.Contains(d.bind.resources, wildcard),
	}
	for _, c := range d.bind.clients {
		for _, n := range d.bind.connections {
			for _, r := range d.bind.resources {
				key := triple{c, n, r}
				if other := s.leaves[key]; other != nil {
					return []Problem{{File: d.file, Line: d.bindLine, Message: fmt.Sprintf(
						"bind: client %q, connection %q, resource %q is bound by %s already",
						bounded(c), bounded(n), bounded(r), other.file)}}
				}
				s.leaves[key] = l
				if r != wildcard {
					s.note(pair{c, n}, r)
				}
			}
		}
	}
	return nil
}

func (s *Set) note(p pair, resource string) {
	t, ok := s.bound[p]
	s.bound[p] = target{resource, ok && (t.several || t.resource != resource)}
}

// interner keeps one copy of a text that many documents have: a decision among very many bindings then waits less for
// memory.
type interner map[string]string

func (in interner) document(d *document) {
	for _, list := range [][]string{d.bind.clients, d.bind.connections, d.bind.resources, d.defaults, d.controls} {
		in.all(list)
	}
	for i := range d.allow {
		in.all(d.allow[i].scopes)
		in.all(d.allow[i].delegates)
		in.all(d.allow[i].resources)
	}
}

func (in interner) all(list []string) {
	for i, s := range list {
		if known, ok := in[s]; ok {
			list[i] = known
		} else {
			in[s] = s
		}
	}
}

// index lists the allow rules by the scopes they name. Scopes that the same rules name share one list.
func index(allows []rule) []scopeRules {
	var out []scopeRules
	for i, r := range allows {
		for _, scope := range r.scopes {
			at, found := slices.BinarySearchFunc(out, scope, compareScope)
			if !found {
				out = slices.Insert(out, at, scopeRules{scope: scope})
			}
			out[at].rules = append(out[at].rules, i)
		}
	}
	for i := 1; i < len(out); i++ {
		if slices.Equal(out[i].rules, out[i-1].rules) {
			out[i].rules = out[i-1].rules
		}
	}
	return out
}

// rulesFor returns the allow rules that name a scope.
func (l *leaf) rulesFor(scope string) []int {
	if at, found := slices.BinarySearchFunc(l.byScope, scope, compareScope); found {
		return l.byScope[at].rules
	}
	return nil
}

func compareScope(s scopeRules, scope string) int { return strings.Compare(s.scope, scope) }

// union appends to a what b has and a does not.
func union(a, b []string) []string {
	out := slices.Clip(a)
	for _, s := range b {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}
