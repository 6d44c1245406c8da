package tokenboundary

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// redecide asks whether all that a record stands for would be granted now: to the client as it is registered now, on the
// present facts, by the policy in force. The result is a refusal where it would not; the hop is for its record.
//
// It changes nothing, and asks only what a decision can have changed: what a record comes from is not looked at again.
func (g *Governor) redecide(ctx context.Context, e store.Entry, seen *glance) (*hop, *refusal, error) {
	h, err := g.again(ctx, e, seen)
	var no *refusal
	if errors.As(err, &no) {
		return h, no, nil
	}
	return h, nil, err
}

// again is the hop of what a record stands for, on its way through the decision once more.
func (g *Governor) again(ctx context.Context, e store.Entry, seen *glance) (*hop, error) {
	b := e.Record.Body
	now := g.now()
	h := &hop{
		g: g, now: now, since: now, mints: true, seen: seen, grant: Grant(b.GrantType), parent: &e, approved: b.Approved, lease: b.Lease, key: b.Bound,
		subject: b.Subject, session: b.Session, carried: b.Actors, chain: b.Actors, connection: b.Connection,
		client: Client{ID: b.Client, Kind: ClientKind(b.ClientKind)},
		req: Request{
			Grant: Grant(b.GrantType), Connection: b.Connection, Lifetime: b.Requested.Lifetime,
			Resource: b.Requested.Resources, Scopes: b.Requested.Scopes,
		},
	}
	if err := h.registered(ctx, e.Record); err != nil {
		return h, err
	}
	var err error
	if h.above, err = g.tokenAbove(ctx, e.Record, seen); err != nil {
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

// holds decides each resource of what was granted by itself, and refuses where less would be granted now.
func (h *hop) holds(ctx context.Context, r lineage.Record) error {
	granted, asked := r.Body.Granted, h.req.Scopes
	var first error // the others are asked all the same, for what is said of them
	for _, a := range granted.Access {
		scopes := a.Scopes
		if (r.Kind == lineage.KindToken || r.Kind == lineage.KindLease) && len(asked) > 0 {
			scopes = asked
		}
		one, err := h.askAlone(ctx, a, scopes, granted)
		switch {
		case errors.Is(err, ErrUnavailable):
			return err
		case err == nil && slices.Equal(one.access[0].Scopes, a.Scopes):
			h.ruling = h.ruling.and(one)
			continue
		case err == nil:
			err = refuse(CodeInvalidScope, "scope", whyLess)
		}
		h.ruling.reasons, h.ruling.said = append(h.ruling.reasons, one.reasons...), append(h.ruling.said, one.said...)
		if first == nil {
			first = err
		}
	}
	details := lineage.Authority{Details: h.ruling.details}.Normal().Details // of all resources together
	switch {
	case first != nil, len(granted.Access) == 0: // what a task token stands for is decided with the task
		return first
	case len(details) != len(granted.Details):
		return refuse(CodeInvalidDetails, "authorization_details", whyLess)
	case h.ruling.depth < len(h.chain):
		return refuse(CodeInvalidRequest, "subject_token", whyTooLong)
	}
	return nil
}

// askAlone asks for what was granted at one resource, within exactly that.
func (h *hop) askAlone(ctx context.Context, a lineage.Access, scopes []string, granted lineage.Authority) (ruling, error) {
	ceiling := lineage.Authority{Access: []lineage.Access{a}, Details: granted.Details, Depth: granted.Depth}.Normal()
	h.req.Details = detailsOf(granted.Details)
	return h.ask(ctx, []string{a.Resource}, scopes, &ceiling)
}
