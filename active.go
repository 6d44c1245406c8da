package tokenboundary

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Active is Introspect for a host that mints its own tokens: of a token it names the decision, and of a refresh token the
// family (Decision.ID, Decision.Family). Claims are those that a token of ours would have. It is inactive where nothing of
// this id was recorded, or what is neither a token nor a refresh family. Whether a token of the host is the one that was
// recorded, the host knows. By must be a resource or an operator.
func (g *Governor) Active(ctx context.Context, by Client, id lineage.ID) (State, error) {
	if err := g.mayRead(by, KindResource, KindOperator); err != nil {
		return State{}, err
	}
	e, err := g.entryFor(ctx, by, id)
	switch {
	case errors.Is(err, ErrNotFound) && !errors.Is(err, ErrUnavailable):
		return State{}, nil
	case err != nil:
		return State{}, err
	}
	return g.activeTo(ctx, by, e)
}

// activeTo returns what a client is told of a token or a refresh family: that it may be relied on now, and what it says, or
// nothing at all. Of a family, every use is a decision, so that it is not decided here besides.
func (g *Governor) activeTo(ctx context.Context, by Client, e store.Entry) (State, error) {
	token := e.Record.Kind == lineage.KindToken
	switch {
	case !token && e.Record.Kind != lineage.KindGrant, stateOf(e, g.latest()) != lineage.Active:
		return State{}, nil
	case by.Kind == KindResource && (by.Resource == "" || !slices.Contains(e.Record.Body.Audience, by.Resource)):
		return State{}, nil
	}
	if token {
		if no, err := g.rechecked(ctx, e); no != nil || err != nil {
			return State{}, err
		}
	}
	c := claimsOf(e.Record)
	c.Audience, c.AMR, c.Details = slices.Clone(c.Audience), slices.Clone(c.AMR), slices.Clone(c.Details)
	return State{true, c}, nil
}
