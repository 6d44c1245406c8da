package policy

import (
	"fmt"
	"slices"
	"strings"
)

// profile is what many leaves have in common.
type profile struct {
	byScope  []scopeRules
	limits   limits
	controls []string
	defaults []string

	anyResource bool // it binds every resource instead of naming some
}

// scopeRules are the allow rules that name one scope, in the order of the file.
type scopeRules struct {
	scope string
	rules []int
}

// interner keeps one copy of what many documents have: a decision among very many bindings then waits less for memory.
type interner struct {
	texts    map[string]string
	profiles map[string]*profile
}

func newInterner() *interner { return &interner{map[string]string{}, map[string]*profile{}} }

func (in *interner) document(d *document) {
	all := in.all
	if d.interned {
		all = in.learn
	}
	for _, list := range [][]string{d.bind.connections, d.bind.resources, d.defaults, d.controls} {
		all(list)
	}
	for i := range d.allow {
		all(d.allow[i].scopes)
		all(d.allow[i].delegates)
		all(d.allow[i].resources)
	}
}

func (in *interner) all(list []string) {
	in.learn(list)
	for i, s := range list {
		list[i] = in.texts[s]
	}
}

// learn makes the texts of a list those of which there is one copy, unless there is one already.
func (in *interner) learn(list []string) {
	for _, s := range list {
		if _, ok := in.texts[s]; !ok {
			in.texts[s] = s
		}
	}
}

// profile returns the profile of a leaf.
func (in *interner) profile(d *document, g *guard) *profile {
	p := profile{
		limits: g.limits.meet(d.limits), controls: union(g.controls, d.controls), defaults: d.defaults,
		anyResource: slices.Contains(d.bind.resources, wildcard),
	}
	var key strings.Builder
	fmt.Fprintf(&key, "%v %q %q %v", p.limits, p.controls, p.defaults, p.anyResource)
	for i := range d.allow {
		key.WriteByte('\n')
		for _, scope := range d.allow[i].scopes { // no scope has a space
			key.WriteByte(' ')
			key.WriteString(scope)
		}
	}
	made := in.profiles[key.String()]
	if made == nil {
		p.byScope, made = index(d.allow), &p
		in.profiles[key.String()] = made
	}
	return made
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
	for i := range out {
		if i > 0 && slices.Equal(out[i].rules, out[i-1].rules) {
			out[i].rules = out[i-1].rules
		} else {
			out[i].rules = slices.Clone(out[i].rules)
		}
	}
	return slices.Clone(out)
}

// rulesFor returns the allow rules that name a scope.
func (p *profile) rulesFor(scope string) []int {
	if at, found := slices.BinarySearchFunc(p.byScope, scope, compareScope); found {
		return p.byScope[at].rules
	}
	return nil
}

func compareScope(s scopeRules, scope string) int { return strings.Compare(s.scope, scope) }
