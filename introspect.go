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
// resource or an operator.
func (g *Governor) Introspect(ctx context.Context, by Client, raw string) (State, error) {
	if err := g.reads(ctx, by, KindResource, KindOperator); err != nil {
		return State{}, err
	}
	e, err := g.own(ctx, raw)
	switch {
	case errors.Is(err, ErrUnavailable):
		return State{}, err
	case err != nil:
		return State{}, nil
	}
	return g.activeTo(ctx, by, e)
}
