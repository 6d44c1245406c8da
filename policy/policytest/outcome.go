package policytest

import (
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// outcome is a verdict as the Governor would narrow it, in the terms of an expectation.
type outcome struct {
	effect      tokenboundary.Effect
	code        string
	path        string
	rule        string // of a denial, the deny rule
	controls    []string
	resources   []string
	granted     map[string][]string // by resource
	dropped     []string
	lifetime    time.Duration
	recheck     time.Duration
	depth       int
	derivations uint64
	obligations []lineage.Obligation
	reasons     []lineage.Reason
}

const (
	outside   = "outside what it is made from"
	noRefresh = "no rule lets it be refreshed"
	unequal   = "the resources do not grant the same scopes"
	notAlone  = "implied, but not granted at every resource"
	tooLong   = "the chain is longer than the policy allows"
)

// outcomeOf narrows a verdict: by the ceiling, by what can be refreshed, and to one set of scopes for all resources.
func outcomeOf(f tokenboundary.Facts, v tokenboundary.Verdict) outcome {
	o := outcome{
		effect: v.Effect, code: string(v.Code), path: v.Path, controls: slices.Sorted(slices.Values(v.Controls)), resources: v.Resources,
		granted: map[string][]string{}, reasons: slices.Clone(v.Reasons),
		lifetime: lifetime(f, v), recheck: v.Recheck, depth: v.Depth, derivations: v.Derivations, obligations: v.Obligations,
	}
	if c := f.Ceiling; c != nil {
		if slices.ContainsFunc(slices.Concat(f.Resources, v.Resources), func(r string) bool { return len(c.Scopes(r)) == 0 }) {
			return o.deny(tokenboundary.CodeInvalidTarget, outside)
		}
	}
	if v.Effect != tokenboundary.Allow {
		if len(v.Reasons) > 0 && v.Reasons[0].Scope == "" {
			o.rule = v.Reasons[0].Rule
		}
		o.drop()
		return o
	}
	if f.Grant == tokenboundary.Refresh {
		for i, r := range o.reasons {
			if r.Granted && !r.Refresh {
				o.reasons[i] = lineage.Reason{Resource: r.Resource, Scope: r.Scope, Why: noRefresh}
			}
		}
	}
	o.alone(v)
	o.drop()
	first := []string(nil)
	for i, r := range v.Resources {
		if i == 0 {
			first = o.granted[r]
		} else if !slices.Equal(first, o.granted[r]) {
			return o.deny(tokenboundary.CodeInvalidTarget, unequal)
		}
	}
	if len(first) == 0 {
		return o.deny(tokenboundary.CodeInvalidScope, "")
	}
	if len(f.Chain) > v.Depth {
		if f.Grant == tokenboundary.Refresh {
			return o.deny(tokenboundary.CodeInvalidGrant, tooLong)
		}
		return o.deny(tokenboundary.CodeInvalidRequest, tooLong)
	}
	return o
}

// alone leaves out what was not asked for and is implied at one resource only: it does not keep the rest from being granted.
func (o *outcome) alone(v tokenboundary.Verdict) {
	for i, x := range o.reasons {
		grantedAt := func(r string) bool {
			return slices.ContainsFunc(o.reasons, func(y lineage.Reason) bool { return y.Resource == r && y.Scope == x.Scope && y.Granted })
		}
		implied := slices.Contains(lineage.Authority{Access: v.Implied}.Scopes(x.Resource), x.Scope)
		if x.Granted && implied && slices.ContainsFunc(v.Resources, func(r string) bool { return !grantedAt(r) }) {
			o.reasons[i] = lineage.Reason{Resource: x.Resource, Scope: x.Scope, Rule: x.Rule, Why: notAlone}
		}
	}
}

// lifetime is how long a token may live: by the verdict, by what was asked for, and by what stands above it.
func lifetime(f tokenboundary.Facts, v tokenboundary.Verdict) time.Duration {
	d := v.Lifetime
	if f.Lifetime > 0 {
		d = min(d, f.Lifetime)
	}
	if f.Task != nil {
		d = min(d, f.Task.Deadline.Sub(f.Now))
	}
	if f.Parent != nil {
		d = min(d, f.Parent.Expires.Sub(f.Now))
	}
	return d
}

// drop sorts the scopes by what the reasons say of them, and keeps of the obligations what still holds something back.
func (o *outcome) drop() {
	o.granted, o.dropped = map[string][]string{}, nil
	for _, r := range o.reasons {
		switch {
		case r.Granted:
			o.granted[r.Resource] = append(o.granted[r.Resource], r.Scope)
		case r.Scope != "" && !slices.Contains(o.dropped, r.Scope):
			o.dropped = append(o.dropped, r.Scope)
		}
	}
	for _, list := range o.granted {
		slices.Sort(list)
	}
	slices.Sort(o.dropped)
	left := o.scopes()
	obligations := o.obligations
	o.obligations = nil
	for _, x := range obligations {
		x.Scopes = slices.DeleteFunc(slices.Clone(x.Scopes), func(s string) bool { return !slices.Contains(left, s) })
		if len(x.Scopes) > 0 {
			o.obligations = append(o.obligations, x)
		}
	}
}

// deny returns the denial that becomes of o. The reason, where there is one, is the boundary's.
func (o outcome) deny(code tokenboundary.Code, why string) outcome {
	out := outcome{effect: tokenboundary.Deny, code: string(code), path: o.path, controls: o.controls, resources: o.resources}
	out.reasons = o.reasons
	if why != "" {
		out.reasons = []lineage.Reason{{Why: why}}
	}
	for _, r := range o.reasons {
		if r.Scope != "" && !slices.Contains(out.dropped, r.Scope) {
			out.dropped = append(out.dropped, r.Scope)
		}
	}
	slices.Sort(out.dropped)
	return out
}

// of returns what the reasons say of a scope, at each resource.
func (o outcome) of(scope string) []lineage.Reason {
	return slices.DeleteFunc(slices.Clone(o.reasons), func(r lineage.Reason) bool { return r.Scope != scope })
}

// scopes returns all granted scopes.
func (o outcome) scopes() []string {
	var out []string
	for _, list := range o.granted {
		out = append(out, list...)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// refreshable returns the scopes that can be had again, at every resource.
func (o outcome) refreshable() []string {
	return slices.DeleteFunc(o.scopes(), func(s string) bool {
		return slices.ContainsFunc(o.of(s), func(r lineage.Reason) bool { return !r.Refresh })
	})
}

// delegates returns the clients that may derive the scope at every resource.
func (o outcome) delegates(scope string) []string {
	reasons := o.of(scope)
	if len(reasons) == 0 {
		return nil
	}
	out := slices.Clone(reasons[0].Delegates)
	for _, r := range reasons {
		out = slices.DeleteFunc(out, func(d string) bool { return !slices.Contains(r.Delegates, d) })
	}
	return out
}

// why says in a line what decided about a scope, or about the whole request.
func why(r lineage.Reason) string {
	out := r.Why
	switch {
	case r.Granted:
		out = "granted by " + r.Rule
		if r.Why != "" {
			out += ", " + r.Why
		}
	case r.Rule != "":
		out = r.Rule + ": " + r.Why
	}
	if r.Scope == "" {
		return out
	}
	return r.Scope + " at " + r.Resource + ": " + out
}
