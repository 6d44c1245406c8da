package policy

import (
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// implications works out what each scope of a resource implies: all that it names, and what those imply. implied holds the
// list of each scope that has one. A resource has at most canon.MaxScopes scopes, which bounds the work and the result.
func (r *reader) implications(d *catalogResource, implied map[string]*yaml.Node) {
	direct := make([][]uint8, len(d.scopes))
	for i := range d.scopes {
		if n := implied[d.scopes[i].name]; n != nil {
			direct[i] = r.implies(d, n)
		}
	}
	for i := range d.scopes {
		s := &d.scopes[i]
		if s.implies = reachable(direct, uint8(i)); slices.Contains(s.implies, uint8(i)) {
			r.fail(implied[s.name], "implies: %q implies itself", bounded(s.name))
		}
	}
	own := make([]sensitivity, len(d.scopes))
	for i := range d.scopes {
		own[i] = d.scopes[i].sensitivity
	}
	for i := range d.scopes {
		for _, j := range d.scopes[i].implies {
			d.scopes[i].sensitivity = max(d.scopes[i].sensitivity, own[j])
		}
	}
}

// implies reads the scopes that one names, which are of the same resource.
func (r *reader) implies(d *catalogResource, n *yaml.Node) []uint8 {
	var out []uint8
	for _, item := range r.list(n, "implies", canon.MaxScopes) {
		name := r.exact(item, "implies", scopeOf)
		if name == "" {
			continue
		}
		at, found := slices.BinarySearchFunc(d.scopes, name, compareName)
		switch {
		case !found:
			r.fail(item, "implies: %q is not a scope of this resource", bounded(name))
		case slices.Contains(out, uint8(at)):
			r.fail(item, "implies: %q twice", bounded(name))
		default:
			out = append(out, uint8(at))
		}
	}
	return out
}

// reachable returns, sorted, what can be reached from one scope by the arrows; the scope itself only by a way round.
func reachable(direct [][]uint8, from uint8) []uint8 {
	seen := make([]bool, len(direct))
	next := slices.Clone(direct[from])
	var out []uint8
	for len(next) > 0 {
		at := next[len(next)-1]
		next = next[:len(next)-1]
		if !seen[at] {
			seen[at] = true
			out = append(out, at)
			next = append(next, direct[at]...)
		}
	}
	slices.Sort(out)
	return slices.Clip(out)
}
