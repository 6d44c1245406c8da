package tokenboundary

import (
	"errors"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Narrow returns what a Governor makes of the verdict of a policy on the facts, if every obligation is met: within the
// ceiling, in a refresh only what can be refreshed, the same scopes at every resource, no chain that is longer than allowed,
// and not for longer than was asked for and than the task and the parent last. It is for tests of policies: what a Governor
// bounds by its configuration, and authorization_details, are not looked at. A verdict that denies is returned as it is,
// unless the ceiling holds nothing at a resource. The result shares memory with v. An error wraps ErrUnavailable: the verdict
// grants what the facts do not let it grant, which a Governor takes for a defect of the policy.
func (v Verdict) Narrow(f Facts) (Verdict, error) {
	h := &hop{mints: true, req: Request{Grant: f.Grant}, chain: f.Chain}
	met := v
	met.Obligations, met.Details = nil, nil
	r, err := rulingOf(met), outside(f.Ceiling, f.Resources)
	switch {
	case err == nil && v.Effect != Allow:
		return v, nil
	case err == nil:
		if r, err = h.rule(met, f); err == nil {
			h.ruling = r
			_, err = h.room()
		}
	}
	if no, ok := errors.AsType[*refusal](err); ok {
		return Verdict{
			Code: no.code, Path: v.Path, Version: v.Version, Resources: v.Resources, Controls: v.Controls,
			Reasons: append(refused(r.reasons), lineage.Reason{Why: no.why}),
		}, nil
	} else if err != nil {
		return Verdict{}, err
	}
	granted := lineage.Authority{Access: r.access}
	out := v
	out.Access, out.Reasons, out.Obligations = r.access, r.reasons, nil
	out.Implied = lineage.Authority{Access: v.Implied}.Meet(granted).Access
	out.Lifetime = f.lifetime(v.Lifetime)
	for _, o := range v.Obligations {
		if left := withScopes(r.access, o.Scopes); len(left) > 0 { // the same at every resource
			o.Scopes = left[0].Scopes
			out.Obligations = append(out.Obligations, o)
		}
	}
	return out, nil
}

// lifetime bounds how long a token may live by what was asked for, and by the task and the parent.
func (f Facts) lifetime(d time.Duration) time.Duration {
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
