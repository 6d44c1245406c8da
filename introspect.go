package tokenboundary

import (
	"context"
	"errors"
	"iter"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// State is what Introspect answers. The zero value is inactive.
type State struct {
	Active bool
	Claims Claims // zero unless Active
}

// Introspect reports whether a token of ours is active now (RFC 7662). To a resource, a token that is not for it is
// inactive. By must be a resource or an operator.
func (g *Governor) Introspect(ctx context.Context, by Client, raw string) (State, error) {
	if err := g.reads(by, KindResource, KindOperator); err != nil {
		return State{}, err
	}
	e, err := g.own(ctx, raw)
	switch {
	case errors.Is(err, ErrUnavailable):
		return State{}, err
	case err != nil, stateOf(e, g.now()) != lineage.Active:
		return State{}, nil
	case by.Kind == KindResource && (by.Resource == "" || !slices.Contains(e.Record.Body.Audience, by.Resource)):
		return State{}, nil
	}
	return State{true, claimsOf(e.Record)}, nil
}

// Lineage returns the records from the root grant to the one named, root first, with their states. By must be an
// operator.
func (g *Governor) Lineage(ctx context.Context, by Client, id lineage.ID) ([]lineage.Node, error) {
	if err := g.reads(by, KindOperator); err != nil {
		return nil, err
	}
	e, err := g.entry(ctx, id)
	if err != nil {
		return nil, err
	}
	above, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, e.Record.Ancestors)
	if err != nil {
		return nil, unavailable("store", err)
	}
	now, out := g.now(), make([]lineage.Node, 0, len(above)+1)
	for _, x := range append(above, e) {
		if !x.Record.ID().IsZero() {
			out = append(out, lineage.Node{Record: x.Record, State: stateOf(x, now)})
		}
	}
	return out, nil
}

// Descendants yields everything that came from a record, in time order: what was derived from it, and what was denied.
// By must be an operator.
func (g *Governor) Descendants(ctx context.Context, by Client, id lineage.ID) iter.Seq2[lineage.Node, error] {
	return func(yield func(lineage.Node, error) bool) {
		if err := g.reads(by, KindOperator); err != nil {
			yield(lineage.Node{}, err)
			return
		}
		if _, err := g.entry(ctx, id); err != nil {
			yield(lineage.Node{}, err)
			return
		}
		sel := lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}
		for r, err := range g.cfg.Store.Scan(ctx, g.cfg.Issuer, sel, lineage.ID{}) {
			if err != nil {
				yield(lineage.Node{}, unavailable("store", err))
				return
			}
			if r.ID() == id {
				continue
			}
			e, err := g.entry(ctx, r.ID())
			if !yield(lineage.Node{Record: e.Record, State: stateOf(e, g.now())}, err) || err != nil {
				return
			}
		}
	}
}

// Health says whether the boundary can decide.
type Health struct {
	Ready bool `json:"ready"`
	// Unauthenticated counts requests that were nobody's, Unrecorded denials that could not be recorded, since start.
	Unauthenticated uint64 `json:"unauthenticated"`
	Unrecorded      uint64 `json:"unrecorded_denials"`
}

// Health reports whether the store answers and a key can sign. It needs no client.
func (g *Governor) Health(ctx context.Context) Health {
	h := Health{Unauthenticated: g.unauthenticated.Load(), Unrecorded: g.unrecorded.Load()}
	_, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{envKey})
	if err == nil && g.cfg.Minter != nil {
		_, err = g.cfg.Minter.Key(ctx)
	}
	h.Ready = err == nil
	return h
}
