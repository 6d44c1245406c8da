package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// grant decides each candidate scope at each resource.
func (e *evaluation) grant() error {
	v, ceiling := &e.verdict, e.slots.facts.Ceiling
	scopes := normal(e.slots.scopes)
	e.results = make([]result, len(v.Resources)*len(e.leaf.allows))
	v.Reasons = make([]lineage.Reason, 0, len(v.Resources)*len(scopes))
	for i, resource := range v.Resources {
		known, start := e.leaf.catalog.resource(resource), len(v.Reasons)
		for _, scope := range scopes {
			why := lineage.Reason{Resource: resource, Scope: scope}
			switch {
			case known.lacks(scope):
				why.Why = notOfResource
			case ceiling != nil && !holdsScope(ceiling, resource, scope):
				why.Why = notHeld
			default:
				if err := e.grantScope(i, &why); err != nil {
					return err
				}
			}
			v.Reasons = append(v.Reasons, why)
		}
		if known != nil {
			e.imply(known, start)
		}
		if own := granted(v.Reasons[start:]); len(own) > 0 {
			v.Access = append(v.Access, lineage.Access{Resource: resource, Scopes: own})
		}
	}
	if len(v.Access) == 0 {
		*v = denied(*v, tokenboundary.CodeInvalidScope, v.Reasons...)
		return nil
	}
	v.Effect = tokenboundary.Allow
	return nil
}

// normal returns the names sorted and each once.
func normal(list []string) []string {
	out := slices.Clone(list)
	slices.Sort(out)
	return slices.Compact(out)
}

// granted returns the scopes that reasons of one resource grant.
func granted(reasons []lineage.Reason) []string {
	out := make([]string, 0, len(reasons))
	for _, r := range reasons {
		if r.Granted {
			out = append(out, r.Scope)
		}
	}
	return out
}

// holdsScope reports whether the authority has the scope at the resource.
func holdsScope(a *lineage.Authority, resource, scope string) bool {
	return slices.ContainsFunc(a.Access, func(x lineage.Access) bool {
		return x.Resource == resource && slices.Contains(x.Scopes, scope)
	})
}

// grantScope asks the rules that name the scope. A rule without obligations goes before one with; of those with, the
// first of the file counts and no other: what the others say is not in force.
func (e *evaluation) grantScope(resource int, why *lineage.Reason) error {
	var bound *rule
	for _, i := range e.leaf.rulesFor(why.Scope) {
		r := &e.leaf.allows[i]
		if !r.isFor(why.Resource) {
			continue
		}
		out, err := e.outcome(i, resource)
		switch {
		case err != nil:
			return err
		case out != holds:
		case len(r.obligations) == 0:
			e.accept(r, why)
		case bound == nil:
			bound = r
		}
	}
	if !why.Granted && bound != nil {
		e.accept(bound, why)
		e.oblige(bound, why.Scope)
	}
	if !why.Granted {
		why.Why = e.refusal(resource, why)
	}
	return nil
}

// isFor reports whether an allow rule is for the resource.
func (r *rule) isFor(resource string) bool {
	return r.resources == nil || slices.Contains(r.resources, resource)
}

// accept records that the rule grants the scope.
func (e *evaluation) accept(r *rule, why *lineage.Reason) {
	if !why.Granted {
		why.Granted, why.Rule = true, r.id
	}
	e.verdict.Lifetime = min(e.verdict.Lifetime, r.lifetime)
	e.verdict.Recheck = sooner(e.verdict.Recheck, r.recheck)
	why.Refresh, why.Deliver = why.Refresh || r.refresh, why.Deliver || r.deliver
	if len(r.delegates) > 0 {
		why.Delegates = append(why.Delegates, r.delegates...)
		slices.Sort(why.Delegates)
		why.Delegates = slices.Compact(why.Delegates)
	}
}

// oblige adds the rule's obligations for the scope. Equal obligations are one.
func (e *evaluation) oblige(r *rule, scope string) {
	for _, o := range r.obligations {
		list := e.verdict.Obligations
		at := slices.IndexFunc(list, func(x lineage.Obligation) bool {
			return x.Kind == o.kind && maps.Equal(x.Args, o.args)
		})
		if at < 0 {
			list = append(list, lineage.Obligation{Kind: o.kind, Args: maps.Clone(o.args)})
			at = len(list) - 1
		}
		if !slices.Contains(list[at].Scopes, scope) {
			list[at].Scopes = append(list[at].Scopes, scope)
			slices.Sort(list[at].Scopes)
		}
		e.verdict.Obligations = list
	}
}

// refusal says in a few words why no rule grants the scope.
func (e *evaluation) refusal(resource int, why *lineage.Reason) string {
	const most = 3
	var b strings.Builder
	n := 0
	for _, i := range e.leaf.rulesFor(why.Scope) {
		r := &e.leaf.allows[i]
		if !r.isFor(why.Resource) {
			continue
		}
		if n++; n > most {
			continue
		}
		if n > 1 {
			b.WriteString("; ")
		}
		b.WriteString("rule ")
		b.WriteString(r.id[strings.IndexByte(r.id, '#')+1:])
		if res := e.result(i, resource); res.outcome == failed {
			b.WriteString(": failed: ")
			b.WriteString(res.why)
		} else {
			b.WriteString(": condition false")
		}
	}
	switch {
	case n == 0:
		return "no rule grants it"
	case n > most:
		fmt.Fprintf(&b, "; and %d more", n-most)
	}
	return b.String()
}
