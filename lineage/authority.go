package lineage

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Authority is what may be done, where, until when, and how far it may be handed on. The zero value grants nothing.
//
// Authorities form a meet-semilattice. [Authority.Meet] is idempotent, commutative and associative, its result is
// covered by both operands, and [Authority.Covers] is a partial order. Every element is compared in normal form; a
// value built by hand is brought there by [Authority.Normal], and all functions here return normal values.
type Authority struct {
	// Access holds a set of scopes per resource. A resource with no scopes is not in it.
	Access []Access `json:"access,omitempty"`
	// Details holds authorization_details entries (RFC 9396), each as canonical JSON bytes. Two entries are equal if
	// their bytes are; what one entry covers beyond itself is for the type's validator to say, not for this algebra.
	Details []json.RawMessage `json:"details,omitempty"`
	// NotAfter bounds everything made from this authority. Zero means that no time is left.
	NotAfter time.Time `json:"not_after,omitzero"`
	// Depth is how many further actors may join the chain. Zero means none.
	Depth int `json:"depth,omitempty"`
}

// Access is the scopes held at one resource.
type Access struct {
	Resource string   `json:"resource"`
	Scopes   []string `json:"scopes"`
}

// Normal returns a in normal form: resources and scopes sorted and without repeats, entries of one resource merged,
// resources without scopes dropped, details sorted, time in UTC milliseconds, depth not negative. It shares nothing
// with a.
func (a Authority) Normal() Authority {
	out := Authority{NotAfter: Time(a.NotAfter), Depth: max(a.Depth, 0)}
	for _, x := range a.Access {
		if len(x.Scopes) == 0 {
			continue
		}
		if i := slices.IndexFunc(out.Access, func(o Access) bool { return o.Resource == x.Resource }); i >= 0 {
			out.Access[i].Scopes = append(out.Access[i].Scopes, x.Scopes...)
		} else {
			out.Access = append(out.Access, Access{x.Resource, slices.Clone(x.Scopes)})
		}
	}
	for i := range out.Access {
		slices.Sort(out.Access[i].Scopes)
		out.Access[i].Scopes = slices.Compact(out.Access[i].Scopes)
	}
	slices.SortFunc(out.Access, func(x, y Access) int { return strings.Compare(x.Resource, y.Resource) })
	for _, d := range a.Details {
		out.Details = append(out.Details, bytes.Clone(d))
	}
	slices.SortFunc(out.Details, func(x, y json.RawMessage) int { return bytes.Compare(x, y) })
	out.Details = slices.CompactFunc(out.Details, func(x, y json.RawMessage) bool { return bytes.Equal(x, y) })
	return out
}

// Meet returns the most that both a and b grant.
func (a Authority) Meet(b Authority) Authority {
	a = a.Normal()
	out := Authority{NotAfter: a.NotAfter, Depth: min(a.Depth, max(b.Depth, 0))}
	if t := Time(b.NotAfter); t.Before(a.NotAfter) {
		out.NotAfter = t
	}
	for _, x := range a.Access {
		other := b.Scopes(x.Resource)
		both := slices.DeleteFunc(x.Scopes, func(s string) bool { return !slices.Contains(other, s) })
		if len(both) > 0 {
			out.Access = append(out.Access, Access{x.Resource, both})
		}
	}
	for _, d := range a.Details {
		if b.hasDetail(d) {
			out.Details = append(out.Details, d)
		}
	}
	return out
}

// Covers reports whether a grants at least all that b grants.
func (a Authority) Covers(b Authority) bool {
	if b.NotAfter.After(a.NotAfter) || max(b.Depth, 0) > max(a.Depth, 0) {
		return false
	}
	for _, x := range b.Access {
		held := a.Scopes(x.Resource)
		for _, s := range x.Scopes {
			if !slices.Contains(held, s) {
				return false
			}
		}
	}
	for _, d := range b.Details {
		if !a.hasDetail(d) {
			return false
		}
	}
	return true
}

// Scopes returns the scopes held at the resource, in normal form; none where the resource is not named. The caller must
// not change them.
func (a Authority) Scopes(resource string) []string {
	var out []string
	for _, x := range a.Access {
		switch {
		case x.Resource != resource:
		case out == nil:
			out = slices.Clip(x.Scopes)
		default:
			out = append(out, x.Scopes...)
		}
	}
	if ascending(out, strings.Compare) {
		return out
	}
	out = slices.Clone(out)
	slices.Sort(out)
	return slices.Compact(out)
}

// Resources returns the resources at which anything is held, in the order of Access.
func (a Authority) Resources() []string {
	out := make([]string, 0, len(a.Access))
	for _, x := range a.Access {
		out = append(out, x.Resource)
	}
	return out
}

// Empty reports whether a grants nothing anywhere: neither a scope nor a detail.
func (a Authority) Empty() bool {
	return len(a.Details) == 0 && !slices.ContainsFunc(a.Access, func(x Access) bool { return len(x.Scopes) > 0 })
}

// String renders the access in one line, for people.
func (a Authority) String() string {
	var parts []string
	for _, x := range a.Access {
		parts = append(parts, x.Resource+" ["+strings.Join(x.Scopes, " ")+"]")
	}
	if len(parts) == 0 {
		return "nothing"
	}
	return strings.Join(parts, ", ")
}

func (a Authority) hasDetail(d json.RawMessage) bool {
	return slices.ContainsFunc(a.Details, func(x json.RawMessage) bool { return bytes.Equal(x, d) })
}

// Time returns t in the precision and zone that records keep: UTC, whole milliseconds.
func Time(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}
