package tokenboundary

import (
	"context"
	"iter"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// traceBatch is how many records Descendants reads the state of at once.
const traceBatch = 32

// Lineage returns the records from the root grant to the one named, root first, with their states. By must be an
// operator.
func (g *Governor) Lineage(ctx context.Context, by Client, id lineage.ID) ([]lineage.Node, error) {
	if err := g.reads(ctx, by, KindOperator); err != nil {
		return nil, err
	}
	e, err := g.entry(ctx, id)
	if err != nil {
		return nil, err
	}
	above, err := g.nodes(ctx, e.Record.Ancestors)
	if err != nil {
		return nil, err
	}
	return g.used(ctx, append(above, lineage.Node{Record: e.Record, State: stateOf(e, g.latest())}))
}

// used adds what was reported of the use of each token.
func (g *Governor) used(ctx context.Context, nodes []lineage.Node) ([]lineage.Node, error) {
	ids := make([]lineage.ID, len(nodes))
	for i, n := range nodes {
		ids[i] = n.Record.ID()
	}
	usage, err := UsageOf(ctx, g.cfg.Store, g.cfg.Issuer, ids)
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		nodes[i].Usage = usage[i]
	}
	return nodes, nil
}

// Descendants yields everything that came from a record, in time order: what was derived from it, and what was denied.
// By must be an operator.
func (g *Governor) Descendants(ctx context.Context, by Client, id lineage.ID) iter.Seq2[lineage.Node, error] {
	return func(yield func(lineage.Node, error) bool) {
		err := g.reads(ctx, by, KindOperator)
		if err == nil {
			_, err = g.entry(ctx, id)
		}
		if err == nil {
			err = g.descend(ctx, id, func(n lineage.Node) bool { return yield(n, nil) })
		}
		if err != nil {
			yield(lineage.Node{}, err)
		}
	}
}

// descend calls yield for everything below id until it returns false.
func (g *Governor) descend(ctx context.Context, id lineage.ID, yield func(lineage.Node) bool) error {
	var batch []lineage.ID
	more := true
	flush := func() error {
		found, err := g.nodes(ctx, batch)
		batch = batch[:0]
		if err == nil {
			found, err = g.used(ctx, found)
		}
		for _, n := range found {
			if more = more && yield(n); !more {
				break
			}
		}
		return err
	}
	sel := lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}
	for r, err := range g.cfg.Store.Scan(ctx, g.cfg.Issuer, sel, store.Position{}) {
		if err != nil {
			return unavailable("store", err)
		}
		if r.ID() != id {
			batch = append(batch, r.ID())
		}
		if len(batch) == traceBatch {
			if err := flush(); err != nil || !more {
				return err
			}
		}
	}
	return flush()
}

// nodes returns the records of ids that are there, with their states.
func (g *Governor) nodes(ctx context.Context, ids []lineage.ID) ([]lineage.Node, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	entries, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, ids)
	if err != nil {
		return nil, unavailable("store", err)
	}
	now, out := g.latest(), make([]lineage.Node, 0, len(entries)+1)
	for _, e := range entries {
		if !e.Record.ID().IsZero() {
			out = append(out, lineage.Node{Record: e.Record, State: stateOf(e, now)})
		}
	}
	return out, nil
}
