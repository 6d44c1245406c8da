package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// redecide asks whether all that a record stands for would be granted now: to the client as it is registered now, on the
// present facts, by the policy in force. The result is a refusal where it would not; the hop is for its record.
//
// It changes nothing, and asks only what a decision can have changed: what a record comes from is not looked at again.
func (g *Governor) redecide(ctx context.Context, e store.Entry) (*hop, error) {
	b := e.Record.Body
	now := g.now()
	h := &hop{
		g: g, now: now, since: now, mints: true, grant: Grant(b.GrantType), parent: &e, approved: b.Approved, key: b.Bound,
		subject: b.Subject, session: b.Session, carried: b.Actors, chain: b.Actors, connection: b.Connection,
		client: Client{ID: b.Client, Kind: ClientKind(b.ClientKind)},
		req: Request{
			Grant: Grant(b.GrantType), Connection: b.Connection, Lifetime: b.Requested.Lifetime,
			Resource: b.Requested.Resources, Scopes: b.Requested.Scopes,
		},
	}
	if e.Record.Kind == lineage.KindGrant { // what it stands for is a refresh
		h.grant, h.req.Grant = Refresh, Refresh
	}
	c, err := g.cfg.Clients.Client(ctx, b.Client)
	switch {
	case errors.Is(err, ErrNotFound):
		return h, refuse(CodeUnauthorizedClient, "client_id", "the client is not registered any more")
	case err != nil:
		return h, unavailable("clients", err)
	case c.ID != b.Client || !c.mayUse(h.grant):
		return h, refuse(CodeUnauthorizedClient, "grant_type", "the client may not use this grant any more")
	}
	h.client = c
	if h.above, err = g.tokenAbove(ctx, e.Record); err != nil {
		return h, unavailable("lineage", err)
	}
	if err := h.readFacts(ctx); err != nil {
		return h, err
	}
	if err := h.connect(); err != nil {
		return h, err
	}
	return h, h.holds(ctx, e.Record)
}

// holds decides each resource of what was granted by itself, and refuses where less would be granted now. A refresh family
// holds as long as a refresh would grant anything: how much, each refresh says.
func (h *hop) holds(ctx context.Context, r lineage.Record) error {
	granted := r.Body.Granted
	if r.Kind == lineage.KindGrant {
		granted.Access = refreshable(granted.Access, r.Body.Reasons)
	}
	asked, kept := h.req.Scopes, 0
	for _, a := range granted.Access {
		scopes := a.Scopes
		if r.Kind == lineage.KindToken && len(asked) > 0 {
			scopes = asked
		}
		one, err := h.askAlone(ctx, a, scopes, granted)
		if err == nil {
			h.ruling = h.ruling.and(one)
		} else {
			h.ruling.reasons = append(h.ruling.reasons, one.reasons...)
		}
		switch whole := err == nil && slices.Equal(one.access[0].Scopes, a.Scopes); {
		case errors.Is(err, ErrUnavailable):
			return err
		case whole, err == nil && r.Kind == lineage.KindGrant:
			kept++
		case r.Kind != lineage.KindGrant && err != nil:
			return err
		case r.Kind != lineage.KindGrant:
			return refuse(CodeInvalidScope, "scope", "less would be granted now")
		}
	}
	details := lineage.Authority{Details: h.ruling.details}.Normal().Details // of all resources together
	switch {
	case len(granted.Access) == 0: // what a task token stands for is decided with the task
		return nil
	case kept == 0:
		return refuse(CodeInvalidScope, "scope", "nothing would be granted by a refresh")
	case r.Kind != lineage.KindGrant && len(details) != len(granted.Details):
		return refuse(CodeInvalidDetails, "authorization_details", "less would be granted now")
	case h.ruling.depth < len(h.chain):
		return refuse(CodeInvalidRequest, "subject_token", "the chain is longer than the policy allows")
	}
	return nil
}

// askAlone asks for what was granted at one resource, within exactly that.
func (h *hop) askAlone(ctx context.Context, a lineage.Access, scopes []string, granted lineage.Authority) (ruling, error) {
	ceiling := lineage.Authority{Access: []lineage.Access{a}, Details: granted.Details, Depth: granted.Depth}.Normal()
	h.req.Details = nil
	if len(granted.Details) > 0 {
		h.req.Details, _ = json.Marshal(granted.Details) // canonical objects: cannot fail
	}
	return h.ask(ctx, []string{a.Resource}, scopes, &ceiling)
}
