package policy

import (
	"slices"
	"sync"
)

// Set is a compiled policy set. It is immutable and safe for concurrent use. The zero value is not usable; see Load.
type Set struct {
	version   string
	clients   *clientIndex // what is bound for each client by name
	anyClient targets      // what is bound for all
	catalogs  []*catalogFile
	pool      sync.Pool // of *slots
}

var _ Versioned = (*Set)(nil)

// triple is what a leaf binds.
type triple struct{ client, connection, resource string }

// guard is what the guardrails from the root down to a directory say together.
type guard struct {
	file     string // the last of them; empty above the first
	above    *guard // what those above it say
	denies   []*rule
	limits   limits
	controls []string
}

// leaf is a policy path with all that applies to it. A decision among very many waits for memory: what leaves have in
// common is in one place.
type leaf struct {
	path    string
	guard   *guard
	catalog *catalog // nil: there is none
	*profile
	allows []rule
	denies []rule
	file   string
}

// Version is the digest of the set's sources, which every verdict names: two sets have the same version if and only if
// their documents have the same paths and the same bytes.
func (s *Set) Version() string { return s.version }

// assemble builds the tree and the index of bindings.
func assemble(docs []*document, files []*catalogFile) (*Set, []Problem) {
	s := &Set{catalogs: files}
	s.pool.New = func() any { return newSlots() }
	guards := guardrails{made: map[string]*guard{}, docs: map[string]*document{}}
	for _, d := range docs {
		if d.guard {
			guards.docs[parent(d.file)] = d
		}
	}
	known := newCatalogs(files)
	problems := known.problems
	bound, shared := newBinder(), newInterner()
	for _, d := range docs {
		if d.guard {
			continue
		}
		shared.document(d)
		l := newLeaf(d, guards.at(parent(d.file)), known.at(parent(d.file)), shared)
		problems = append(problems, l.catalog.check(d)...)
		bound.add(d, l)
	}
	s.clients, s.anyClient = bound.index()
	each(docs, func(_ *document, r *rule) { r.row = int32(r.line) })
	return s, append(problems, bound.problems...)
}

func newLeaf(d *document, g *guard, c *catalog, shared *interner) *leaf {
	return &leaf{
		path: d.path, file: d.file, guard: g, catalog: c, denies: d.deny, allows: d.allow, profile: shared.profile(d, g),
	}
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
		own := &guard{file: d.file, above: made, limits: made.limits.meet(d.limits), controls: union(made.controls, d.controls)}
		own.denies = slices.Clone(made.denies)
		for i := range d.deny {
			own.denies = append(own.denies, &d.deny[i])
		}
		made = own
	}
	g.made[dir] = made
	return made
}

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
