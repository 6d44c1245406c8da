package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Change is one thing that would have to be different. See Explanation.Changes.
type Change struct {
	Variable string `json:"variable"`      // as a condition writes it
	From     string `json:"from"`          // JSON; "absent" where the request has none
	To       string `json:"to"`            // JSON, or what else will do
	How      string `json:"how,omitempty"` // it can come about, where asking otherwise does not do
}

// String returns "variable: from → to", and how.
func (c Change) String() string {
	text := c.Variable + ": " + c.From + " → " + c.To
	if c.How != "" {
		text += " (" + c.How + ")"
	}
	return text
}

// ScopeChange is the smallest change that makes a request for one scope alone pass.
type ScopeChange struct {
	Scope   string   `json:"scope"`
	Changes []Change `json:"changes"`
}

const maxAlone = 8 // scopes that are looked at alone

// change looks for the smallest change, and notes what none can bring about.
func (s *Set) change(ctx context.Context, facts tokenboundary.Facts, v *views, x *Explanation) error {
	within, cancel := context.WithTimeout(ctx, maxSearch)
	defer cancel()
	q := newSearch(ctx, within, s, v, facts)
	l, resources, _ := s.resolve(&facts)
	if l != nil {
		if len(q.scopes) == 0 {
			q.scopes = normal(l.defaults)
		}
		x.Notes = append(x.Notes, q.hopeless(l, resources, x.Verdict)...)
	} else if bound := s.boundFor(&facts); len(bound) > 0 {
		x.Bound = bound[:min(len(bound), maxBound)]
	} else {
		x.Notes = append(x.Notes, fmt.Sprintf("nothing is bound for client %q", bounded(facts.Client.ID)))
	}
	got, err := q.run()
	if err != nil {
		return err
	}
	x.Changes = q.changes(got.option)
	if got.full {
		return nil
	}
	if len(got.option) == 0 {
		x.Notes = append(x.Notes, fmt.Sprintf("no change of at most %d facts was found that makes all of it pass", maxChanges))
	} else {
		x.Notes = append(x.Notes, "no change was found that makes all scopes pass: this one makes most of them")
	}
	x.Alone, err = q.alone(got.option)
	if q.late() {
		x.Notes = append(x.Notes, fmt.Sprintf("the search for a change was given up after %s", maxSearch))
	}
	return err
}

// alone looks for the smallest change for each scope that is dropped even with the option.
func (q *search) alone(o option) ([]ScopeChange, error) {
	f, _ := o.apply(q.facts)
	v, err := q.set.Evaluate(q.asker, f)
	if err != nil || len(q.scopes) < 2 {
		return nil, err
	}
	var out []ScopeChange
	for _, scope := range q.scopes[:min(len(q.scopes), maxAlone)] {
		if granting(v, scope) {
			continue
		}
		alone := q.facts
		alone.Scopes = []string{scope}
		one := newSearch(q.asker, q.ctx, q.set, q.views, alone)
		got, err := one.run()
		if err != nil {
			return nil, err
		}
		if len(got.option) > 0 && got.granted > 0 {
			out = append(out, ScopeChange{scope, one.changes(got.option)})
		}
	}
	return out, nil
}

// granting reports whether a verdict grants the scope at some resource.
func granting(v tokenboundary.Verdict, scope string) bool {
	return slices.ContainsFunc(v.Access, func(a lineage.Access) bool { return slices.Contains(a.Scopes, scope) })
}

// hopeless says of each scope that nothing can bring about why it may as well not be asked for.
func (q *search) hopeless(l *leaf, resources []string, v tokenboundary.Verdict) []string {
	var out []string
	for _, scope := range q.scopes {
		named, held := false, false
		for _, r := range resources {
			named = named || l.grantable(nil, r, scope)
			held = held || l.grantable(q.facts.Ceiling, r, scope)
		}
		switch {
		case granting(v, scope): // another one implies it
		case !named:
			out = append(out, fmt.Sprintf("leave out scope %q: no rule of %s names it", bounded(scope), l.path))
		case !held:
			out = append(out, fmt.Sprintf("leave out scope %q: what the token is made from does not hold it", bounded(scope)))
		}
	}
	return out
}

// changes says what the edits of an option are.
func (q *search) changes(o option) []Change {
	from := &trace{vars: newSlots()}
	from.vars.facts, from.vars.scopes = q.facts, q.scopes
	from.vars.resource = strings.Join(q.facts.Resources, " ")
	var out []Change
	for _, e := range o {
		c := Change{Variable: e.name(), From: jsonText(from.read(e.path)), To: e.to(), How: changeables[e.path[0]].how}
		if e.path[0] == resourceVariable && len(q.facts.Resources) == 0 {
			c.From = noValue
		}
		out = append(out, c)
	}
	slices.SortStableFunc(out, func(a, b Change) int { return strings.Compare(a.Variable, b.Variable) })
	return out
}
