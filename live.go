package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// scanBatch is how many records a scan looks at together: their marks and heads are read at once.
const scanBatch = 256

// lifeKey is the head that holds how long anything lives at most that was ever issued here, in milliseconds.
const lifeKey = "limit:life"

// scan hands the records that carry the selector and may be alive, as far as keep wants them, to f, with all that is known
// of them, in batches and in time order. It walks one index, from where the oldest that can be alive was issued.
func (g *Governor) scan(
	ctx context.Context, sel lineage.Selector, after lineage.ID, keep func(lineage.Record) bool, f func([]store.Entry) error,
) error {
	life, err := g.longestLife(ctx)
	if err != nil {
		return err
	}
	now := g.now() // not the latest time seen: a clock that was ahead must not hide what other nodes take for alive
	from := store.Position{Since: now.Add(-life).Add(-2 * g.cfg.Lifetimes.ClockLeeway), After: after}
	var batch []lineage.Record
	flush := func() error {
		entries, err := g.entries(ctx, batch)
		batch = batch[:0]
		if err != nil || len(entries) == 0 {
			return err
		}
		return f(entries)
	}
	for r, err := range g.cfg.Store.Scan(ctx, g.cfg.Issuer, sel, from) {
		switch {
		case errors.Is(err, store.ErrInvalid):
			return fmt.Errorf("%w: no record to go on behind", ErrInvalid)
		case err != nil:
			return unavailable("store", err)
		}
		if r.Body == nil || r.Kind == lineage.KindDenial || !now.Before(r.ExpiresAt) || !keep(r) {
			continue
		}
		if batch = append(batch, r); len(batch) == scanBatch {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// entries returns what is known of records that were read already: the marks on their selectors and the heads of their
// tasks, and of leases. What they share is looked up once.
func (g *Governor) entries(ctx context.Context, records []lineage.Record) ([]store.Entry, error) {
	if len(records) == 0 {
		return nil, nil
	}
	sets := make([][]lineage.Selector, len(records))
	for i, r := range records {
		sets[i] = r.Selectors()
	}
	all := lineage.Union(sets...)
	found, err := g.cfg.Store.Revoked(ctx, g.cfg.Issuer, all)
	if err != nil {
		return nil, unavailable("store", err)
	}
	marks := map[lineage.Selector]lineage.Mark{}
	for _, m := range found {
		marks[m.Selector] = m
	}
	var keys []string
	for _, s := range all {
		if s.Kind == lineage.SelectTask {
			keys = append(keys, s.String())
		}
	}
	for _, r := range records {
		if r.Kind == lineage.KindLease {
			keys = append(keys, leaseKey(r.ID()))
		}
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys)
	if err != nil {
		return nil, unavailable("store", err)
	}
	out := make([]store.Entry, len(records))
	for i, r := range records {
		out[i].Record = r
		if at := slices.Index(keys, leaseKey(r.ID())); r.Kind == lineage.KindLease && at >= 0 {
			out[i].Heads = append(out[i].Heads, heads[at])
		}
		for _, s := range sets[i] {
			if m, ok := marks[s]; ok {
				out[i].Marks = append(out[i].Marks, m)
			}
			if at := slices.Index(keys, s.String()); s.Kind == lineage.SelectTask && at >= 0 {
				out[i].Heads = append(out[i].Heads, heads[at])
			}
		}
	}
	return out, nil
}

// longestLife returns how long anything lives at most that was ever issued here, by any node and under any
// configuration. It is written before this Governor issues anything.
func (g *Governor) longestLife(ctx context.Context) (time.Duration, error) {
	for range attempts {
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{lifeKey})
		if err != nil {
			return 0, unavailable("store", err)
		}
		ms, _ := strconv.ParseInt(string(heads[0].Value), 10, 64)
		have, want := time.Duration(ms)*time.Millisecond, g.cfg.Lifetimes.life()
		if have >= want {
			g.raised.Store(true)
			return have, nil
		}
		tx := g.tx(g.now())
		tx.Swaps = []store.Swap{{
			Key: lifeKey, Version: heads[0].Version, State: "set",
			Value: strconv.AppendInt(nil, (want + time.Millisecond - 1).Milliseconds(), 10),
		}}
		if err := g.commit(ctx, tx); err != nil && !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
	}
	return 0, unavailable("limits", errStale)
}
