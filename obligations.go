package tokenboundary

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// The kinds of obligation that the boundary knows. One of any other kind is never met.
const (
	obligeApproval = "approval"
	obligeStepUp   = "step_up"
)

// oblige looks at what has to happen before what the policy grants may be released. What is not met holds its scopes
// back; where the client accepts to wait and waiting can help, the whole request waits instead.
func (h *hop) oblige(r *ruling, all []lineage.Obligation, allowed []lineage.Access, held heldBack) error {
	for _, o := range all {
		bound := withScopes(allowed, o.Scopes)
		if len(bound) == 0 {
			continue
		}
		if h.meets(o) {
			h.once(r, o)
			continue
		}
		switch {
		case h.req.Grant == Deferred && h.deferred.waitsFor(o):
			return h.stillWaiting()
		case h.req.Deferrable && h.req.Grant != Refresh && h.mayWaitFor(o):
			h.wants = joinObligations(h.wants, []lineage.Obligation{o})
			continue
		}
		r.unmet = joinObligations(r.unmet, []lineage.Obligation{o})
		held.unless(bound, nil, whyUnmet+o.Kind)
	}
	return nil
}

// withScopes returns the part of access that has one of the scopes.
func withScopes(access []lineage.Access, scopes []string) []lineage.Access {
	var out []lineage.Access
	for _, a := range access {
		in := slices.DeleteFunc(slices.Clone(a.Scopes), func(s string) bool { return !slices.Contains(scopes, s) })
		if len(in) > 0 {
			out = append(out, lineage.Access{Resource: a.Resource, Scopes: in})
		}
	}
	return out
}

// once keeps what somebody agreed to from being granted again by a refresh: an approval is for one token or, where a task
// was agreed to, for that task until its deadline.
func (h *hop) once(r *ruling, o lineage.Obligation) {
	if o.Kind != obligeApproval || h.ofTask() {
		return
	}
	r.reasons = slices.Clone(r.reasons)
	for i, x := range r.reasons {
		if slices.Contains(o.Scopes, x.Scope) {
			r.reasons[i].Refresh = false
		}
	}
}

// ofTask reports whether the decision is about a task, or about a token that stands for one.
func (h *hop) ofTask() bool {
	t := h.inheritedTask()
	return h.req.Task != nil || t != nil && t.Authority != nil
}

// meets reports whether an obligation is met: somebody of the group has agreed to what is asked for, or the session is
// authenticated as it must be.
func (h *hop) meets(o lineage.Obligation) bool {
	switch o.Kind {
	case obligeApproval:
		agreed := h.approved != nil && o.Args["by"] != "" && slices.Contains(h.approved.Groups, o.Args["by"])
		return agreed && (h.req.Grant != Refresh || h.ofTask())
	case obligeStepUp:
		return steppedUp(h.facts.current(h.session), o.Args, h.now, h.g.cfg.Lifetimes.ClockLeeway)
	}
	return false
}

// mayWaitFor reports whether waiting can help: a human can step up, and somebody can agree.
func (h *hop) mayWaitFor(o lineage.Obligation) bool {
	switch o.Kind {
	case obligeApproval:
		return o.Args["by"] != ""
	case obligeStepUp:
		return h.session.Kind == "human" && h.session.ID != ""
	}
	return false
}

// steppedUp reports whether the session is authenticated as the obligation says: by its acr, and not longer ago than its
// max_age, in seconds. Only a human can be, and nobody in times to come.
func steppedUp(s lineage.Session, args map[string]string, now time.Time, leeway time.Duration) bool {
	acr, age := args["acr"], args["max_age"]
	if s.Kind != "human" || acr == "" && age == "" || acr != "" && s.ACR != acr {
		return false
	}
	if age == "" {
		return true
	}
	seconds, err := strconv.ParseUint(age, 10, 31)
	since := now.Sub(s.AuthTime)
	return err == nil && !s.AuthTime.IsZero() && since >= -leeway && since <= time.Duration(seconds)*time.Second
}

// joinable reports whether two obligations ask for the same.
func joinable(a, b lineage.Obligation) bool { return a.Kind == b.Kind && maps.Equal(a.Args, b.Args) }

// joinObligations returns the obligations of both lists. Equal ones are one, for the scopes of both.
func joinObligations(a, b []lineage.Obligation) []lineage.Obligation {
	out := slices.Clone(a)
	for _, o := range b {
		i := slices.IndexFunc(out, func(x lineage.Obligation) bool { return joinable(x, o) })
		if i < 0 {
			out = append(out, o)
			continue
		}
		out[i].Scopes = sortedUnion(out[i].Scopes, o.Scopes)
	}
	return out
}
