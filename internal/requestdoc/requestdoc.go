// Package requestdoc reads the context of one decision from a document: what a person writes to ask a policy what it
// would do. What is left out is what a Governor would have found.
package requestdoc

import (
	"encoding/json"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Now is the time of a request that does not say: noon of a Monday, so that a decision does not change from one day to
// the next.
var Now = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

// Limits bound a document.
var Limits = yamldoc.Limits{Bytes: 256 << 10, Depth: canon.MaxNesting + 4, Nodes: 20_000}

// Parse reads a document that is one request.
func Parse(data []byte) (tokenboundary.Facts, *yamldoc.Problem) {
	node, bad := yamldoc.Parse(data, Limits)
	if bad != nil {
		return tokenboundary.Facts{}, bad
	}
	return Read(yamldoc.Value{Node: node})
}

// Read returns the request that a value describes.
func Read(v yamldoc.Value) (tokenboundary.Facts, *yamldoc.Problem) {
	q := request{}
	q.Object(v, q.fields())
	q.complete(v)
	if q.Bad != nil {
		return tokenboundary.Facts{}, q.Bad
	}
	return q.facts, nil
}

// request is one request while it is read: what it says, and what the rest has to be completed from.
type request struct {
	yamldoc.Reader
	facts tokenboundary.Facts

	subject, actor, chain bool // was given
	deadline, auth, ends  moment
}

// moment is an instant that was given as such or as a distance from the request's time.
type moment struct {
	at    time.Time
	after time.Duration
	given bool
}

// from returns the instant, which lies at the distance after now where nothing was given.
func (m moment) from(now time.Time, otherwise time.Duration) time.Time {
	switch {
	case !m.at.IsZero():
		return m.at
	case m.given:
		return now.Add(m.after)
	}
	return now.Add(otherwise)
}

// into stores what read returns.
func into[T any](to *T, read func(yamldoc.Value) T) func(yamldoc.Value) {
	return func(v yamldoc.Value) { *to = read(v) }
}

func (q *request) fields() yamldoc.Fields {
	f := &q.facts
	return yamldoc.Fields{
		"client": q.client, "connection": into(&f.Connection, q.Name), "risk": into(&f.Risk, q.risk), "grant": q.grant,
		"resource": into(&f.Resources, q.resources), "scopes": into(&f.Scopes, q.scopes),
		"lifetime": into(&f.Lifetime, func(v yamldoc.Value) time.Duration { return q.Duration(v, true) }),
		"now":      into(&f.Now, q.instant), "details": q.details, "ceiling": q.ceiling,
		"subject": func(v yamldoc.Value) { f.Subject, q.subject = q.party(v), true },
		"actor":   func(v yamldoc.Value) { f.Actor, q.actor = q.party(v), true },
		"chain": func(v yamldoc.Value) {
			q.chain = true
			q.List(v, canon.MaxChain, func(e yamldoc.Value) { f.Chain = append(f.Chain, q.party(e)) })
		},
		"task": q.task, "parent": q.parent, "session": q.session,
		"env": into(&f.Env, q.data),
		"attributes": func(v yamldoc.Value) {
			a := &f.Attributes
			q.Object(v, yamldoc.Fields{
				"subject": into(&a.Subject, q.data), "actor": into(&a.Actor, q.data),
				"client": into(&a.Client, q.data), "session": into(&a.Session, q.data),
			}.Optional())
		},
	}.Optional()
}

// instant reads a time as precisely as records hold it.
func (q *request) instant(v yamldoc.Value) time.Time { return lineage.Time(q.Instant(v)) }

// data reads facts by name. A null is a fact that is not set, as in a signal.
func (q *request) data(v yamldoc.Value) map[string]any {
	if !v.Mapping() {
		q.Fail(v, "must be a mapping")
		return nil
	}
	var out map[string]any
	if raw := q.JSON(v, canon.MaxDetails); raw != nil && json.Unmarshal(raw, &out) != nil {
		q.Fail(v, "is no JSON")
	}
	for name, value := range out {
		if value == nil {
			delete(out, name)
		}
	}
	return out
}
