package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// follows enters a store that another node has accepted. Whatever it trusted then is revoked; what is left are the keys of
// this node that it may not have known.
func (p *position) follows(ctx context.Context) error {
	kids, err := keysIn(p.dir)
	if err != nil {
		return err
	}
	var revoke []lineage.Revocation
	for _, kid := range kids {
		revoke = append(revoke, p.cut(kid))
	}
	return p.enter(ctx, p.name, revoke, false)
}

// accept takes the Governor that serves, and enters a store that has lost entries if it was left to be entered: its feed
// begins anew, every key that it trusts is revoked, and then it gets another id.
func (p *position) accept(ctx context.Context, g *tokenboundary.Governor, jwks func(context.Context) ([]byte, error)) error {
	if p == nil {
		return nil
	}
	if p.g = g; !p.lost {
		return nil
	}
	if err := p.g.RenewFeed(ctx, self); err != nil { // first: until the rest is done as well, the store stays unknown
		return err
	}
	raw, err := jwks(ctx)
	if err != nil {
		return err
	}
	var set struct {
		Keys []struct {
			Kid string `json:"kid"`
		} `json:"keys"`
	}
	if err := json.Unmarshal(raw, &set); err != nil {
		return fmt.Errorf("key set: %w", err)
	}
	var revoke []lineage.Revocation
	for _, k := range set.Keys {
		revoke = append(revoke, p.cut(k.Kid))
	}
	err = p.enter(ctx, name{InsteadOf: instead(p.name, p.seen.Store)}, revoke, false)
	if errors.Is(err, store.ErrConflict) {
		return errors.New("another node has accepted the store meanwhile: start again")
	}
	return err
}

// cut is the revocation of a key.
func (p *position) cut(kid string) lineage.Revocation {
	return lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectKey, Value: kid}, At: lineage.Time(p.clock.Now()), By: self.ID,
		Reason: "the store was accepted after it had lost entries",
	}
}

// instead returns the ids of the stores that one that is accepted in the place of old stands for, the last ones last.
func instead(old name, seen string) []string {
	out := old.InsteadOf
	for _, id := range []string{old.ID, seen} {
		if id != "" && !slices.Contains(out, id) {
			out = append(out, id)
		}
	}
	return out[max(0, len(out)-maxInsteadOf):]
}
