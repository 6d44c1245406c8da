package lineage

import "cmp"

// Difference compares what two decisions of one request say of its scopes. Lost are the scopes that only the first grants,
// each with the reason that the second one gives; gained those that only the second grants, each with its reason. Where a
// decision says nothing of a scope, what it says of the resource, or of all, is its reason: a rule that denies names no
// scope.
func Difference(first, second []Reason) (lost, gained []Reason) {
	return missing(first, second), added(first, second)
}

// missing returns the scopes that reasons grant and others do not, with the reasons of the others.
func missing(reasons, others []Reason) []Reason {
	var out []Reason
	for _, r := range reasons {
		if !r.Granted || granted(others, r) {
			continue
		}
		why := about(others, r)
		out = append(out, Reason{Resource: r.Resource, Scope: r.Scope, Rule: why.Rule, Why: cmp.Or(why.Why, "not decided")})
	}
	return out
}

// added returns the reasons of the scopes that others grant and reasons do not.
func added(reasons, others []Reason) []Reason {
	var out []Reason
	for _, r := range others {
		if r.Granted && !granted(reasons, r) {
			out = append(out, r)
		}
	}
	return out
}

// granted reports whether the reasons grant the scope of r.
func granted(reasons []Reason, r Reason) bool {
	for _, x := range reasons {
		if x.Granted && x.Resource == r.Resource && x.Scope == r.Scope {
			return true
		}
	}
	return false
}

// about returns the reason that says most of the scope of r.
func about(reasons []Reason, r Reason) Reason {
	best, most := Reason{}, 0
	for _, x := range reasons {
		fit := 1
		switch {
		case x.Granted, x.Scope != "" && x.Scope != r.Scope, x.Resource != "" && x.Resource != r.Resource:
			continue
		case x.Scope != "":
			fit = 3
		case x.Resource != "":
			fit = 2
		}
		if fit > most {
			best, most = x, fit
		}
	}
	return best
}
