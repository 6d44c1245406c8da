package lineage

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// reader reads the canonical encoding in one pass. It knows one spelling of each value, the one that normalise and
// encode leave, and takes the members of each type in their order. Anything else makes it fail; what it has read is then
// worth nothing. It does not say what is wrong.
type reader struct{ *source }

// source is what a reader reads from.
type source struct {
	canon.Reader
	texts []string // what the lists of texts are parts of
}

var sources = sync.Pool{New: func() any { return new(source) }}

// read reports whether raw is what encode writes for a normal value, which it then leaves in p.
func read(raw []byte, p part) bool {
	r := reader{sources.Get().(*source)}
	defer sources.Put(r.source)
	r.Reset(string(raw))
	p.read(r)
	done := r.Done()
	r.Reset("")
	r.texts = nil
	return done
}

func (e *Envelope) read(r reader) {
	r.Want("{")
	e.Version = required(r, "v", reader.integer)
	e.Kind = Kind(required(r, "kind", reader.Written))
	e.Issuer = required(r, "iss", reader.Written)
	e.Parents = optionalList(r, "parents", reader.id)
	e.Ancestors = optionalList(r, "ancestors", reader.id)
	e.Grant = optional(r, "grant", reader.id)
	e.IssuedAt = required(r, "iat", reader.moment)
	e.ExpiresAt = optional(r, "exp", reader.moment)
	e.Since = required(r, "since", reader.moment)
	e.Policy = optional(r, "policy", reader.Written)
	e.Digest = required(r, "body", reader.id)
	r.Want("}")
}

func (b *Body) read(r reader) {
	r.Want("{")
	b.Salt = required(r, "salt", reader.binary)
	b.Client = required(r, "client", reader.Written)
	b.ClientKind = optional(r, "client_kind", reader.Written)
	b.ClientGroups = r.optionalTexts("client_groups")
	b.Subject = optional(r, "subject", reader.party)
	b.Actors = optionalList(r, "actors", reader.party)
	b.Session = required(r, "session", reader.session)
	b.GrantType = required(r, "grant_type", reader.Written)
	b.Connection = optional(r, "connection", reader.Written)
	b.Paths = r.optionalTexts("paths")
	b.Task = pointer(r, "task", reader.task)
	b.Requested = required(r, "requested", reader.requested)
	b.Granted = required(r, "granted", reader.authority)
	b.Audience = r.optionalTexts("aud")
	b.Reasons = optionalList(r, "reasons", reader.reason)
	b.Controls = r.optionalTexts("controls")
	b.ActorToken = optional(r, "actor_token", reader.id)
	b.Key = optional(r, "kid", reader.Written)
	b.Bound = optional(r, "jkt", reader.Written)
	b.Recheck = optional(r, "recheck_ns", reader.duration)
	b.Deferred = pointer(r, "deferred", reader.deferred)
	b.Approved = pointer(r, "approved", reader.approved)
	b.Lease = pointer(r, "lease", reader.lease)
	b.Code = optional(r, "code", reader.Written)
	b.Facts = optionalTable(r, "facts", reader.natural)
	b.Selectors = r.selectors()
	b.Shadow = pointer(r, "shadow", reader.shadow)
	b.Unconfirmed = r.isTrue("unconfirmed")
	r.Want("}")
}

// hold fails unless ok.
func (r reader) hold(ok bool) {
	if !ok {
		r.Fail(errRecord)
	}
}

// required reads a member that is always written.
func required[T any](r reader, name string, value func(reader) T) T {
	r.hold(r.Name(name))
	return value(r)
}

// optional reads a member that is left out where it is zero.
func optional[T comparable](r reader, name string, value func(reader) T) (out T) {
	if r.Name(name) {
		var zero T
		out = value(r)
		r.hold(out != zero)
	}
	return out
}

// pointer reads a member that is left out where there is none.
func pointer[T any](r reader, name string, value func(reader) T) *T {
	if !r.Name(name) {
		return nil
	}
	out := value(r)
	return &out
}

// isTrue reads true; false is left out.
func (r reader) isTrue(name string) bool {
	found := r.Name(name)
	if found {
		r.Want("true")
	}
	return found
}

// optionalList reads a list that is left out where it is empty.
func optionalList[T any](r reader, name string, element func(reader) T) (out []T) {
	if r.Name(name) {
		out = list(r, element)
		r.hold(len(out) > 0)
	}
	return out
}

func list[T any](r reader, element func(reader) T) []T {
	if r.Want("["); r.Take("]") {
		return []T{}
	}
	return elements(r, make([]T, 0, r.Elements()), element)
}

// elements appends what is left of a list to out.
func elements[T any](r reader, out []T, element func(reader) T) []T {
	for r.Err() == nil {
		out = append(out, element(r))
		if r.Take("]") {
			break
		}
		r.Want(",")
	}
	return out
}

// optionalTable reads a map, whose keys are sorted, and which is left out where it is empty.
func optionalTable[V any](r reader, name string, value func(reader) V) map[string]V {
	if !r.Name(name) {
		return nil
	}
	out := map[string]V{}
	last := ""
	for r.Want("{"); r.Err() == nil && !r.Take("}"); {
		if len(out) > 0 {
			r.Want(",")
		}
		key := r.Written()
		r.Want(":")
		r.hold(len(out) == 0 || last < key)
		out[key], last = value(r), key
	}
	r.hold(len(out) > 0)
	return out
}

// normal reports whether a is what Normal makes of it, with details that are objects.
func (a Authority) normal() bool {
	for _, x := range a.Access {
		if len(x.Scopes) == 0 || !ascending(x.Scopes, strings.Compare) {
			return false
		}
	}
	return ascending(a.Access, func(x, y Access) int { return strings.Compare(x.Resource, y.Resource) }) &&
		ascending(a.Details, func(x, y json.RawMessage) int { return slices.Compare(x, y) }) &&
		!slices.ContainsFunc(a.Details, func(d json.RawMessage) bool { return d[0] != '{' }) && a.Depth >= 0
}

// ascending reports whether list is sorted and without repeats.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := range list {
		if i > 0 && compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}
