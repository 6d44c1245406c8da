package tokenboundary

import (
	"context"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// pruneRecords forgets the records that were issued and have ended before these moments. It walks them in the order of
// time: by the time of issue it ends, and nothing is looked at twice that is kept.
func (p *pruning) pruneRecords(ctx context.Context, ended, issued time.Time) error {
	for from := (store.Position{}); ; {
		batch, err := p.oldest(ctx, from, ended, issued)
		if err != nil || len(batch) == 0 {
			return err
		}
		last, dropped := batch[len(batch)-1], false
		err = again(func() (err error) {
			dropped, err = p.drop(ctx, batch)
			return err
		})
		if err != nil {
			return err
		}
		from = store.Position{Since: last.IssuedAt}
		if !dropped {
			from = store.Position{After: last.ID()}
		}
	}
}

// oldest reads the next records that are over, up to a slice.
func (p *pruning) oldest(ctx context.Context, from store.Position, ended, issued time.Time) (out []lineage.Record, err error) {
	for r, err := range p.store.Records(ctx, p.g.cfg.Issuer, from) {
		switch {
		case err != nil:
			return nil, unavailable("store", err)
		case !r.IssuedAt.Before(issued):
			return out, nil
		case r.ExpiresAt.IsZero() || r.ExpiresAt.Before(ended):
			out = append(out, r)
		}
		if len(out) == pruneSlice {
			break
		}
	}
	return out, nil
}

// drop forgets records and what is kept beside them, and reports whether it has forgotten any.
func (p *pruning) drop(ctx context.Context, batch []lineage.Record) (bool, error) {
	heads, err := p.beside(ctx, batch)
	if err != nil {
		return false, err
	}
	var r store.Removal
	facts := map[string]uint64{}
	for _, rec := range batch {
		own := heads[rec.ID()]
		if rec.Kind == lineage.KindLease && open(own[leaseKey(rec.ID())]) {
			continue
		}
		r.Records = append(r.Records, rec.ID())
		for _, h := range own {
			r.Heads = append(r.Heads, store.HeadVersion{Key: h.Key, Version: h.Version})
		}
		if rec.Body != nil {
			for key, version := range rec.Body.Facts {
				facts[key] = max(facts[key], version)
			}
		}
	}
	if len(r.Records) == 0 {
		return false, nil
	}
	for key, version := range facts { // first: when the records are gone, nothing says which facts there were
		if err := p.history(ctx, key, max(p.facts[key], 1), version); err != nil {
			return false, err
		}
		p.facts[key] = max(p.facts[key], version)
	}
	if err := p.forget(ctx, r); err != nil {
		return false, err
	}
	p.out.Records += len(r.Records)
	return true, nil
}

// open reports whether a broker still has to end a lease with this head. One without has ended.
func open(lease store.Head) bool { return lease.Version > 0 && lease.State != string(LeaseEnded) }

// beside returns the heads that are about one record each and do not expire, those that were written, by their keys.
func (p *pruning) beside(ctx context.Context, batch []lineage.Record) (map[lineage.ID]map[string]store.Head, error) {
	const each = 4
	keys := make([]string, 0, each*len(batch))
	for _, r := range batch {
		id := r.ID()
		own := id.String()
		keys = append(keys, usageKey(id), taskKey(id), lineage.Selector{Kind: lineage.SelectToken, Value: own}.String(),
			lineage.Selector{Kind: lineage.SelectGrant, Value: own}.String())
	}
	heads, err := p.g.cfg.Store.Heads(ctx, p.g.cfg.Issuer, keys)
	if err != nil {
		return nil, unavailable("store", err)
	}
	out := make(map[lineage.ID]map[string]store.Head, len(batch))
	for i, h := range heads {
		if h.Version == 0 && h.Count == 0 {
			continue
		}
		id := batch[i/each].ID()
		if out[id] == nil {
			out[id] = map[string]store.Head{}
		}
		out[id][h.Key] = h
	}
	return out, nil
}

// history forgets what the versions of a fact were from one on, and below another. They are kept without a gap, so that it
// looks downwards until one is not there; and forgotten from the lowest on, so that it can end at any of them.
func (p *pruning) history(ctx context.Context, key string, from, below uint64) error {
	var kept []store.HeadVersion // the highest first
	for low := below; low > from; {
		high := low
		low = max(from, high-min(high, pruneSlice))
		keys := make([]string, 0, high-low)
		for v := high; v > low; v-- {
			keys = append(keys, pastKey(key, v-1))
		}
		heads, err := p.g.cfg.Store.Heads(ctx, p.g.cfg.Issuer, keys)
		if err != nil {
			return unavailable("store", err)
		}
		for _, h := range heads {
			if h.Version == 0 {
				low = from
				break
			}
			kept = append(kept, store.HeadVersion{Key: h.Key, Version: h.Version})
		}
	}
	for end := len(kept); end > 0; end -= min(end, pruneSlice) {
		if err := p.forget(ctx, store.Removal{Heads: kept[end-min(end, pruneSlice) : end]}); err != nil {
			return err
		}
	}
	return nil
}
