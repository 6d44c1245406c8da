package policytest

import (
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// outcome is a verdict in the terms of an expectation.
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

// outcomeOf reads a verdict that has been narrowed.
func outcomeOf(v tokenboundary.Verdict) outcome {
	o := outcome{
		effect: v.Effect, code: string(v.Code), path: v.Path, controls: slices.Sorted(slices.Values(v.Controls)), resources: v.Resources,
		granted: map[string][]string{}, lifetime: v.Lifetime, recheck: v.Recheck, depth: v.Depth, derivations: v.Derivations,
		obligations: v.Obligations, reasons: v.Reasons,
	}
	if v.Effect != tokenboundary.Allow && len(v.Reasons) > 0 && v.Reasons[0].Scope == "" {
		o.rule = v.Reasons[0].Rule
	}
	for _, a := range v.Access {
		o.granted[a.Resource] = a.Scopes
	}
	for _, r := range v.Reasons {
		if !r.Granted && r.Scope != "" && !slices.Contains(o.dropped, r.Scope) {
			o.dropped = append(o.dropped, r.Scope)
		}
	}
	slices.Sort(o.dropped)
	return o
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

// with returns the granted scopes of which this holds at every resource.
func (o outcome) with(is func(lineage.Reason) bool) []string {
	return slices.DeleteFunc(o.scopes(), func(s string) bool {
		return slices.ContainsFunc(o.of(s), func(r lineage.Reason) bool { return !is(r) })
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
