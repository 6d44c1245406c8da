package policy

import (
	"cmp"
	"slices"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// obstacles returns options that may remove what is in the way of a request: together, or some of it.
func (q *search) obstacles(f *tokenboundary.Facts) []option {
	l, resources, _ := q.set.resolve(f)
	if l == nil {
		return q.targets(f)
	}
	if _, why := l.catalog.refuses(f.Client.ID, f.Connection, resources); why != "" {
		return q.targets(f)
	}
	scopes := l.asked(f)
	if len(scopes) == 0 {
		return l.askable()
	}
	r := &rules{search: q, leaf: l, slots: l.slots(f, scopes), pool: q.comparands(l)}
	free, ok := r.denials(resources)
	if !ok {
		return nil
	}
	together, out := free, slices.Clone(free)
	for _, resource := range resources {
		for _, scope := range normal(scopes) {
			switch {
			case q.ctx.Err() != nil:
				return nil
			case !l.grantable(f.Ceiling, resource, scope):
				continue
			}
			ways := r.grants(resource, scope)
			out = append(out, q.combine(free, ways)...)
			if next := q.combine(together, ways); len(next) > 0 {
				together = next
			}
		}
	}
	return append(together, out...)
}

// rules are those of a leaf, looked into for one request.
type rules struct {
	*search
	leaf  *leaf
	slots *slots
	pool  pool
}

// denials returns the options under which no deny rule is in the way; false where nothing is known to help.
func (r *rules) denials(resources []string) ([]option, bool) {
	free := []option{nil}
	for rule := range r.leaf.denyRules() {
		targets := noTarget
		if rule.prog.usesTarget {
			targets = resources
		}
		for _, resource := range targets {
			if free = r.combine(free, r.solve(rule, resource, false)); len(free) == 0 {
				return nil, false
			}
		}
	}
	return free, true
}

// grants returns the options under which a rule grants the scope: none that is empty unless one does already.
func (r *rules) grants(resource, scope string) []option {
	var out []option
	for _, i := range r.leaf.rulesFor(scope) {
		if rule := &r.leaf.allows[i]; rule.isFor(resource) {
			out = append(out, r.solve(rule, resource, true)...)
		}
	}
	return smallest(out)
}

func (r *rules) solve(rule *rule, resource string, want bool) []option {
	if r.ctx.Err() != nil {
		return nil // what is decided next says so
	}
	if resource != "" {
		r.slots.turn(resource)
	}
	seen := r.views.see(rule.prog, r.slots)
	if seen == nil {
		return nil
	}
	return (&solver{seen, r.search, r.pool}).solve(seen.root, want)
}

// unset is what a variable of few values is where nothing is said of it. No change asks for that.
var unset = textVals("", "unknown")

// comparands gathers what the conditions of the leaf compare variables with.
func (q *search) comparands(l *leaf) pool {
	p := pool{}
	for name, c := range domains {
		p[name] = slices.DeleteFunc(slices.Clone(c.one), func(v ref.Val) bool { return isIn(v, unset) })
	}
	gather := func(r *rule) {
		if v := q.views.of(r.prog); v != nil {
			p.gather(v.root)
		}
	}
	for r := range l.denyRules() {
		gather(r)
	}
	for i := range l.allows {
		gather(&l.allows[i])
	}
	return p
}

// askable returns the options to ask for a scope that a rule of the leaf names.
func (l *leaf) askable() []option {
	var out []option
	for _, s := range l.byScope[:min(len(l.byScope), maxBound)] {
		out = append(out, toWords([]string{"request.scopes"}, []string{s.scope})...)
	}
	return out
}

// targets returns the options to ask for what is bound.
func (q *search) targets(f *tokenboundary.Facts) []option {
	connection, resource := []string{"connection"}, []string{"resource"}
	var out []option
	for _, r := range f.Resources[:min(len(f.Resources), canon.MaxResources)] {
		if c, err := canon.Resource(r); err == nil && (c != r || len(f.Resources) > 1) {
			out = append(out, to(resource, types.String(c))...)
		}
	}
	bound := q.set.boundFor(f)
	for _, b := range bound[:min(len(bound), maxTries)] {
		if b.Connection != f.Connection && b.Connection != wildcard {
			out = append(out, to(connection, types.String(b.Connection))...)
		}
		if !slices.Contains(f.Resources, b.Resource) && b.Resource != wildcard {
			out = append(out, to(resource, types.String(b.Resource))...)
			out = append(out, q.combine(to(connection, types.String(b.Connection)), to(resource, types.String(b.Resource)))...)
		}
	}
	return out
}

// boundFor lists what is bound for the client, what is nearest to the request first.
func (s *Set) boundFor(f *tokenboundary.Facts) []Binding {
	var out []Binding
	note := func(client string, list targets) {
		for _, t := range list {
			out = append(out, Binding{client, t.connection, t.resource, t.leaf.path})
		}
	}
	note(f.Client.ID, s.clients.of(f.Client.ID))
	note(wildcard, s.anyClient)
	far := func(b Binding) int {
		n := 0
		if b.Client == wildcard {
			n += 4
		}
		if b.Connection != f.Connection {
			n += 2
		}
		if !slices.Contains(f.Resources, b.Resource) {
			n++
		}
		return n
	}
	slices.SortFunc(out, func(a, b Binding) int {
		return cmp.Or(far(a)-far(b), cmp.Compare(a.Connection, b.Connection), cmp.Compare(a.Resource, b.Resource))
	})
	return out
}
