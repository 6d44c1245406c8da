package policy

import (
	"math"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// parseCatalog reads a catalog. It returns nil with problems, or a catalog without any.
func parseCatalog(file string, data []byte) (*catalogFile, []Problem) {
	node, bad := yamldoc.Parse(data, yamlLimits)
	if bad != nil {
		return nil, []Problem{{File: file, Line: bad.Line, Message: bounded(bad.Message)}}
	}
	r := &reader{file: file}
	c := &catalogFile{file: file, resources: map[string]*catalogResource{}, connections: map[string]*catalogConnection{}}
	f := r.fields(node, catalogName, "resources", "connections")
	if f != nil && len(node.Content) == 0 {
		r.fail(node, "%s: needs resources or connections", catalogName)
	}
	if n := f["resources"]; n != nil {
		for _, item := range r.list(n, "resources", maxCatalog) {
			r.catalogResource(c, item)
		}
	}
	if n := f["connections"]; n != nil {
		for _, item := range r.list(n, "connections", maxCatalog) {
			r.catalogConnection(c, item)
		}
	}
	if len(r.problems) > 0 {
		return nil, r.problems
	}
	return c, nil
}

// exact returns a string that names one thing; "" where it is not one. No catalog speaks of everything.
func (r *reader) exact(n *yaml.Node, what string, check func(string) (string, error)) string {
	s := r.text(n, what)
	switch s {
	case "":
		return ""
	case wildcard:
		r.fail(n, "%s: %q is not allowed in a catalog", what, wildcard)
		return ""
	}
	s, err := check(s)
	if err != nil {
		r.fail(n, "%s: %v", what, err)
		return ""
	}
	return s
}

func scopeOf(s string) (string, error) { return s, canon.Scope(s) }

// catalogResource reads one resource with its scopes.
func (r *reader) catalogResource(c *catalogFile, n *yaml.Node) {
	f := r.fields(n, "resources", "resource", "scopes")
	switch {
	case f == nil:
		return
	case f["resource"] == nil:
		r.fail(n, "resources: resource is required")
		return
	case f["scopes"] == nil:
		r.fail(n, "resources: scopes is required")
		return
	}
	id := r.exact(f["resource"], "resource", resourceOf)
	if c.resources[id] != nil {
		r.fail(f["resource"], "resource: %q twice", bounded(id))
		return
	}
	d := &catalogResource{id: id, line: f["resource"].Line}
	before := len(r.problems)
	implied := map[string]*yaml.Node{}
	for _, item := range r.list(f["scopes"], "scopes", canon.MaxScopes) {
		r.catalogScope(d, implied, item)
	}
	slices.SortFunc(d.scopes, func(a, b catalogScope) int { return strings.Compare(a.name, b.name) })
	if len(r.problems) == before {
		r.implications(d, implied)
	}
	if id != "" {
		c.resources[id] = d
	}
}

// catalogScope reads one scope. What it implies may stand below it, and is put down for later.
func (r *reader) catalogScope(d *catalogResource, implied map[string]*yaml.Node, n *yaml.Node) {
	f := r.fields(n, "scopes", "scope", "implies", "sensitivity", "lifetime")
	switch {
	case f == nil:
		return
	case f["scope"] == nil:
		r.fail(n, "scopes: scope is required")
		return
	}
	s := catalogScope{name: r.exact(f["scope"], "scope", scopeOf), line: f["scope"].Line, sensitivity: unstated}
	if slices.ContainsFunc(d.scopes, func(x catalogScope) bool { return x.name == s.name }) {
		r.fail(f["scope"], "scope: %q twice", bounded(s.name))
		return
	}
	if v := f["sensitivity"]; v != nil {
		s.sensitivity = r.sensitivity(v)
	}
	if v := f["lifetime"]; v != nil {
		s.lifetime = r.duration(v, "lifetime")
	}
	if v := f["implies"]; v != nil {
		implied[s.name] = v
	}
	if s.name != "" {
		d.scopes = append(d.scopes, s)
	}
}

func (r *reader) sensitivity(n *yaml.Node) sensitivity {
	text := r.text(n, "sensitivity")
	for _, s := range []sensitivity{low, medium, high} {
		if text == s.String() {
			return s
		}
	}
	if text != "" {
		r.fail(n, "sensitivity: must be low, medium or high")
	}
	return unstated
}

// catalogConnection reads one connection with its clients.
func (r *reader) catalogConnection(c *catalogFile, n *yaml.Node) {
	f := r.fields(n, "connections", "connection", "clients", "legacy")
	switch {
	case f == nil:
		return
	case f["connection"] == nil:
		r.fail(n, "connections: connection is required")
		return
	case f["clients"] == nil:
		r.fail(n, "connections: clients is required")
		return
	}
	name := r.exact(f["connection"], "connection", nameOf)
	if c.connections[name] != nil {
		r.fail(f["connection"], "connection: %q twice", bounded(name))
		return
	}
	o := &catalogConnection{file: c.file, line: f["connection"].Line, legacy: noLimits}
	if v := f["legacy"]; v != nil {
		o.legacy = r.legacy(v)
	}
	for _, item := range r.list(f["clients"], "clients", maxCatalog) {
		client := r.exact(item, "clients", nameOf)
		if at, found := slices.BinarySearch(o.clients, client); found {
			r.fail(item, "clients: %q twice", bounded(client))
		} else if client != "" {
			o.clients = slices.Insert(o.clients, at, client)
		}
	}
	if name != "" {
		c.connections[name] = o
	}
}

// legacy reads the limits of a connection to a system that knows nothing of tokens.
func (r *reader) legacy(n *yaml.Node) limits {
	f := r.fields(n, "legacy", "lifetime", "derivations", "recheck")
	out := noLimits
	if f != nil && len(n.Content) == 0 {
		r.fail(n, "legacy: is empty")
	}
	if v := f["lifetime"]; v != nil {
		out.lifetime = r.duration(v, "legacy: lifetime")
	}
	if v := f["derivations"]; v != nil {
		out.derivations = uint64(r.number(v, "legacy: derivations", math.MaxInt32))
	}
	if v := f["recheck"]; v != nil {
		out.recheck = r.recheck(v, "legacy: recheck")
	}
	return out
}
