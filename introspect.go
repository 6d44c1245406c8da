package tokenboundary

import (
	"context"
	"errors"
)

// State is what Introspect answers. The zero value is inactive.
type State struct {
	Active bool
	Claims Claims // zero unless Active
}

// Introspect reports whether a token of ours is active now (RFC 7662). To a resource, a token that is not for it is
// inactive, and so is one whose recheck interval is over and that would not be issued now. By must be a
// resource or an operator. Of a store over a network that is one round trip (store.Looker), and another where the token is
// decided anew.
func (g *Governor) Introspect(ctx context.Context, by Client, raw string) (State, error) {
	if err := g.mayRead(by, KindResource, KindOperator); err != nil {
		return State{}, err
	}
	claims, id, no := g.signed(ctx, raw) // of no use to who may not ask
	e, err := g.entryFor(ctx, by, id)
	switch err = claims.backed(e, err); {
	case errors.Is(err, ErrUnavailable): // whatever else it wraps
		return State{}, err
	case errors.Is(err, ErrNotFound) && errors.Is(no, ErrUnavailable):
		return State{}, no
	case errors.Is(err, ErrNotFound), errors.Is(err, errDiffers):
		return State{}, nil
	case err != nil:
		return State{}, err
	}
	return g.activeTo(ctx, by, e)
}
