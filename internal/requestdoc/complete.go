package requestdoc

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// The kinds of party and of session.
const (
	human    = "human"
	agent    = "agent"
	workload = "workload"
)

// somebody is the subject of a request that only says what kind of subject it has.
const somebody = "somebody"

// What the Governor grants where nobody says how long.
const (
	taskLife  = time.Hour
	tokenLife = 5 * time.Minute
)

// complete fills in what the request does not say, and refuses what no request to a Governor can be.
func (q *request) complete(v yamldoc.Value) {
	f := &q.facts
	if q.Bad != nil {
		return
	}
	switch {
	case f.Client.ID == "":
		q.Fail(v, "client is required")
	case f.Connection == "":
		q.Fail(v, "connection is required")
	case f.Grant == "":
		q.Fail(v, "grant is required: %s, %s, %s or %s", tokenboundary.ClientCredentials, tokenboundary.Exchange, tokenboundary.Refresh,
			tokenboundary.Leased)
	}
	f.Client.Kind = cmp.Or(f.Client.Kind, agent)
	f.Risk = cmp.Or(f.Risk, "unknown")
	if f.Now.IsZero() {
		f.Now = Now
	}
	if q.auth.given {
		f.Session.AuthTime = q.auth.from(f.Now, 0)
	}
	if f.Task != nil {
		f.Task.Deadline = q.deadline.from(f.Now, taskLife)
	}
	q.completeParent()
	switch {
	case f.Task != nil && !f.Task.Deadline.After(f.Now):
		q.Fail(v, "task: has ended")
	case f.Parent != nil && !f.Parent.Expires.After(f.Now):
		q.Fail(v, "parent: has expired")
	}
	q.completeParties(v)
	q.completeCeiling(v)
	if f.Grant == tokenboundary.ClientCredentials && (f.Subject.ID != f.Client.ID || len(f.Chain) > 0 || f.Parent != nil) {
		q.Fail(v, "with the grant %s a client acts for itself: no other subject, no actor and no parent", f.Grant)
	}
}

func (q *request) completeParent() {
	f := &q.facts
	p := f.Parent
	if p == nil {
		return
	}
	p.Client = cmp.Or(p.Client, f.Client.ID)
	p.Expires = q.ends.from(f.Now, tokenLife)
	if f.Task != nil && f.Task.ID != "" { // one that has started is the parent's
		p.Purpose = cmp.Or(p.Purpose, f.Task.Purpose)
	}
}

// completeParties fills in who the request is about. A client that is not the subject acts for it.
func (q *request) completeParties(v yamldoc.Value) {
	f := &q.facts
	own := q.known(lineage.Party{ID: f.Client.ID}, agent)
	switch {
	case q.subject:
		f.Subject = q.known(f.Subject, cmp.Or(f.Session.Kind, human))
	case f.Session.Kind != "" && f.Session.Kind != own.Kind && f.Grant != tokenboundary.ClientCredentials:
		f.Subject = lineage.Party{ID: somebody, Kind: f.Session.Kind}
	default:
		f.Subject = own
	}
	f.Session.Kind = cmp.Or(f.Session.Kind, f.Subject.Kind)
	if f.Subject.ID == own.ID && f.Session.Kind != own.Kind {
		q.Fail(v, "session.kind: the session of a client that acts for itself is its own: %s, by client.kind", own.Kind)
	}
	switch {
	case q.chain && q.actor:
		q.Fail(v, "actor: is the first of chain; only one of them can be said")
	case q.chain:
		for i, p := range f.Chain {
			f.Chain[i] = q.known(p, agent)
		}
	case q.actor:
		f.Chain = []lineage.Party{q.known(f.Actor, agent)}
	case f.Subject.ID != own.ID:
		f.Chain = []lineage.Party{own}
		if p := f.Parent; p != nil && p.Client != own.ID && p.Client != f.Subject.ID {
			f.Chain = append(f.Chain, lineage.Party{ID: p.Client, Kind: agent})
		}
	}
	f.Chain = slices.DeleteFunc(f.Chain, func(p lineage.Party) bool { return q.actor && p.ID == f.Subject.ID })
	f.Actor = f.Subject
	if len(f.Chain) > 0 {
		f.Actor = f.Chain[0]
	}
}

// known completes a party: the client is of its registered kind, whoever else is of the other one.
func (q *request) known(p lineage.Party, otherwise string) lineage.Party {
	if p.ID == q.facts.Client.ID {
		if otherwise = workload; q.facts.Client.Kind == agent {
			otherwise = agent
		}
	}
	p.Kind = cmp.Or(p.Kind, otherwise)
	return p
}

// completeCeiling makes the ceiling and what the parent holds say the same.
func (q *request) completeCeiling(v yamldoc.Value) {
	f := &q.facts
	p := f.Parent
	switch {
	case p == nil:
	case f.Ceiling == nil && len(p.Scopes) > 0:
		if len(f.Resources) == 0 {
			q.Fail(v, "resource is required beside parent.scopes")
		}
		f.Ceiling = &lineage.Authority{}
		for _, r := range f.Resources {
			f.Ceiling.Access = append(f.Ceiling.Access, lineage.Access{Resource: r, Scopes: slices.Clone(p.Scopes)})
		}
	case f.Ceiling != nil && len(p.Scopes) == 0:
		for _, a := range f.Ceiling.Access {
			p.Scopes = append(p.Scopes, a.Scopes...)
		}
		slices.Sort(p.Scopes)
		p.Scopes = slices.Compact(p.Scopes)
	}
	if f.Ceiling != nil {
		*f.Ceiling = f.Ceiling.Normal()
	}
}
