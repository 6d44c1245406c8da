package policy

import (
	"fmt"
	"slices"
)

// grants are the scopes that rules name, by what a catalog says of the resources that the rules are for.
type grants struct {
	at         map[*catalogResource]map[string]bool
	everywhere map[*catalog]map[string]bool // at each resource that a catalog lists, there and above
}

// defaults reports default scopes that no rule of the document grants.
func (c *checker) defaults(d *document) {
	for _, scope := range d.defaults {
		if !d.names(scope) && !c.impliedByDefault(d, scope) {
			c.add(Finding{File: d.file, Line: d.defLine, Kind: DefaultNotGranted, Message: fmt.Sprintf(
				"no rule here grants %q, which a request without scopes asks for", bounded(scope))}, "default_scopes")
		}
	}
}

// names reports whether an allow rule of the document names the scope.
func (d *document) names(scope string) bool {
	return slices.ContainsFunc(d.allow, func(r rule) bool { return slices.Contains(r.scopes, scope) })
}

// impliedByDefault reports whether another default scope that a rule names implies the scope.
func (c *checker) impliedByDefault(d *document, scope string) bool {
	known := c.leaf(d).catalog
	if known == nil {
		return false
	}
	return slices.ContainsFunc(d.bind.resources, func(id string) bool {
		r := known.resource(id)
		return id == wildcard || slices.ContainsFunc(d.defaults, func(other string) bool {
			return d.names(other) && r.implied(other)[scope]
		})
	})
}

// implied returns what a scope of the resource implies.
func (d *catalogResource) implied(scope string) map[string]bool {
	out := map[string]bool{}
	if d == nil || d.scope(scope) == nil {
		return out
	}
	for _, i := range d.scope(scope).implies {
		out[d.scopes[i].name] = true
	}
	return out
}

// scopes reports the scopes of the catalogs that nothing grants.
func (c *checker) scopes() {
	if len(c.set.catalogs) == 0 {
		return
	}
	g := grants{map[*catalogResource]map[string]bool{}, map[*catalog]map[string]bool{}}
	for _, d := range c.docs {
		if !d.guard {
			g.note(d, c.leaf(d).catalog)
		}
	}
	for known, scopes := range g.everywhere {
		for up := known; up != nil; up = up.above {
			for _, r := range up.resources {
				add(g.at, r, scopes)
			}
		}
	}
	for _, f := range c.set.catalogs {
		for _, r := range f.resources {
			c.unused(f.file, r, g.at[r])
		}
	}
}

// note adds what the rules of a document grant.
func (g *grants) note(d *document, known *catalog) {
	if known == nil {
		return
	}
	for i := range d.allow {
		scopes := map[string]bool{}
		for _, s := range d.allow[i].scopes {
			scopes[s] = true
		}
		resources := d.bind.resources
		if d.allow[i].resources != nil {
			resources = d.allow[i].resources
		}
		for _, id := range resources {
			if id == wildcard {
				add(g.everywhere, known, scopes)
			} else if r := known.resource(id); r != nil {
				add(g.at, r, scopes)
			}
		}
	}
}

func add[K comparable](to map[K]map[string]bool, key K, scopes map[string]bool) {
	if to[key] == nil {
		to[key] = map[string]bool{}
	}
	for s := range scopes {
		to[key][s] = true
	}
}

// unused reports the scopes of a resource that nothing grants; in one finding, where that is all of them.
func (c *checker) unused(file string, r *catalogResource, granted map[string]bool) {
	reached := map[string]bool{}
	for s := range granted {
		if r.scope(s) != nil {
			reached[s] = true
		}
		for implied := range r.implied(s) {
			reached[implied] = true
		}
	}
	if len(reached) == 0 && len(r.scopes) > 1 {
		names := make([]string, len(r.scopes))
		for i := range r.scopes {
			names[i] = r.scopes[i].name
		}
		c.add(Finding{File: file, Line: r.line, Kind: UnusedScope, Message: fmt.Sprintf(
			"no rule grants a scope of %s: %s", bounded(r.id), few(names))}, "")
		return
	}
	for i := range r.scopes {
		if s := &r.scopes[i]; !reached[s.name] {
			c.add(Finding{File: file, Line: s.line, Kind: UnusedScope, Message: fmt.Sprintf(
				"no rule grants %q at %s, and no scope that one grants implies it", bounded(s.name), bounded(r.id))}, "")
		}
	}
}
