package tokenboundary

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// ruling is a verdict after narrowing, or several of them taken together.
type ruling struct {
	paths       []string
	version     string
	access      []lineage.Access
	implied     []lineage.Access // the policy's, beyond what was asked for
	details     []json.RawMessage
	lifetime    time.Duration
	depth       int
	derivations uint64
	recheck     time.Duration // zero: none
	reasons     []lineage.Reason
	said        []lineage.Reason     // by the policy, before anything was held back
	unmet       []lineage.Obligation // what held something back
	controls    []string
	shadow      *lineage.Shadow // what a policy on trial would have decided otherwise
}

func rulingOf(v Verdict) ruling {
	r := ruling{
		version: v.Version, implied: v.Implied, lifetime: v.Lifetime, depth: v.Depth, derivations: v.Derivations,
		recheck: v.Recheck, reasons: v.Reasons, said: v.Reasons, controls: v.Controls, shadow: v.Shadow,
	}
	if v.Path != "" {
		r.paths = []string{v.Path}
	}
	return r
}

// path returns the first policy path.
func (r ruling) path() string {
	if len(r.paths) == 0 {
		return ""
	}
	return r.paths[0]
}

// asked returns what is granted of the scopes that were asked for, in a ruling for one set of scopes. What these imply goes
// without saying: it neither narrows the answer nor widens it.
func (r ruling) asked() []string {
	first := r.access[0]
	implied := lineage.Authority{Access: r.implied}.Scopes(first.Resource)
	return slices.DeleteFunc(slices.Clone(first.Scopes), func(s string) bool { return slices.Contains(implied, s) })
}

// and joins two rulings of one request: what each grants, under the limits of both.
func (r ruling) and(o ruling) ruling {
	if len(r.paths) == 0 {
		return o
	}
	r.paths = sortedUnion(r.paths, o.paths)
	r.access, r.implied = slices.Concat(r.access, o.access), slices.Concat(r.implied, o.implied)
	r.details = slices.Concat(r.details, o.details)
	r.lifetime, r.depth, r.derivations = min(r.lifetime, o.lifetime), min(r.depth, o.depth), min(r.derivations, o.derivations)
	r.recheck = sooner(r.recheck, o.recheck)
	r.reasons, r.said = slices.Concat(r.reasons, o.reasons), slices.Concat(r.said, o.said)
	r.unmet = joinObligations(r.unmet, o.unmet)
	r.controls = sortedUnion(r.controls, o.controls)
	r.shadow = joinShadows(r.shadow, o.shadow)
	return r
}

// joinShadows joins what a policy on trial would have decided otherwise of two questions of one request.
func joinShadows(a, b *lineage.Shadow) *lineage.Shadow {
	if a == nil || b == nil {
		return cmp.Or(a, b)
	}
	out := *a
	out.Lost, out.Gained = slices.Concat(a.Lost, b.Lost), slices.Concat(a.Gained, b.Gained)
	out.Lifetime = sooner(a.Lifetime, b.Lifetime)
	return &out
}

// sooner returns the shorter of two intervals, of which zero is none.
func sooner(a, b time.Duration) time.Duration {
	if a <= 0 || b > 0 && b < a {
		return b
	}
	return a
}

func sortedUnion(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}

// narrow takes the meet of what the policy grants with what was asked for and what stands above, and drops what an
// obligation holds back. It leaves the result in r and refuses where nothing remains.
func (r *ruling) narrow(h *hop, v Verdict, scopes []string, ceiling *lineage.Authority) error {
	allowed := lineage.Authority{Access: v.Access}
	if ceiling != nil {
		allowed = allowed.Meet(*ceiling)
	} else {
		allowed = allowed.Normal()
	}
	held := heldBack{}
	if h.req.Grant == Refresh {
		held.unless(allowed.Access, refreshable(allowed.Access, v.Reasons), "no rule lets it be refreshed")
	}
	if h.lease != nil && h.lease.Deliver {
		held.unless(allowed.Access, deliverable(allowed.Access, v.Reasons), "no rule lets it be delivered")
	}
	if err := h.oblige(r, v.Obligations, allowed.Access, held); err != nil {
		return err
	}
	held.alone(v.Implied, allowed, v.Resources)
	for _, a := range allowed.Access {
		a.Scopes = slices.DeleteFunc(a.Scopes, func(s string) bool { return held[[2]string{a.Resource, s}] != "" })
		if len(a.Scopes) > 0 {
			r.access = append(r.access, a)
		}
	}
	r.explain(v.Resources, scopes, held)
	if len(r.access) == 0 {
		return refuse(CodeInvalidScope, "scope", whyNothingLeft)
	}
	// One token has one set of scopes: a scope must have its meaning at every audience (RFC 9068, section 3).
	for _, a := range r.access {
		if len(r.access) != len(v.Resources) || !slices.Equal(a.Scopes, r.access[0].Scopes) {
			return refuse(CodeInvalidTarget, "resource", whyNotTheSame)
		}
	}
	var err error
	if r.details, err = h.grantDetails(v, ceiling); err != nil {
		return err
	}
	return h.enforceable(*r, scopes)
}

