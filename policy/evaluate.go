package policy

import (
	"context"
	"slices"

	"cel.dev/cel-go/interpreter"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

const notHeld = "not held by what it is made from"

// Evaluate implements tokenboundary.Policy. The only errors are those of the context: everything else is a verdict.
func (s *Set) Evaluate(ctx context.Context, facts tokenboundary.Facts) (tokenboundary.Verdict, error) {
	if err := ctx.Err(); err != nil {
		return tokenboundary.Verdict{}, err
	}
	l, resources, why := s.resolve(&facts)
	v := tokenboundary.Verdict{Version: s.version, Resources: slices.Clone(resources)}
	if l == nil {
		return denied(v, tokenboundary.CodeInvalidTarget, lineage.Reason{Why: why}), nil
	}
	v.Path, v.Controls = l.path, slices.Clone(l.controls)
	in := l.limits.meet(l.catalog.legacy(facts.Connection))
	v.Depth, v.Derivations, v.Lifetime, v.Recheck = in.depth, in.derivations, in.lifetime, in.recheck
	scopes := l.asked(&facts)
	if len(scopes) > canon.MaxScopes {
		return denied(v, tokenboundary.CodeInvalidScope, lineage.Reason{Why: "too many scopes"}), nil
	}
	e := &evaluation{ctx: ctx, leaf: l, slots: s.take(&facts, l, scopes), verdict: v}
	defer s.give(e.slots)
	var err error // there is none for an activation without functions
	if e.frame, err = interpreter.NewExecutionFrame(e.slots); err != nil {
		return tokenboundary.Verdict{}, err
	}
	defer e.frame.Close()
	if err := e.decide(); err != nil {
		return tokenboundary.Verdict{}, err
	}
	return e.verdict, nil
}

// asked returns the scopes that are asked for, or what the leaf has as its default.
func (l *leaf) asked(f *tokenboundary.Facts) []string {
	if len(f.Scopes) == 0 {
		return l.defaults
	}
	return f.Scopes
}

// denied returns v as a denial for the reasons. It keeps what says who decided.
func denied(v tokenboundary.Verdict, code tokenboundary.Code, reasons ...lineage.Reason) tokenboundary.Verdict {
	return tokenboundary.Verdict{
		Code: code, Path: v.Path, Version: v.Version, Resources: v.Resources, Controls: v.Controls, Reasons: reasons,
	}
}

func (s *Set) take(f *tokenboundary.Facts, l *leaf, scopes []string) *slots {
	sl := s.pool.Get().(*slots)
	sl.facts, sl.catalog, sl.scopes = *f, l.catalog, scopes
	return sl
}

func (s *Set) give(sl *slots) {
	clear(sl.values)
	sl.inputs = inputs{}
	s.pool.Put(sl)
}

// evaluation is one request on its way through one leaf.
type evaluation struct {
	ctx     context.Context
	leaf    *leaf
	slots   *slots
	frame   *interpreter.ExecutionFrame // of all conditions of the request, over the slots
	verdict tokenboundary.Verdict
	results []result // of the allow rules, by resource and rule
}

type result struct {
	outcome outcome
	why     string
}

// decide fills in the verdict.
func (e *evaluation) decide() error {
	f := &e.slots.facts
	if resource, why := e.leaf.catalog.refuses(f.Client.ID, f.Connection, e.verdict.Resources); why != "" {
		e.verdict = denied(e.verdict, tokenboundary.CodeInvalidTarget, lineage.Reason{Resource: resource, Why: why})
		return nil
	}
	no, err := e.denials()
	switch {
	case err != nil:
		return err
	case no != nil:
		e.verdict = denied(e.verdict, tokenboundary.CodeInvalidTarget, *no)
		return nil
	case len(e.slots.scopes) == 0:
		e.verdict = denied(e.verdict, tokenboundary.CodeInvalidScope,
			lineage.Reason{Why: "no scope is requested, and the policy path has no default"})
		return nil
	}
	return e.grant()
}

// denials evaluates the deny rules from the root to the leaf and returns the first that is not cleanly false.
func (e *evaluation) denials() (*lineage.Reason, error) {
	for r := range e.leaf.denyRules() {
		if no, err := e.denial(r); no != nil || err != nil {
			return no, err
		}
	}
	return nil, nil
}

func (e *evaluation) denial(r *rule) (*lineage.Reason, error) {
	for _, resource := range e.targets(r) {
		if err := e.ctx.Err(); err != nil {
			return nil, err
		}
		if resource != "" {
			e.slots.turn(resource)
		}
		switch out, why := r.prog.run(e.frame); out {
		case not:
		case holds:
			return &lineage.Reason{Resource: resource, Rule: r.id, Why: "denied"}, nil
		default:
			return &lineage.Reason{Resource: resource, Rule: r.id, Why: "denied: the rule failed: " + why}, nil
		}
	}
	return nil, nil
}

// targets returns the resources for which a rule has to be evaluated; where it reads none, one time will do.
func (e *evaluation) targets(r *rule) []string {
	if r.prog.usesTarget {
		return e.verdict.Resources
	}
	return noTarget
}

var noTarget = []string{""}

// outcome evaluates an allow rule for the resource, once in a request.
func (e *evaluation) outcome(rule, resource int) (outcome, error) {
	p, res := e.leaf.allows[rule].prog, e.result(rule, resource)
	if res.outcome == unknown {
		if err := e.ctx.Err(); err != nil {
			return unknown, err
		}
		if p.usesTarget {
			e.slots.turn(e.verdict.Resources[resource])
		}
		res.outcome, res.why = p.run(e.frame)
	}
	return res.outcome, nil
}

// result is where the outcome of an allow rule is kept: one for all resources where the rule does not read which it is.
func (e *evaluation) result(rule, resource int) *result {
	if !e.leaf.allows[rule].prog.usesTarget {
		resource = 0
	}
	return &e.results[resource*len(e.leaf.allows)+rule]
}
