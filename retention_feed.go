package tokenboundary

import (
	"context"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// pruneFeed forgets the entries of the feed that were over before a moment, the oldest first, and the marks that nothing
// else has changed since. What they cut is dead by its age from then on.
func (p *pruning) pruneFeed(ctx context.Context, before time.Time) error {
	for {
		n := 0
		err := again(func() error {
			entries, err := p.oldestEntries(ctx, before)
			if n = len(entries); err != nil || n == 0 {
				return err
			}
			marks, err := p.left(ctx, entries)
			if err != nil {
				return err
			}
			return p.forget(ctx, store.Removal{Marks: marks, Floor: everything, Feed: entries[n-1].Seq})
		})
		if err != nil || n == 0 {
			return err
		}
		p.out.Revocations += n
	}
}

// oldestEntries reads the oldest entries of the feed that are over, up to a slice, but not the newest of all.
func (p *pruning) oldestEntries(ctx context.Context, before time.Time) (out []lineage.Revocation, err error) {
	for e, err := range p.g.cfg.Store.Feed(ctx, p.g.cfg.Issuer, 0) {
		switch {
		case err != nil:
			return nil, unavailable("store", err)
		case len(out) == pruneSlice || !e.At.Before(before) || !e.Before.Before(before):
			return out, nil
		}
		out = append(out, e)
	}
	return out[:max(len(out)-1, 0)], nil
}

// left returns the marks that these entries have left and that may go with them.
func (p *pruning) left(ctx context.Context, entries []lineage.Revocation) ([]lineage.Mark, error) {
	sels := make([]lineage.Selector, len(entries))
	for i, e := range entries {
		sels[i] = e.Selector
	}
	marks, err := p.g.cfg.Store.Revoked(ctx, p.g.cfg.Issuer, lineage.Union(sels))
	if err != nil {
		return nil, unavailable("store", err)
	}
	newest := entries[len(entries)-1].Seq
	return slices.DeleteFunc(marks, func(m lineage.Mark) bool {
		stays := m.Selector.Kind == lineage.SelectSession || m.Selector.Kind == lineage.SelectKey || m.Selector == everything
		return stays || m.Blocked || m.Seq > newest
	}), nil
}
