package policy

import (
	"context"
	"strings"

	"cel.dev/cel-go/interpreter"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Why Evaluate does not get to a rule.
const (
	afterDenial   = "the request was denied before"
	noScopeAsked  = "no scope is requested"
	namesNone     = "it names no requested scope"
	otherResource = "it is for another resource"
	noneHeld      = "what the token is made from holds none of its scopes"
	tooManyScopes = "too many scopes are requested"
)

// walk evaluates every rule of the leaf for the request.
func (s *Set) walk(ctx context.Context, facts tokenboundary.Facts, l *leaf, resources []string, v *views) (*walk, error) {
	scopes := l.asked(&facts)
	sl := l.slots(&facts, scopes[:min(len(scopes), canon.MaxScopes)])
	e := &evaluation{ctx: ctx, leaf: l, slots: sl}
	e.verdict.Resources = resources
	var err error
	if e.frame, err = interpreter.NewExecutionFrame(sl); err != nil {
		return nil, err
	}
	defer e.frame.Close()
	w := &walk{evaluation: e, views: v}
	_, refused := l.catalog.refuses(facts.Client.ID, facts.Connection, resources)
	switch {
	case len(scopes) > canon.MaxScopes:
		w.ended = tooManyScopes
	case refused != "":
		w.ended = refused
	}
	if err := w.denyRules(); err != nil {
		return nil, err
	}
	if err := w.allowRules(); err != nil {
		return nil, err
	}
	if err := e.grant(); err != nil {
		return nil, err
	}
	return w, nil
}

// walk is an evaluation that looks at every rule.
type walk struct {
	*evaluation
	views *views
	ended string // why Evaluate goes no further
	steps []Step
}

func (w *walk) denyRules() error {
	for r := range w.leaf.denyRules() {
		for _, resource := range w.targets(r) {
			step := w.step(r, resource)
			step.Deny, step.Unreached = true, w.ended
			if err := w.run(r, &step); err != nil {
				return err
			}
			if w.ended == "" && step.Outcome != OutcomeFalse {
				w.ended = afterDenial
			}
			w.steps = append(w.steps, step)
		}
	}
	return nil
}

func (w *walk) allowRules() error {
	if w.ended == "" && len(w.slots.scopes) == 0 {
		w.ended = noScopeAsked
	}
	for i := range w.leaf.allows {
		r := &w.leaf.allows[i]
		asked := w.named(i)
		for _, resource := range w.targets(r) {
			step := w.step(r, resource)
			step.Scopes = asked
			step.Unreached = w.unreached(r, resource, asked)
			if step.Unreached != namesNone && step.Unreached != otherResource {
				if err := w.run(r, &step); err != nil {
					return err
				}
			}
			w.steps = append(w.steps, step)
		}
	}
	return nil
}

// named returns the requested scopes that an allow rule names.
func (w *walk) named(rule int) []string {
	var out []string
	for _, scope := range normal(w.slots.scopes) {
		for _, i := range w.leaf.rulesFor(scope) {
			if i == rule {
				out = append(out, scope)
			}
		}
	}
	return out
}

// unreached says why Evaluate does not get to an allow rule. A rule that no resource is given for is looked at for all.
func (w *walk) unreached(r *rule, resource string, asked []string) string {
	targets := []string{resource}
	if resource == "" {
		targets = w.verdict.Resources
	}
	is, held := false, false
	for _, t := range targets {
		if !r.isFor(t) {
			continue
		}
		is = true
		for _, scope := range asked {
			held = held || w.slots.facts.Ceiling == nil || holdsScope(w.slots.facts.Ceiling, t, scope)
		}
	}
	switch {
	case len(asked) == 0:
		return namesNone
	case !is:
		return otherResource
	case w.ended != "":
		return w.ended
	case !held:
		return noneHeld
	}
	return ""
}

func (w *walk) step(r *rule, resource string) Step {
	document, _, _ := strings.Cut(r.id, "#")
	return Step{File: document[1:] + suffix, Line: int(r.row), Rule: r.id, Resource: resource, When: r.prog.text}
}

// run evaluates the rule for the resource of the step, and notes what it read.
func (w *walk) run(r *rule, step *Step) error {
	if err := w.ctx.Err(); err != nil {
		return err
	}
	if step.Resource != "" {
		w.slots.turn(step.Resource)
	}
	out, why := r.prog.run(w.frame)
	step.Outcome, step.Why = outcomes[out], why
	if seen := w.views.see(r.prog, w.slots); seen != nil && w.views.left > 0 {
		step.Values, step.Parts = seen.values(w.views.texts), seen.parts()
		w.views.spend(step)
	}
	return nil
}

var outcomes = map[outcome]Outcome{holds: OutcomeTrue, not: OutcomeFalse, failed: OutcomeFailed}
