package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

const (
	notOfResource = "not a scope of this resource"
	impliedBy     = "implied by "
)

// imply adds to the reasons of one resource, which start there, what the scopes that its rules grant imply, as far as the
// ceiling holds it, and brings the verdict under the lifetimes of the catalog. What a rule grants by itself stands. As
// among rules, what is granted without an obligation goes before; of scopes under obligations, the first that implies
// another one counts for it.
func (e *evaluation) imply(known *catalogResource, start int) {
	v := &e.verdict
	asked := len(v.Reasons)
	for _, bound := range [2]bool{false, true} {
		for at := start; at < asked; at++ {
			by := v.Reasons[at]
			r := e.ruleOf(by)
			if r == nil || bound != (len(r.obligations) > 0) {
				continue
			}
			for _, i := range known.scope(by.Scope).implies {
				e.implied(known.scopes[i].name, by, r, start)
			}
		}
	}
	if more := v.Reasons[asked:]; len(more) > 0 {
		v.Implied = append(v.Implied, lineage.Access{Resource: more[0].Resource, Scopes: granted(more)})
	}
	own := v.Reasons[start:]
	for _, why := range own {
		if most := known.lifetime(why); most > 0 {
			v.Lifetime = min(v.Lifetime, most)
		}
	}
	slices.SortFunc(own, func(a, b lineage.Reason) int { return cmp.Compare(a.Scope, b.Scope) })
}

// ruleOf returns the rule that grants a scope by itself; nil where none does.
func (e *evaluation) ruleOf(why lineage.Reason) *rule {
	if !why.Granted || why.Why != "" { // only what is implied has both
		return nil
	}
	for _, i := range e.leaf.rulesFor(why.Scope) {
		if r := &e.leaf.allows[i]; r.id == why.Rule {
			return r
		}
	}
	return nil
}

// implied grants a scope because another one implies it, which the rule grants.
func (e *evaluation) implied(scope string, by lineage.Reason, r *rule, start int) {
	v, ceiling := &e.verdict, e.slots.facts.Ceiling
	if ceiling != nil && !holdsScope(ceiling, by.Resource, scope) {
		return
	}
	at := slices.IndexFunc(v.Reasons[start:], func(x lineage.Reason) bool { return x.Scope == scope })
	if at < 0 {
		at = len(v.Reasons) - start
		v.Reasons = append(v.Reasons, lineage.Reason{Resource: by.Resource, Scope: scope})
	}
	why := &v.Reasons[start+at]
	switch {
	case !why.Granted:
		why.Granted, why.Rule, why.Why = true, by.Rule, impliedBy+by.Scope
		e.oblige(r, scope)
	case why.Why == "" || len(r.obligations) > 0:
		return
	}
	why.Refresh, why.Deliver = why.Refresh || by.Refresh, why.Deliver || by.Deliver
	why.Delegates = normal(slices.Concat(why.Delegates, by.Delegates))
}

// lifetime is how long a token may live that holds the scope, if it is granted; zero: the catalog says nothing.
func (d *catalogResource) lifetime(why lineage.Reason) time.Duration {
	if s := d.scope(why.Scope); why.Granted && s != nil {
		return s.lifetime
	}
	return 0
}
