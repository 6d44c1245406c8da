package tokenboundary

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// ancestry is the second step: whose authority is used, who acts, what both come from, and whether all of it lives.
func (h *hop) ancestry(ctx context.Context) error {
	switch h.req.Grant {
	case ClientCredentials:
		return h.itself()
	case Exchange:
		return h.exchange(ctx)
	case Refresh:
		return h.refresh(ctx)
	case Deferred:
		return h.poll(ctx)
	case Leased:
		return h.presented(ctx)
	}
	return refuse(CodeUnauthorizedClient, "grant_type", "not a grant that is known")
}

// itself is the ancestry of a client that acts in its own right.
func (h *hop) itself() error {
	switch {
	case !h.req.Subject.IsZero():
		return refuse(CodeInvalidRequest, "subject_token", "this grant has no subject")
	case !h.req.Actor.IsZero():
		return refuse(CodeInvalidRequest, "actor_token", "this grant has no actor")
	}
	h.subject, h.session.Kind = h.g.party(h.client), h.client.Kind.party()
	return nil
}

// exchange is the ancestry of a token that is made from another one.
func (h *hop) exchange(ctx context.Context) error {
	p, e, err := h.present(ctx, h.req.Subject, "subject_token")
	if e != nil { // of a refusal too: the attempt belongs into the lineage of the token
		h.parent, h.subject, h.session, h.carried = e, e.Record.Body.Subject, e.Record.Body.Session, e.Record.Body.Actors
	}
	switch {
	case err != nil:
		return err
	case e != nil:
		h.mayAct = p.MayAct
		err = h.inherit(ctx)
	default:
		err = h.begin(ctx, p)
	}
	if err == nil && !h.req.Actor.IsZero() {
		err = h.presentActor(ctx)
	}
	if err != nil {
		return err
	}
	return h.bind(ctx)
}

// present verifies a subject or actor token. Where it is ours, the entry behind it is returned; with an error, if it
// does not live.
func (h *hop) present(ctx context.Context, c Credential, param string) (Principal, *store.Entry, error) {
	var p Principal
	var e store.Entry
	var err error
	if c.Type == TypeClientSecret || c.Type == TypeClientAssertion || !identifies(c.Type) {
		return p, nil, refuse(CodeInvalidRequest, param, "a client's credential is no token")
	}
	if c.Type == TypeAccessToken && c.Verified == nil {
		e, err = h.g.own(ctx, c.Value)
	} else if p, err = h.g.identify(ctx, c); err == nil {
		e, err = h.g.hosted(ctx, p)
	}
	if errors.Is(err, ErrUnavailable) {
		return p, nil, err
	}
	if err != nil {
		return p, nil, refuse(CodeInvalidRequest, param, "not acceptable: "+scrubbed(err, c))
	}
	if !p.Expires.IsZero() && !h.g.latest().Before(p.Expires.Add(h.g.cfg.Lifetimes.ClockLeeway)) {
		return p, nil, refuse(CodeInvalidRequest, param, "expired")
	}
	once, err := onceProof(p)
	switch {
	case err != nil:
		return p, nil, refuse(CodeInvalidRequest, param, err.Error())
	case once != nil && slices.ContainsFunc(h.proofs, func(o *proof) bool { return o.key == once.key }):
		return p, nil, refuse(CodeInvalidRequest, param, "a single-use credential stands twice in the request")
	case once != nil:
		h.proofs = append(h.proofs, once)
	}
	if e.Record.ID().IsZero() {
		return p, nil, nil
	}
	if e.Record.Body == nil {
		return p, nil, refuse(CodeInvalidRequest, param, "the token is long dead")
	}
	if s := stateOf(e, h.g.latest()); s != lineage.Active {
		return p, &e, refuse(CodeInvalidRequest, param, "the token is "+string(s))
	}
	return p, &e, nil
}

// inherit takes the ceiling from the record behind the subject token. A delegate must be named by the rules that granted
// it, and by those that would grant it now.
func (h *hop) inherit(ctx context.Context) error {
	ceiling := derivable(h.parent.Record, h.client.ID)
	if err := h.delegated(ctx, &ceiling); err != nil {
		return err
	}
	h.ceiling, h.above = &ceiling, parentFacts(h.parent.Record, ceiling)
	return nil
}