// heldBack says why a scope at a resource is not granted although the policy grants it.
type heldBack map[[2]string]string

// unless notes what of all is not in kept.
func (b heldBack) unless(all, kept []lineage.Access, why string) {
	for _, a := range all {
		for _, s := range a.Scopes {
			if !slices.Contains((lineage.Authority{Access: kept}).Scopes(a.Resource), s) {
				b[[2]string{a.Resource, s}] = why
			}
		}
	}
}

// alone notes what is implied at one resource and not granted at every other, which would keep all of them from having
// the same scopes.
func (b heldBack) alone(implied []lineage.Access, allowed lineage.Authority, resources []string) {
	for _, a := range implied {
		for _, s := range a.Scopes {
			if slices.ContainsFunc(resources, func(r string) bool { return !slices.Contains(allowed.Scopes(r), s) || b[[2]string{r, s}] != "" }) {
				at := [2]string{a.Resource, s}
				b[at] = cmp.Or(b[at], "implied, but not granted at every resource")
			}
		}
	}
}

// explain makes the reasons say what became of every scope: a granted reason only for what is granted, and one reason
// for each that was asked for.
func (r *ruling) explain(resources, scopes []string, held heldBack) {
	granted := lineage.Authority{Access: r.access}
	r.reasons = slices.Clone(r.reasons)
	known := map[[2]string]bool{}
	for i, x := range r.reasons {
		known[[2]string{x.Resource, x.Scope}] = true
		if x.Granted && !slices.Contains(granted.Scopes(x.Resource), x.Scope) {
			x.Granted, x.Why, x.Delegates, x.Refresh, x.Deliver = false, cmp.Or(held[[2]string{x.Resource, x.Scope}], whyNotHeld), nil, false, false
			r.reasons[i] = x
		}
	}
	for _, res := range resources {
		for _, s := range sortedUnion(scopes, granted.Scopes(res)) {
			if !known[[2]string{res, s}] {
				ok := slices.Contains(granted.Scopes(res), s)
				why := ""
				if !ok {
					why = "no rule grants it"
				}
				r.reasons = append(r.reasons, lineage.Reason{Resource: res, Scope: s, Granted: ok, Why: why})
			}
		}
	}
}

// enforceable refuses an answer that the host could not act on: a narrowing it cannot enforce must not look like an
// allow.
func (h *hop) enforceable(r ruling, scopes []string) error {
	if h.mints {
		return nil
	}
	caps := h.req.Enforce
	switch {
	case caps&CapScopes == 0 && !slices.Equal(scopes, r.asked()):
		return refuse(CodeInvalidScope, "scope", "the host cannot narrow scopes; allowed: "+strings.Join(r.access[0].Scopes, " "))
	case caps&CapScopes == 0 && !h.wholeDetails(r):
		return refuse(CodeInvalidDetails, "authorization_details", "the host cannot narrow authorization_details")
	case caps&CapResources == 0 && !slices.Equal(h.req.Resource, lineage.Authority{Access: r.access}.Resources()):
		return refuse(CodeInvalidTarget, "resource", "the host cannot set the audience")
	case caps&CapLifetime == 0 && (h.req.Lifetime <= 0 || h.req.Lifetime > h.lifetime(r)):
		return refuse(CodeInvalidRequest, "", "the host cannot set the lifetime")
	}
	return nil
}

// wholeDetails reports whether every requested entry is granted.
func (h *hop) wholeDetails(r ruling) bool {
	var asked []json.RawMessage
	return len(h.req.Details) == 0 || json.Unmarshal(h.req.Details, &asked) == nil && len(asked) == len(r.details)
}
