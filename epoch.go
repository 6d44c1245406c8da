package tokenboundary

import (
	"context"
	"errors"
	"strconv"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// epochKey is the head that holds where the revocation feed begins.
const epochKey = "feed:epoch"

// epoch returns the position that the feed of this store begins behind: a store's own numbers begin at 1, and a position
// in one store must not be one in the store that replaced it. It follows from the time at which the store was first
// used, in milliseconds, with room for 4096 entries in each; until 2039 it stays below 2^53, which every JSON reader can hold.
func (g *Governor) epoch(ctx context.Context) (uint64, error) {
	for range attempts {
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{epochKey})
		if err != nil {
			return 0, unavailable("store", err)
		}
		if base, err := strconv.ParseUint(string(heads[0].Value), 10, 63); err == nil && base != 0 {
			return base, nil
		}
		if err := g.commit(ctx, g.newEpoch(heads[0])); err != nil && !errors.Is(err, store.ErrConflict) {
			return 0, err
		}
	}
	return 0, unavailable("feed", errStale)
}

// newEpoch returns the write that lets the feed begin at the present time.
func (g *Governor) newEpoch(old store.Head) store.Tx {
	tx := g.tx(g.now())
	base := max(tx.Time.UnixMilli(), 1) << 12
	if was, err := strconv.ParseInt(string(old.Value), 10, 64); err == nil && base <= was {
		base = was + 1<<32 // the clock went back, or has not moved: beyond what can have been written
	}
	tx.Swaps = []store.Swap{{Key: epochKey, Version: old.Version, State: "set", Value: strconv.AppendInt(nil, base, 10)}}
	return tx
}

// place returns the position in the store for one that a reader of the feed has; ErrGone where it is of another store.
func (g *Governor) place(ctx context.Context, after uint64) (inStore, base uint64, err error) {
	base, err = g.epoch(ctx)
	switch {
	case err != nil:
		return 0, 0, err
	case after == 0:
		return 0, base, nil
	case after < base:
		return 0, 0, ErrGone
	}
	return after - base, base, nil
}

// entryOf returns a feed entry as its readers see it.
func entryOf(r lineage.Revocation, base uint64, by Client) lineage.Revocation {
	r.Seq += base
	if by.Kind != KindOperator {
		r.Reason, r.By = "", ""
	}
	return r
}

// RenewFeed lets the feed begin anew: every position that a reader has is then ErrGone. It is for a store that was
// restored from a copy, in which entries that readers have seen are missing. What was used up since may be whole in it: every
// refresh token and pending decision from before is nobody's any more. Tokens end with their keys, which the caller revokes.
// By must be an operator. No other Governor may use the store meanwhile: it would go on with what it knows.
func (g *Governor) RenewFeed(ctx context.Context, by Client) error {
	if !by.is(KindOperator) {
		return g.answer(ctx, by, ErrForbidden)
	}
	for range attempts {
		heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{epochKey, secretKey})
		if err != nil {
			return unavailable("store", err)
		}
		tx := g.newEpoch(heads[0])
		tx.Swaps = append(tx.Swaps, newSecret(heads[1]))
		switch err := g.change(ctx, by, tx); {
		case err == nil:
			g.secret.Store(nil)
			g.written.wake()
			return nil
		case !errors.Is(err, ErrConflict):
			return err
		}
	}
	return unavailable("feed", errStale)
}
