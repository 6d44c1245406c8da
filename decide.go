package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// evaluation bounds how long a policy may take.
const evaluation = time.Second

// decide is the fourth step: it asks the policy and takes the meet of its answer with everything above.
func (h *hop) decide(ctx context.Context) error {
	if err := h.connect(); err != nil {
		return err
	}
	if err := h.readFacts(ctx); err != nil {
		return err
	}
	spec, stands := h.req.Task, h.inheritedTask()
	switch {
	case spec != nil && len(spec.Authority) > 0:
		if err := h.decideTask(ctx, spec.Authority, h.ceiling); err != nil {
			return err
		}
		task := h.ruling
		h.task = &task
		inside := lineage.Authority{Access: task.access, Details: task.details}
		if h.deferred != nil {
			inside = inside.Meet(h.deferred.entry.Record.Body.Granted)
		}
		return h.decideOwn(ctx, &inside)
	case stands != nil && stands.Authority != nil: // a refreshed task token
		if err := h.decideTask(ctx, stands.Authority.Access, stands.Authority); err != nil {
			return err
		}
		return h.decideOwn(ctx, h.ceiling)
	}
	var err error
	h.ruling, err = h.ask(ctx, h.req.Resource, h.req.Scopes, h.ceiling)
	if spec != nil && err == nil {
		task := h.ruling
		h.task = &task
	}
	return err
}

// decideTask decides what a task may do: each resource by itself against its own path, all or nothing.
func (h *hop) decideTask(ctx context.Context, authority []lineage.Access, ceiling *lineage.Authority) error {
	var whole ruling
	for _, a := range authority {
		one, err := h.ask(ctx, []string{a.Resource}, a.Scopes, ceiling)
		if err == nil && len(whole.paths) > 0 && one.version != whole.version {
			return errStale // the policy was reloaded in between
		}
		whole = whole.and(one)
		h.ruling = whole // what a refusal reports
		if err != nil {
			return err
		}
		if len(one.access) != 1 || !slices.Equal(one.asked(), a.Scopes) {
			return refuse(CodeInvalidScope, "authorization_details", whyNotWhole)
		}
	}
	if len(authority) == 0 {
		return refuse(CodeInvalidScope, "scope", whyNothingAgain)
	}
	return nil
}

// decideOwn decides what a task token is good for by itself, beside the task that it stands for.
func (h *hop) decideOwn(ctx context.Context, inside *lineage.Authority) error {
	whole := h.ruling
	if len(h.req.Resource) == 0 && len(h.req.Scopes) == 0 {
		h.ruling.access, h.ruling.details = nil, nil // good for deriving only
		return nil
	}
	bounds := inside.Normal()
	own, err := h.ask(ctx, h.req.Resource, h.req.Scopes, &bounds)
	h.ruling = whole.and(own)
	h.ruling.access, h.ruling.details = own.access, own.details
	return err
}

// connect settles the connection: the one named, or the only one there is.
func (h *hop) connect() error {
	h.connection = h.req.Connection
	if h.connection == "" && len(h.client.Connections) == 1 {
		h.connection = h.client.Connections[0]
	}
	if h.connection == "" || !slices.Contains(h.client.Connections, h.connection) {
		return refuse(CodeInvalidTarget, "connection", "not a connection of this client")
	}
	return nil
}

// ask evaluates the policy for one set of resources and narrows its verdict. The ruling is returned with an error too,
// for the record of the denial.
func (h *hop) ask(ctx context.Context, resources, scopes []string, ceiling *lineage.Authority) (ruling, error) {
	if err := outside(ceiling, resources); err != nil {
		return ruling{}, err
	}
	facts := h.factsFor(resources, scopes, ceiling)
	limited, cancel := h.limited(ctx)
	defer cancel()
	v, err := h.g.cfg.Policy.Evaluate(limited, facts)
	if err != nil {
		return ruling{}, unavailable("policy", err)
	}
	return h.rule(v, facts)
}

