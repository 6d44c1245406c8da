package requestdoc

import (
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const maxGroups = 256

func (q *request) grant(v yamldoc.Value) {
	q.facts.Grant = tokenboundary.Grant(q.Choice(v,
		string(tokenboundary.ClientCredentials), string(tokenboundary.Exchange), string(tokenboundary.Refresh), string(tokenboundary.Leased)))
}

func (q *request) risk(v yamldoc.Value) string {
	return q.Choice(v, "unknown", "low", "medium", "high")
}

// client reads a client, or its id.
func (q *request) client(v yamldoc.Value) {
	c := &q.facts.Client
	if !v.Mapping() {
		c.ID = q.Name(v)
		return
	}
	q.Object(v, yamldoc.Fields{
		"id": into(&c.ID, q.Name),
		"kind": into(&c.Kind, func(v yamldoc.Value) string {
			return q.Choice(v, string(tokenboundary.KindAgent), string(tokenboundary.KindWorkload), string(tokenboundary.KindHumanApp))
		}),
		"groups": into(&c.Groups, func(v yamldoc.Value) []string { return q.Names(v, maxGroups) }),
	}.Optional())
}

// party reads a party, or its id.
func (q *request) party(v yamldoc.Value) lineage.Party {
	p := lineage.Party{}
	if !v.Mapping() {
		p.ID = q.Name(v)
		return p
	}
	q.Object(v, yamldoc.Fields{
		"id": into(&p.ID, q.Name), "issuer": into(&p.Issuer, q.Name), "kind": into(&p.Kind, q.partyKind),
	}.Optional())
	if p.ID == "" {
		q.Fail(v, "id is required")
	}
	return p
}

func (q *request) partyKind(v yamldoc.Value) string { return q.Choice(v, human, agent, workload) }

func (q *request) resources(v yamldoc.Value) []string {
	list := q.Names(v, canon.MaxResources)
	if q.Bad != nil {
		return nil
	}
	out, err := canon.Resources(list)
	if err != nil {
		q.Fail(v, "%v", err)
	}
	return out
}

func (q *request) scopes(v yamldoc.Value) []string {
	list := q.Names(v, canon.MaxScopes)
	if q.Bad != nil {
		return nil
	}
	out, err := canon.Scopes(list)
	if err != nil {
		q.Fail(v, "%v", err)
	}
	return out
}

func (q *request) task(v yamldoc.Value) {
	t := &tokenboundary.TaskFacts{}
	q.facts.Task = t
	q.Object(v, yamldoc.Fields{
		"id": into(&t.ID, q.Name), "purpose": into(&t.Purpose, q.Name),
		"context": func(v yamldoc.Value) {
			if !v.Mapping() {
				q.Fail(v, "must be a mapping")
			}
			t.Context = q.JSON(v, canon.MaxDetails)
		},
		"deadline":   func(v yamldoc.Value) { q.at(&q.deadline, v) },
		"expires_in": func(v yamldoc.Value) { q.in(&q.deadline, v, 1) },
	}.Optional())
	if t.Purpose == "" {
		q.Fail(v, "purpose is required")
	}
}

func (q *request) parent(v yamldoc.Value) {
	p := &tokenboundary.ParentFacts{ID: "parent", Depth: 1}
	q.facts.Parent = p
	q.Object(v, yamldoc.Fields{
		"id": into(&p.ID, q.Name), "client": into(&p.Client, q.Name), "purpose": into(&p.Purpose, q.Name),
		"paths":      into(&p.Paths, func(v yamldoc.Value) []string { return q.Names(v, canon.MaxChain) }),
		"scopes":     into(&p.Scopes, q.scopes),
		"expires":    func(v yamldoc.Value) { q.at(&q.ends, v) },
		"expires_in": func(v yamldoc.Value) { q.in(&q.ends, v, 1) },
		"depth":      into(&p.Depth, func(v yamldoc.Value) int { return q.Int(v, canon.MaxChain) }),
	}.Optional())
}

func (q *request) session(v yamldoc.Value) {
	s := &q.facts.Session
	q.Object(v, yamldoc.Fields{
		"kind": into(&s.Kind, q.partyKind), "id": into(&s.ID, q.Name), "acr": into(&s.ACR, q.Name),
		"amr":       into(&s.AMR, func(v yamldoc.Value) []string { return q.Names(v, canon.MaxChain) }),
		"auth_time": func(v yamldoc.Value) { q.at(&q.auth, v) },
		"auth_age":  func(v yamldoc.Value) { q.in(&q.auth, v, -1) },
	}.Optional())
}

// at reads an instant that may be given in two ways, but in one of them.
func (q *request) at(m *moment, v yamldoc.Value) {
	q.once(m, v)
	m.at = q.instant(v)
}

// in reads how far from now an instant is.
func (q *request) in(m *moment, v yamldoc.Value, sign time.Duration) {
	q.once(m, v)
	m.after = sign * q.Duration(v, sign < 0)
}

func (q *request) once(m *moment, v yamldoc.Value) {
	if m.given {
		q.Fail(v, "says a second time when that is")
	}
	m.given = true
}

func (q *request) details(v yamldoc.Value) {
	if !v.List() {
		q.Fail(v, "must be a list")
	}
	q.facts.Details = q.JSON(v, canon.MaxDetails)
}

// ceiling reads what the token may carry at most.
func (q *request) ceiling(v yamldoc.Value) {
	c := &lineage.Authority{Access: []lineage.Access{}}
	q.facts.Ceiling = c
	q.List(v, canon.MaxResources, func(e yamldoc.Value) {
		a := lineage.Access{}
		found := q.Object(e, yamldoc.Fields{
			"resource": func(v yamldoc.Value) {
				if one := q.resources(v); len(one) == 1 {
					a.Resource = one[0]
				} else {
					q.Fail(v, "must be one resource")
				}
			},
			"scopes": into(&a.Scopes, q.scopes),
		})
		switch {
		case len(found) != 2 || len(a.Scopes) == 0:
			q.Fail(e, "resource and scopes are required")
		case slices.ContainsFunc(c.Access, func(x lineage.Access) bool { return x.Resource == a.Resource }):
			q.Fail(e, "a second entry for this resource")
		}
		c.Access = append(c.Access, a)
	})
}
