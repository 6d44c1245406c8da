package tokenboundary

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

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
	h.subject, h.session, h.carried, h.mayAct = p.Party, p.Session, slices.Clone(p.Actors), p.MayAct
	h.session.AMR = slices.Clone(p.Session.AMR)
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
	h.lapse = p.Expires
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
	h.evidence = append(h.evidence, witnessed(since, sels...))
}