// rule narrows a verdict on the facts.
func (h *hop) rule(v Verdict, facts Facts) (ruling, error) {
	r := rulingOf(v)
	if v.Effect != Allow {
		return r, v.refusal()
	}
	if err := v.within(facts); err != nil {
		return ruling{}, unavailable("policy", err)
	}
	if err := outside(facts.Ceiling, v.Resources); err != nil {
		return r, err
	}
	return r, r.narrow(h, v, facts.Scopes, facts.Ceiling)
}

// limited bounds how long the policy may take. Nobody waits for a decision of the past.
func (h *hop) limited(ctx context.Context) (context.Context, context.CancelFunc) {
	if h.seen != nil && h.seen.whole {
		return ctx, func() {}
	}
	l := newLimit(ctx, h.g.cfg.Clock, evaluation)
	return l, l.release
}

// outside refuses a resource at which the ceiling, where there is one, holds nothing.
func outside(ceiling *lineage.Authority, resources []string) error {
	if ceiling != nil && slices.ContainsFunc(resources, func(r string) bool { return len(ceiling.Scopes(r)) == 0 }) {
		return refuse(CodeInvalidTarget, "resource", whyOutside)
	}
	return nil
}

func (v Verdict) refusal() error {
	if v.Code == CodeInvalidScope {
		return refuse(CodeInvalidScope, "scope", whyNoRule)
	}
	return refuse(CodeInvalidTarget, "resource", whyDenied)
}

// within reports a verdict that grants what could not be granted. That is a defect of the policy, not something to cut
// silently.
func (v Verdict) within(f Facts) error {
	_, badPath := lineage.ParseSelector(lineage.SelectPath + ":" + v.Path)
	switch {
	case badPath != nil:
		return errors.New("allows without a policy path")
	case len(v.Resources) == 0 || len(f.Resources) > 0 && !slices.Equal(v.Resources, f.Resources):
		return errors.New("decides other resources than those asked for")
	case v.Lifetime <= 0:
		return errors.New("allows no lifetime")
	case !(lineage.Authority{Access: v.Access}).Covers(lineage.Authority{Access: v.Implied}):
		return errors.New("implies what it does not grant")
	}
	for _, a := range v.Access {
		if !slices.Contains(v.Resources, a.Resource) {
			return errors.New("grants another resource")
		}
		for _, s := range a.Scopes {
			if canon.Scope(s) != nil || len(f.Scopes) > 0 && !slices.Contains(f.Scopes, s) && !v.implies(a.Resource, s) ||
				f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(a.Resource), s) {
				return fmt.Errorf("grants a scope outside the ceiling at %s", v.Path)
			}
		}
	}
	return nil
}

// implies reports whether the verdict grants the scope because a granted one implies it.
func (v Verdict) implies(resource, scope string) bool {
	return slices.Contains(lineage.Authority{Access: v.Implied}.Scopes(resource), scope)
}

func (h *hop) factsFor(resources, scopes []string, ceiling *lineage.Authority) Facts {
	f := Facts{
		Grant:   h.grant,
		Client:  ClientFacts{h.client.ID, string(h.client.Kind), h.client.Groups},
		Subject: h.subject, Actor: h.subject, Chain: h.chain,
		Connection: h.connection, Resources: resources, Scopes: scopes,
		Lifetime: h.req.Lifetime, Details: h.req.Details,
		Ceiling: ceiling, Session: h.facts.current(h.session), Risk: h.facts.risk, Attributes: h.facts.attributes,
		Env: h.facts.env, Now: h.now, Parent: h.above,
	}
	if len(h.chain) > 0 {
		f.Actor = h.chain[0]
	}
	if t := h.inheritedTask(); t != nil {
		f.Task = &TaskFacts{h.parent.Record.TaskID().String(), t.Purpose, t.Context, t.Deadline}
	}
	if t := h.req.Task; t != nil {
		f.Task = &TaskFacts{Purpose: t.Purpose, Context: t.Context, Deadline: h.deadline()}
	}
	return f
}
