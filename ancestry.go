package tokenboundary

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// ancestry is the second step: whose authority is used, who acts, what both come from, and whether all of it lives.
func (h *hop) ancestry(ctx context.Context) error {
	if h.req.Grant != Exchange {
		if !h.req.Subject.IsZero() || !h.req.Actor.IsZero() {
			return refuse(CodeInvalidRequest, "subject_token", "this grant has no subject")
		}
		h.subject, h.session.Kind = h.g.party(h.client), h.client.Kind.party()
		return nil
	}
	p, e, err := h.present(ctx, h.req.Subject, "subject_token")
	if e != nil { // of a refusal too: the attempt belongs into the lineage of the token
		h.parent, h.subject, h.session, h.carried = e, e.Record.Body.Subject, e.Record.Body.Session, e.Record.Body.Actors
	}
	switch {
	case err != nil:
		return err
	case e != nil:
		h.mayAct = p.MayAct
		err = h.inherit(e.Record)
	default:
		err = h.begin(ctx, p)
	}
	if err != nil || h.req.Actor.IsZero() {
		return err
	}
	return h.presentActor(ctx)
}

// present verifies a subject or actor token. Where it is ours, the entry behind it is returned; with an error, if it
// does not live.
func (h *hop) present(ctx context.Context, c Credential, param string) (Principal, *store.Entry, error) {
	var p Principal
	var e store.Entry
	var err error
	if c.Type == TypeClientSecret || c.Type == TypeClientAssertion {
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
	if !p.Expires.IsZero() && !h.now.Before(p.Expires.Add(h.g.cfg.Lifetimes.ClockLeeway)) {
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

// inherit takes the ceiling from the record behind the subject token.
func (h *hop) inherit(r lineage.Record) error {
	ceiling := r.Derivable()
	if r.Body.Client != h.client.ID {
		// Being named in aud gives no right; the rule that granted a scope must have named the client.
		ceiling.Access = delegated(ceiling.Access, r.Body.Reasons, h.client.ID)
		if len(ceiling.Access) == 0 {
			return refuse(CodeInvalidRequest, "subject_token", "not delegable to this client")
		}
	}
	ceiling = ceiling.Normal()
	h.ceiling = &ceiling
	return nil
}

// delegated returns the part of access whose granting rules name the client as a delegate.
func delegated(access []lineage.Access, reasons []lineage.Reason, client string) []lineage.Access {
	var out []lineage.Access
	for _, x := range access {
		var scopes []string
		for _, s := range x.Scopes {
			if slices.ContainsFunc(reasons, func(r lineage.Reason) bool {
				return r.Granted && r.Resource == x.Resource && r.Scope == s && slices.Contains(r.Delegates, client)
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

// begin starts a new root from an outside credential.
func (h *hop) begin(ctx context.Context, p Principal) error {
	no := func(why string) error { return refuse(CodeInvalidRequest, "subject_token", why) }
	if !slices.Contains(partyKinds, p.Party.Kind) {
		return no("a subject of no known kind")
	}
	switch _, err := h.g.cfg.Clients.Client(ctx, p.Party.ID); {
	case err == nil:
		return no("the subject has the name of a client")
	case !errors.Is(err, ErrNotFound):
		return unavailable("clients", err)
	}
	for i, a := range p.Actors {
		if a.Same(p.Party) || slices.ContainsFunc(p.Actors[:i], a.Same) {
			return no("somebody stands twice in its chain")
		}
		switch _, err := h.g.cfg.Clients.Client(ctx, a.ID); {
		case err == nil:
			return no("an actor has the name of a client")
		case !errors.Is(err, ErrNotFound):
			return unavailable("clients", err)
		}
	}
	if !p.Identity && p.Authority == nil {
		return no("its authority is unknown")
	}
	h.subject, h.session, h.carried, h.mayAct = p.Party, p.Session, p.Actors, p.MayAct
	if h.client.presents(p.Party.ID) { // the client acts for itself
		h.subject.Kind = h.client.Kind.party()
		h.session.Kind = h.subject.Kind
	}
	if h.session.Kind == "" {
		h.session.Kind = h.subject.Kind
	}
	if p.Authority != nil {
		ceiling := p.Authority.Normal()
		if ceiling.NotAfter.IsZero() {
			ceiling.NotAfter = p.Expires
		}
		h.ceiling = &ceiling
	}
	if h.req.Subject.Type != TypeIDToken { // which proves a past authentication, and bounds nothing
		if h.bound = p.Expires; h.bound.IsZero() {
			return no("it has no end")
		}
	}
	h.attest(p, lineage.SelectSubject)
	return nil
}

// presentActor verifies the actor token and binds it to the authenticated client.
func (h *hop) presentActor(ctx context.Context) error {
	no := func(why string) error { return refuse(CodeInvalidRequest, "actor_token", why) }
	p, e, err := h.present(ctx, h.req.Actor, "actor_token")
	if err != nil {
		return err
	}
	if e == nil {
		if !h.client.presents(p.Party.ID) {
			return no("not an identity of this client")
		}
		if len(p.Actors) > 0 {
			return no("a credential that somebody else acts with")
		}
		h.attest(p, lineage.SelectActor)
	} else {
		b := e.Record.Body
		p.Party = b.Subject
		if len(b.Actors) > 0 {
			p.Party = b.Actors[0]
		}
		switch {
		case b.Client != h.client.ID || p.Party.ID != h.client.ID && !h.client.presents(p.Party.ID):
			return no("not a token of this client for itself")
		case e.Record.TaskID() != h.taskID():
			return no("subject and actor are not of one task")
		}
		h.escort = e
	}
	p.Party.Kind = h.client.Kind.party()
	h.actor = &p
	return nil
}

// attest notes how old an outside credential is: what it proves must not have been revoked since.
func (h *hop) attest(p Principal, kind string) {
	since := p.Issued
	if since.IsZero() {
		since = time.UnixMilli(0)
	}
	if t := p.Session.AuthTime; !t.IsZero() && t.Before(since) {
		since = t
	}
	since = lineage.Time(since)
	if h.parent == nil && since.Before(h.since) {
		h.since = since
	}
	sels := []lineage.Selector{{Kind: kind, Value: p.Party.ID}}
	if p.Session.ID != "" {
		sels = append(sels, lineage.Selector{Kind: lineage.SelectSession, Value: p.Session.ID})
	}
	h.evidence = append(h.evidence, store.Unrevoked{Selectors: sels, Since: since})
}

// taskID returns the task that the result belongs to because of the subject token; zero where there is none.
func (h *hop) taskID() lineage.ID {
	if h.parent == nil {
		return lineage.ID{}
	}
	return h.parent.Record.TaskID()
}
