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
	v, facts := &e.verdict, e.slots.facts
	scopes := slices.Clone(e.slots.scopes)
	slices.Sort(scopes)
	scopes = slices.Compact(scopes)
	e.results = make([]result, len(v.Resources)*len(e.leaf.allows))
	for i, resource := range v.Resources {
		var held, granted []string
		if facts.Ceiling != nil {
			held = facts.Ceiling.Scopes(resource)
		}
		for _, scope := range scopes {
			if facts.Ceiling != nil && !slices.Contains(held, scope) {
				v.Reasons = append(v.Reasons, lineage.Reason{Resource: resource, Scope: scope, Why: notHeld})
				continue
			}
			ok, err := e.grantScope(i, scope)
			if err != nil {
				return err
			}
			if ok {
				granted = append(granted, scope)
			}
		}
		if len(granted) > 0 {
			v.Access = append(v.Access, lineage.Access{Resource: resource, Scopes: granted})
		}
	}
	if len(v.Access) == 0 {
		*v = denied(*v, tokenboundary.CodeInvalidScope, v.Reasons...)
		return nil
	}
	v.Effect = tokenboundary.Allow
	return nil
}

// grantScope asks the rules that name the scope. A rule without obligations goes before one with; of those with, the
// first of the file counts and no other: what the others say is not in force.
func (e *evaluation) grantScope(resource int, scope string) (bool, error) {
	var free []*rule
	var bound *rule
	var dropped []string
	target := e.verdict.Resources[resource]
	for _, i := range e.leaf.rulesFor(scope) {
		r := &e.leaf.allows[i]
		if r.resources != nil && !slices.Contains(r.resources, target) {
			continue
		}
		res, err := e.outcome(i, resource)
		switch {
		case err != nil:
			return false, err
		case res.outcome != holds:
			dropped = append(dropped, failure(r, res))
		case len(r.obligations) == 0:
			free = append(free, r)
		case bound == nil:
			bound = r
		}
	}
	if len(free) == 0 && bound != nil {
		free = append(free, bound)
		e.oblige(bound, scope)
	}
	if len(free) == 0 {
		why := lineage.Reason{Resource: target, Scope: scope, Why: summary(dropped)}
		e.verdict.Reasons = append(e.verdict.Reasons, why)
		return false, nil
	}
	e.accept(free, target, scope)
	return true, nil
}

// accept records that the rules grant the scope.
func (e *evaluation) accept(rules []*rule, resource, scope string) {
	why := lineage.Reason{Resource: resource, Scope: scope, Granted: true, Rule: rules[0].id}
	for _, r := range rules {
		e.verdict.Lifetime = min(e.verdict.Lifetime, r.limits.lifetime)
		e.verdict.Recheck = sooner(e.verdict.Recheck, r.limits.recheck)
		why.Refresh = why.Refresh || r.refresh
		why.Delegates = append(why.Delegates, r.delegates...)
	}
	slices.Sort(why.Delegates)
	why.Delegates = slices.Compact(why.Delegates)
	e.verdict.Reasons = append(e.verdict.Reasons, why)
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

func failure(r *rule, res result) string {
	if res.outcome == failed {
		return fmt.Sprintf("rule %s: failed: %s", r.name, res.why)
	}
	return fmt.Sprintf("rule %s: condition false", r.name)
}

// summary says why no rule granted a scope, in a few words.
func summary(dropped []string) string {
	const most = 3
	switch n := len(dropped); {
	case n == 0:
		return "no rule grants it"
	case n > most:
		return fmt.Sprintf("%s; and %d more", strings.Join(dropped[:most], "; "), n-most)
	}
	return strings.Join(dropped, "; ")
}
