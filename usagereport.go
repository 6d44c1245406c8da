package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// report is a report of use against what is known of its tokens.
type report struct {
	g        *Governor
	resource string
	now      time.Time
	entries  map[lineage.ID]store.Entry
	heads    map[lineage.ID]store.Head
	counted  map[lineage.ID][]lineage.Usage // that has changed
	cuts     map[uint64]time.Time           // when a revocation was made, by its number
	late     []lineage.ID                   // used after they were revoked
	receipt  UsageReceipt
}

// readReport reads what there is of the tokens in uses, and counts the uses.
func (g *Governor) readReport(ctx context.Context, resource string, uses []Use) (*report, error) {
	r := &report{g: g, resource: resource, now: g.now(), receipt: UsageReceipt{Refused: []RefusedUse{}}}
	ids := make([]lineage.ID, 0, len(uses))
	seen := map[lineage.ID]bool{{}: true}
	for _, u := range uses {
		if !seen[u.Token] {
			seen[u.Token] = true
			ids = append(ids, u.Token)
		}
	}
	if err := r.read(ctx, ids); err != nil {
		return nil, err
	}
	for i, u := range uses {
		why, err := r.add(ctx, u)
		switch {
		case err != nil:
			return nil, err
		case why != "":
			r.receipt.Refused = append(r.receipt.Refused, RefusedUse{i, u.Token, why})
		default:
			r.receipt.Accepted++
		}
	}
	return r, nil
}

func (r *report) read(ctx context.Context, ids []lineage.ID) error {
	g := r.g
	r.entries, r.heads = make(map[lineage.ID]store.Entry, len(ids)), make(map[lineage.ID]store.Head, len(ids))
	r.counted, r.cuts = map[lineage.ID][]lineage.Usage{}, map[uint64]time.Time{}
	if len(ids) == 0 {
		return nil
	}
	found, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, ids)
	if err != nil {
		return unavailable("store", err)
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, usageKeys(ids))
	if err != nil {
		return unavailable("store", err)
	}
	for i, id := range ids {
		if rec := found[i].Record; rec.ID() == id && rec.Issuer == g.cfg.Issuer {
			r.entries[id], r.heads[id] = found[i], heads[i]
		}
	}
	return nil
}

// add counts one entry, or says why it does not count.
func (r *report) add(ctx context.Context, u Use) (UseError, error) {
	e := r.entries[u.Token]
	rec, leeway := e.Record, r.g.cfg.Lifetimes.ClockLeeway
	switch {
	case rec.Kind != lineage.KindToken || rec.Body == nil, r.resource == "", !slices.Contains(rec.Body.Audience, r.resource):
		return UseUnknown, nil
	case u.At.Before(rec.IssuedAt.Add(-leeway)), u.At.After(rec.ExpiresAt.Add(leeway)), u.At.After(r.now.Add(leeway)):
		return UseTime, nil
	}
	scopes := slices.Compact(slices.Sorted(slices.Values(u.Scopes)))
	granted := rec.Body.Granted.Scopes(r.resource)
	if slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(granted, s) }) {
		return UseScope, nil
	}
	late, err := r.afterItsEnd(ctx, e, u.At)
	if err != nil {
		return "", err
	}
	all, changed := r.counted[u.Token]
	if !changed {
		if all, err = usageIn(r.heads[u.Token]); err != nil {
			return "", err
		}
	}
	i := slices.IndexFunc(all, func(have lineage.Usage) bool { return have.Resource == r.resource })
	if i < 0 {
		i, all = len(all), append(all, lineage.Usage{Resource: r.resource})
	}
	n := max(u.Count, 1)
	all[i].Add(within(u.At, rec.IssuedAt, rec.ExpiresAt, r.now), scopes, n)
	if late {
		all[i].Revoked += n
		r.late = append(r.late, u.Token)
	}
	r.counted[u.Token] = all
	return "", nil
}

// within brings a time that clocks may differ about into the life of a token, and not into the future.
func within(at, from, to, now time.Time) time.Time {
	at = lineage.Time(at)
	for _, end := range []time.Time{to, now} {
		if at.After(end) {
			at = end
		}
	}
	if at.Before(from) {
		at = from
	}
	return at
}

// afterItsEnd reports whether a token was used when it was revoked already, by more than clocks may differ.
func (r *report) afterItsEnd(ctx context.Context, e store.Entry, at time.Time) (bool, error) {
	for _, m := range e.Marks {
		if !m.Kills(e.Record.Since) {
			continue
		}
		cut, err := r.madeAt(ctx, m.Seq)
		if err != nil {
			return false, err
		}
		if at.After(cut.Add(r.g.cfg.Lifetimes.ClockLeeway)) {
			return true, nil
		}
	}
	return false, nil
}

// madeAt returns when the revocation with the number was made; of one that is not in the feed any more, the zero time: it
// is longer ago than anything is kept.
func (r *report) madeAt(ctx context.Context, seq uint64) (time.Time, error) {
	at, known := r.cuts[seq]
	if known || seq == 0 {
		return at, nil
	}
	for entry, err := range r.g.cfg.Store.Feed(ctx, r.g.cfg.Issuer, seq-1) {
		if err != nil && !errors.Is(err, store.ErrGone) {
			return at, unavailable("store", err)
		}
		if entry.Seq == seq {
			at = entry.At
		}
		break
	}
	r.cuts[seq] = at
	return at, nil
}

// transaction returns the one write of what was counted.
func (r *report) transaction() (store.Tx, error) {
	tx := r.g.tx(r.now)
	for id, all := range r.counted {
		value, err := json.Marshal(all)
		if err != nil {
			return tx, fmt.Errorf("usage: %w", err)
		}
		// Usage has no end of its own: it is small, and evidence for as long as the record is (Prune, Erase).
		tx.Swaps = append(tx.Swaps, store.Swap{Key: usageKey(id), Version: r.heads[id].Version, State: "set", Value: value})
	}
	return tx, nil
}