// delegated narrows the ceiling to what the client may derive from the parent by the rules in force now.
func (h *hop) delegated(ctx context.Context, ceiling *lineage.Authority) error {
	if h.parent == nil || h.parent.Record.Body.Client == h.client.ID {
		return nil
	}
	now, err := h.reasonsNow(ctx)
	if err != nil {
		return err
	}
	ceiling.Access = grantedBy(ceiling.Access, now, func(r lineage.Reason) bool { return slices.Contains(r.Delegates, h.client.ID) })
	if len(ceiling.Access) == 0 {
		return h.unacceptable("not delegable to this client")
	}
	return nil
}

// reasonsNow returns what the policy says now of what the subject token stands for: the task, or its own grant.
func (h *hop) reasonsNow(ctx context.Context) ([]lineage.Reason, error) {
	e := *h.parent
	if t := e.Record.Body.Task; t != nil && t.Authority != nil {
		var err error
		if e.Record, err = h.seen.record(ctx, h.g, t.ID); err != nil {
			return nil, unavailable("task", err)
		}
	}
	again, _, err := h.g.redecide(ctx, e, h.seen)
	h.lent = again.facts
	return again.ruling.said, err // whatever else would be different
}

// derivable returns what a client may derive from a token. Being named in aud gives no right; where the token was issued
// to another client, the rule that granted a scope must have named this one.
func derivable(r lineage.Record, client string) lineage.Authority {
	ceiling := r.Derivable()
	if r.Body.Client != client {
		ceiling.Access = grantedBy(ceiling.Access, r.Body.Reasons, func(x lineage.Reason) bool { return slices.Contains(x.Delegates, client) })
	}
	return ceiling.Normal() // the policy sees it, and the record is shared
}

// parentFacts returns what policies see of the token that another is made from.
func parentFacts(r lineage.Record, ceiling lineage.Authority) *ParentFacts {
	f := &ParentFacts{
		ID: r.ID().String(), Client: r.Body.Client, Paths: r.Body.Paths, Expires: r.ExpiresAt, Depth: ceiling.Depth,
	}
	for _, a := range ceiling.Access {
		f.Scopes = append(f.Scopes, a.Scopes...)
	}
	if t := r.Body.Task; t != nil {
		f.Purpose = t.Purpose
	}
	return f
}

// tokenAbove finds the token of ours that the record was made from, past the task and the refresh family in between; nil
// where there is none.
func (g *Governor) tokenAbove(ctx context.Context, r lineage.Record, seen *glance) (*ParentFacts, error) {
	client := r.Body.Client
	for len(r.Parents) > 0 {
		var err error
		if r, err = seen.record(ctx, g, r.Parents[0]); err != nil {
			return nil, err
		}
		if r.Body == nil {
			return nil, errors.New("what it was made from is erased")
		}
		if r.Kind == lineage.KindToken {
			return parentFacts(r, derivable(r, client)), nil
		}
	}
	return nil, nil
}

// grantedBy returns the part of access that a reason of the kind grants.
func grantedBy(access []lineage.Access, reasons []lineage.Reason, of func(lineage.Reason) bool) []lineage.Access {
	var out []lineage.Access
	for _, x := range access {
		var scopes []string
		for _, s := range x.Scopes {
			if slices.ContainsFunc(reasons, func(r lineage.Reason) bool {
				return r.Granted && r.Resource == x.Resource && r.Scope == s && of(r)
			}) {
				scopes = append(scopes, s)
			}
		}
		if len(scopes) > 0 {
			out = append(out, lineage.Access{Resource: x.Resource, Scopes: scopes})
		}
	}
	return out
}

// taskID returns the task that the result belongs to because of the subject token; zero where there is none.
func (h *hop) taskID() lineage.ID {
	if h.parent == nil {
		return lineage.ID{}
	}
	return h.parent.Record.TaskID()
}
