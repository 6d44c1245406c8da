package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Retention says for how long what is over is kept. The zero value keeps everything.
type Retention struct {
	// Keep is for how long a record stays at least after it has ended: a denial after it was made. Zero: for good. A record
	// stays beyond that for as long as anything ever lived here at most, by which nothing derived from it can live either.
	Keep time.Duration
	// Evidence is how old the evidence behind a request can be at most: a login (auth_time), a credential. Revocations stay
	// for so long beyond what they can have cut. After that, evidence as old as a revocation that was forgotten is refused:
	// a value that is too small lets nothing live that was cut. Zero: 30 days.
	Evidence time.Duration
}

// defaultEvidence is longer than most providers let a session last.
const defaultEvidence = 30 * 24 * time.Hour

// Pruned is what was forgotten.
type Pruned struct {
	Records     int `json:"records"`
	Revocations int `json:"revocations"` // entries of the feed
	// Complete is false where the context ended first. The next call goes on.
	Complete bool `json:"complete"`
}

// pruneSlice is how much is forgotten in one write, beside which others take their turns.
const pruneSlice = 256

// Prune forgets what is over and need not be kept any more: records, with what was counted and kept beside them, the values
// that facts had when nothing that is kept was decided on them, entries of the revocation feed, and the marks that they left.
//
// Marks of sessions and of keys stay, and those that block: a provider may present a session again at any time, and a key
// never comes back. So does a lease that its broker has not ended, and the newest entry of the feed, by which a reader that
// was away for long knows the feed again.
//
// It works in small writes, and can end between any two of them. By must be an operator. Where ctx ends first the result is
// not complete and the error nil. A store that keeps everything is an error that wraps [errors.ErrUnsupported].
func (g *Governor) Prune(ctx context.Context, by Client, r Retention) (Pruned, error) {
	if !by.is(KindOperator) {
		return Pruned{}, g.answer(ctx, by, ErrForbidden)
	}
	if r.Keep < 0 || r.Evidence < 0 {
		return Pruned{}, g.answer(ctx, by, fmt.Errorf("%w: retention", ErrInvalid))
	}
	now := g.now()
	if err := g.change(ctx, by, g.tx(now)); err != nil { // so that the store knows what time it is
		return Pruned{}, err
	}
	if r.Keep == 0 {
		return Pruned{Complete: true}, nil
	}
	if r.Evidence == 0 {
		r.Evidence = defaultEvidence
	}
	life, err := g.longestLife(ctx)
	if err != nil {
		return Pruned{}, err
	}
	p, err := g.pruning(ctx)
	if err != nil {
		return Pruned{}, err
	}
	ended := now.Add(-r.Keep - 2*g.cfg.Lifetimes.ClockLeeway)
	issued := ended.Add(-life)
	if err = p.pruneRecords(ctx, ended, issued); err == nil {
		err = p.pruneFeed(ctx, issued.Add(-r.Evidence))
	}
	if err != nil && ctx.Err() == nil {
		return p.out, err
	}
	p.out.Complete = err == nil
	if p.out.Records+p.out.Revocations > 0 {
		g.cfg.Logger.InfoContext(ctx, "what is over was forgotten", "client", by.ID,
			"records", p.out.Records, "revocations", p.out.Revocations, "complete", p.out.Complete)
	}
	return p.out, nil
}

// pruning forgets, slice by slice.
type pruning struct {
	g     *Governor
	store store.Forgetter
	facts map[string]uint64 // the versions below which nothing is kept, by fact
	out   Pruned
}

// pruning returns what forgets, unless the store keeps everything.
func (g *Governor) pruning(ctx context.Context) (*pruning, error) {
	f, ok := g.cfg.Store.(store.Forgetter)
	if !ok {
		return nil, errKeeps
	}
	p := &pruning{g: g, store: f, facts: map[string]uint64{}}
	return p, p.forget(ctx, store.Removal{})
}

// errKeeps is the answer where the store keeps everything.
var errKeeps = fmt.Errorf("tokenboundary: the store keeps everything: %w", errors.ErrUnsupported)

// forget makes a removal. What has changed meanwhile is errStale.
func (p *pruning) forget(ctx context.Context, r store.Removal) error {
	r.Issuer, r.Leeway = p.g.cfg.Issuer, p.g.cfg.Lifetimes.ClockLeeway
	err := p.store.Forget(ctx, r)
	switch {
	case errors.Is(err, store.ErrConflict):
		return errStale
	case errors.Is(err, errors.ErrUnsupported):
		return errKeeps
	case err != nil:
		return unavailable("store", err)
	}
	return nil
}

// again calls f until it meets no change that was made at the same time.
func again(f func() error) error {
	for range contended {
		if err := f(); !errors.Is(err, errStale) {
			return err
		}
	}
	return unavailable("store", errStale)
}

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
