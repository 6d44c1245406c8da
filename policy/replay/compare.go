package replay

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// result is what some decisions come to.
type result struct {
	examined, changed, unknown int
	skipped                    map[string]int
	findings                   []finding
}

// compareAll decides each again.
func compareAll(ctx context.Context, past []tokenboundary.Past, candidate, baseline tokenboundary.Policy) result {
	out := result{skipped: map[string]int{}}
	for i := range past {
		p := &past[i]
		if ctx.Err() != nil {
			break
		}
		if p.Skip != "" {
			out.skipped[p.Skip]++
			continue
		}
		out.examined++
		if len(p.Unknown) > 0 {
			out.unknown++
		}
		if found := compare(ctx, p, candidate, baseline); len(found) > 0 {
			out.changed++
			out.findings = append(out.findings, found...)
		}
	}
	return out
}

// compare decides once more, and returns what would be different.
func compare(ctx context.Context, p *tokenboundary.Past, candidate, baseline tokenboundary.Policy) []finding {
	d := difference{past: p, was: p.Answer(), exact: baseline != nil}
	var err error
	if baseline != nil {
		d.was, err = p.Decide(ctx, baseline)
	}
	if err == nil {
		d.is, err = p.Decide(ctx, candidate)
	}
	if err != nil {
		d.note(Undecided, "", "", Example{Why: err.Error()})
		return d.found
	}
	d.lost, d.gained = lineage.Difference(d.was.Reasons, d.is.Reasons)
	if is := effectOf(d.is); is != effectOf(d.was) {
		d.effect(is)
		return d.found
	}
	if d.is.Effect == tokenboundary.Deny && d.is.Code != tokenboundary.CodeAuthorizationPending {
		return nil
	}
	d.scopes()
	d.details()
	d.lifetime()
	d.obligations()
	return d.found
}

// effectOf returns how an answer counts where it is another one.
func effectOf(a tokenboundary.Answer) Change {
	switch {
	case a.Effect == tokenboundary.Allow:
		return Allowed
	case a.Code == tokenboundary.CodeAuthorizationPending:
		return Deferred
	}
	return Denied
}

// difference is two answers to one request, and what was found between them.
type difference struct {
	past         *tokenboundary.Past
	was, is      tokenboundary.Answer
	exact        bool             // was is not what was recorded, but what a policy says
	lost, gained []lineage.Reason // of scopes, as the candidate says
	found        []finding
}

// note adds a change.
func (d *difference) note(c Change, rule, scope string, e Example) {
	r := d.past.Record
	e.ID, e.At, e.Client = r.ID(), r.IssuedAt, r.Body.Client
	path := slices.Concat(d.is.Paths, d.was.Paths, []string{""})[0]
	d.found = append(d.found, finding{group{c, path, rule, scope}, e})
}

// effect notes that the request would come to something else.
func (d *difference) effect(is Change) {
	e := Example{Was: words(d.was), Is: words(d.is)}
	rule := ""
	because := d.lost
	if is == Allowed || len(because) == 0 {
		because = slices.Concat(d.gained, d.lost)
	}
	if len(because) > 0 {
		rule, e.Why, e.Resource = d.ruleOf(because[0]), because[0].Why, because[0].Resource
	}
	d.note(is, rule, "", e)
}

// words says what an answer is.
func words(a tokenboundary.Answer) string {
	if a.Effect == tokenboundary.Allow {
		return a.Effect.String()
	}
	return cmp.Or(string(a.Code), a.Effect.String())
}

// ruleOf returns the rule that a reason names, or else the one that had granted the scope.
func (d *difference) ruleOf(r lineage.Reason) string {
	if r.Rule != "" {
		return r.Rule
	}
	for _, w := range d.was.Reasons {
		if w.Granted && w.Resource == r.Resource && w.Scope == r.Scope {
			return w.Rule
		}
	}
	return ""
}

// scopes notes which scopes are lost and gained. One that is asked for twice, for a task and for its token, counts once.
func (d *difference) scopes() {
	for _, side := range []struct {
		change  Change
		reasons []lineage.Reason
	}{{ScopeLost, d.lost}, {ScopeGained, d.gained}} {
		for i, r := range side.reasons {
			same := func(x lineage.Reason) bool { return x.Resource == r.Resource && x.Scope == r.Scope }
			if !slices.ContainsFunc(side.reasons[:i], same) {
				d.note(side.change, d.ruleOf(r), r.Scope, Example{Resource: r.Resource, Why: r.Why})
			}
		}
	}
}

// details notes whether entries of authorization_details are lost or gained.
func (d *difference) details() {
	without := func(a, b []json.RawMessage) bool {
		return slices.ContainsFunc(a, func(x json.RawMessage) bool {
			return !slices.ContainsFunc(b, func(y json.RawMessage) bool { return bytes.Equal(x, y) })
		})
	}
	if without(d.was.Details, d.is.Details) {
		d.note(DetailsLost, "", "", Example{})
	}
	if without(d.is.Details, d.was.Details) {
		d.note(DetailsGained, "", "", Example{})
	}
}

// lifetime notes whether the token would live for another time.
func (d *difference) lifetime() {
	e := Example{Before: d.was.Lifetime, After: d.is.Lifetime}
	switch {
	case d.is.Lifetime < d.was.Lifetime:
		d.note(LifetimeShorter, "", "", e)
	case d.exact && d.is.Lifetime > d.was.Lifetime:
		d.note(LifetimeLonger, "", "", e)
	}
}

// obligations notes what holds a scope back now, and what does no longer.
func (d *difference) obligations() {
	was, is := held(d.was), held(d.is)
	for _, h := range is {
		if !slices.Contains(was, h) {
			d.note(ObligationNew, d.ruleFor(d.is, h.scope), h.kind+" "+h.scope, Example{})
		}
	}
	for _, h := range was {
		if !slices.Contains(is, h) {
			d.note(ObligationGone, d.ruleFor(d.is, h.scope), h.kind+" "+h.scope, Example{})
		}
	}
}

// ruleFor returns the rule that decides a scope.
func (d *difference) ruleFor(a tokenboundary.Answer, scope string) string {
	for _, r := range a.Reasons {
		if r.Scope == scope && r.Rule != "" {
			return r.Rule
		}
	}
	return ""
}

// binding is an obligation that is not met and a scope that it holds back.
type binding struct{ kind, scope string }

// held returns what is held back in an answer.
func held(a tokenboundary.Answer) []binding {
	var out []binding
	for _, o := range a.Obligations {
		for _, s := range o.Scopes {
			out = append(out, binding{o.Kind, s})
		}
	}
	return out
}
