package tokenboundary

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// evaluation bounds how long a policy may take.
const evaluation = time.Second

// decide is the fourth step: it asks the policy and takes the meet of its answer with everything above. For a task over
// several resources, each is decided by itself against its own path, and all or nothing is granted.
func (h *hop) decide(ctx context.Context) error {
	if err := h.connect(); err != nil {
		return err
	}
	var err error
	if h.facts, err = h.g.currentFacts(ctx); err != nil {
		return err
	}
	spec := h.req.Task
	if spec == nil || len(spec.Authority) == 0 {
		h.ruling, err = h.ask(ctx, h.req.Resource, h.req.Scopes, h.ceiling)
		if spec != nil && err == nil {
			task := h.ruling
			h.task = &task
		}
		return err
	}
	return h.decideTask(ctx)
}

func (h *hop) decideTask(ctx context.Context) error {
	var whole ruling
	for _, a := range h.req.Task.Authority {
		one, err := h.ask(ctx, []string{a.Resource}, a.Scopes, h.ceiling)
		if err == nil && len(whole.paths) > 0 && one.version != whole.version {
			return errStale // the policy was reloaded in between
		}
		whole = whole.and(one)
		h.ruling = whole // what a refusal reports
		if err != nil {
			return err
		}
		if len(one.access) != 1 || !slices.Equal(one.access[0].Scopes, a.Scopes) {
			return refuse(CodeInvalidScope, "authorization_details", "the task's authority is granted whole or not at all")
		}
	}
	h.task = &whole
	if len(h.req.Resource) == 0 && len(h.req.Scopes) == 0 {
		h.ruling.access, h.ruling.details = nil, nil // the token is good for deriving only
		return nil
	}
	inside := lineage.Authority{Access: whole.access, Details: whole.details}.Normal()
	own, err := h.ask(ctx, h.req.Resource, h.req.Scopes, &inside)
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
	limited, cancel := context.WithTimeout(ctx, evaluation)
	defer cancel()
	v, err := h.g.cfg.Policy.Evaluate(limited, facts)
	if err != nil {
		return ruling{}, unavailable("policy", err)
	}
	r := rulingOf(v)
	if v.Effect != Allow {
		return r, v.refusal()
	}
	if err := v.within(facts); err != nil {
		return ruling{}, unavailable("policy", err)
	}
	if err := outside(ceiling, v.Resources); err != nil {
		return r, err
	}
	return r, r.narrow(h, v, scopes, ceiling)
}

// outside refuses a resource at which the ceiling, where there is one, holds nothing.
func outside(ceiling *lineage.Authority, resources []string) error {
	if ceiling != nil && slices.ContainsFunc(resources, func(r string) bool { return len(ceiling.Scopes(r)) == 0 }) {
		return refuse(CodeInvalidTarget, "resource", "outside what it is made from")
	}
	return nil
}

func (v Verdict) refusal() error {
	if v.Code == CodeInvalidScope {
		return refuse(CodeInvalidScope, "scope", "no rule allows what was asked for")
	}
	return refuse(CodeInvalidTarget, "resource", "the policy denies the target")
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
	}
	for _, a := range v.Access {
		if !slices.Contains(v.Resources, a.Resource) {
			return errors.New("grants another resource")
		}
		for _, s := range a.Scopes {
			if canon.Scope(s) != nil || len(f.Scopes) > 0 && !slices.Contains(f.Scopes, s) ||
				f.Ceiling != nil && !slices.Contains(f.Ceiling.Scopes(a.Resource), s) {
				return fmt.Errorf("grants a scope outside the ceiling at %s", v.Path)
			}
		}
	}
	return nil
}

func (h *hop) factsFor(resources, scopes []string, ceiling *lineage.Authority) Facts {
	f := Facts{
		Grant:   h.req.Grant,
		Client:  ClientFacts{h.client.ID, string(h.client.Kind), h.client.Groups},
		Subject: h.subject, Actor: h.subject, Chain: h.chain,
		Connection: h.connection, Resources: resources, Scopes: scopes,
		Lifetime: h.req.Lifetime, Details: h.req.Details,
		Ceiling: ceiling, Session: h.session, Risk: "unknown", Env: h.facts.env, Now: h.now,
	}
	if len(h.chain) > 0 {
		f.Actor = h.chain[0]
	}
	if p := h.parent; p != nil {
		b := p.Record.Body
		f.Parent = &ParentFacts{
			ID: p.Record.ID().String(), Client: b.Client, Paths: b.Paths,
			Expires: p.Record.ExpiresAt, Depth: h.ceiling.Depth,
		}
		for _, a := range h.ceiling.Access {
			f.Parent.Scopes = append(f.Parent.Scopes, a.Scopes...)
		}
		if t := b.Task; t != nil {
			f.Task = &TaskFacts{t.ID.String(), t.Purpose, t.Context, t.Deadline}
		}
	}
	if t := h.req.Task; t != nil {
		f.Task = &TaskFacts{Purpose: t.Purpose, Context: t.Context, Deadline: h.deadline()}
	}
	return f
}

// grantDetails returns the requested entries that the verdict grants and the ceiling covers.
func (h *hop) grantDetails(v Verdict, ceiling *lineage.Authority) ([]json.RawMessage, error) {
	if len(h.req.Details) == 0 {
		return nil, nil
	}
	no := func(why string) ([]json.RawMessage, error) {
		return nil, refuse(CodeInvalidDetails, "authorization_details", why)
	}
	var entries []json.RawMessage
	if err := json.Unmarshal(h.req.Details, &entries); err != nil {
		return no("not an array")
	}
	var out []json.RawMessage
	for _, entry := range entries {
		t := h.g.cfg.Details[typeOf(entry)]
		if t == nil {
			return no("unknown type")
		}
		granted := slices.ContainsFunc(v.Details, func(d json.RawMessage) bool { return bytes.Equal(d, entry) })
		if granted && (ceiling == nil || covered(t, ceiling.Details, entry)) {
			out = append(out, entry)
		}
	}
	if len(out) == 0 {
		return no("none is granted")
	}
	return out, nil
}

// covered reports whether one of the parent's entries of the child's type covers it. What cannot be decided is not.
func covered(t DetailType, parent []json.RawMessage, child json.RawMessage) bool {
	return slices.ContainsFunc(parent, func(p json.RawMessage) bool {
		if typeOf(p) != typeOf(child) {
			return false
		}
		ok, err := t.Covers(p, child)
		return ok && err == nil
	})
}

// typeOf returns the type of an authorization_details entry; empty where it has none.
func typeOf(entry json.RawMessage) string {
	var members map[string]json.RawMessage // a struct would match the name in any case
	var name string
	if json.Unmarshal(entry, &members) != nil || json.Unmarshal(members["type"], &name) != nil {
		return ""
	}
	return name
}
