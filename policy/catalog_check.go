package policy

import (
	"fmt"
	"slices"
	"strings"
)

// check reports what a leaf names and its catalog does not have.
func (c *catalog) check(d *document) []Problem {
	if c == nil {
		return nil
	}
	k := &catalogCheck{catalog: c, d: d, everywhere: map[string]string{}}
	if c.gives {
		k.connections()
	}
	if c.lists && k.resources("bind: resource", d.bindLine, "", d.bind.resources) {
		k.scopes()
	}
	return k.problems
}

// catalogCheck looks at one leaf.
type catalogCheck struct {
	*catalog
	d          *document
	everywhere map[string]string // what is wrong with a scope that is for all that the leaf binds
	problems   []Problem
}

func (k *catalogCheck) fail(line int, rule, format string, args ...any) {
	if len(k.problems) <= maxProblems {
		k.problems = append(k.problems, Problem{
			File: k.d.file, Line: line, Rule: rule, Message: bounded(fmt.Sprintf(format, args...)),
		})
	}
}

// connections checks that the connections exist and that the clients own them. Where either is the wildcard, that is
// looked at when a request is decided.
func (k *catalogCheck) connections() {
	for _, name := range k.d.bind.connections {
		o := k.connection(name)
		if o == nil && name != wildcard {
			k.fail(k.d.bindLine, "", "bind: connection %q is not in the catalog", bounded(name))
		}
		for _, client := range k.d.bind.clients {
			if o != nil && client != wildcard && !o.owns(client) {
				k.fail(k.d.bindLine, "", "bind: the catalog does not give connection %q to client %q, but to %s", bounded(name),
					bounded(client), few(o.clients))
			}
		}
	}
}

// resources checks that the resources exist.
func (k *catalogCheck) resources(what string, line int, rule string, list []string) bool {
	ok := true
	for _, id := range list {
		if id != wildcard && k.resource(id) == nil {
			ok = false
			k.fail(line, rule, "%s %q is not in the catalog, which has %s", what, bounded(id), k.listed())
		}
	}
	return ok
}

// scopes checks that the scopes exist where they are for.
func (k *catalogCheck) scopes() {
	for _, scope := range k.d.defaults {
		if why := k.wrong(scope, nil); why != "" {
			k.fail(k.d.defLine, "", "default_scopes: %s", why)
		}
	}
	for i := range k.d.allow {
		r := &k.d.allow[i]
		if !k.resources("resources:", r.named, r.name, r.resources) {
			continue
		}
		for _, scope := range r.scopes {
			if why := k.wrong(scope, r.terms.resources); why != "" {
				k.fail(r.named, r.name, "scopes: %s", why)
			}
		}
	}
}

// wrong says why a scope has no meaning at one of the resources, or at any that the leaf binds where there are none; empty
// where it has.
func (k *catalogCheck) wrong(scope string, resources []string) string {
	if resources != nil {
		return k.missing(scope, resources)
	}
	why, known := k.everywhere[scope]
	if !known {
		why = k.missing(scope, k.d.bind.resources)
		k.everywhere[scope] = why
	}
	return why
}

func (k *catalogCheck) missing(scope string, resources []string) string {
	for _, id := range resources {
		if id == wildcard {
			if !k.anywhere(scope) {
				return fmt.Sprintf("%q is not a scope of any resource of the catalog", bounded(scope))
			}
			continue
		}
		if d := k.resource(id); d.lacks(scope) {
			names := make([]string, len(d.scopes))
			for i := range d.scopes {
				names[i] = d.scopes[i].name
			}
			return fmt.Sprintf("%q is not a scope of %s: the catalog has %s for it", bounded(scope), bounded(id), few(names))
		}
	}
	return ""
}

// listed names some of the resources that the catalog lists.
func (c *catalog) listed() string {
	if c.known == "" {
		var all []string
		for up := c; up != nil; up = up.above {
			for id := range up.resources {
				all = append(all, id)
			}
		}
		slices.Sort(all)
		c.known = few(all)
	}
	return c.known
}

// few names the first few of a list.
func few(list []string) string {
	const most = 4
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(list[:most], ", "), len(list)-most)
}
