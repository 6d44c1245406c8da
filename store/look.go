package store

import (
	"context"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Looker is a Store that answers Get and Revoked in one round trip, and of one moment. It is an optional power: without it the two
// are asked one after the other. It is worth having where a round trip costs more than what it carries: over a network.
type Looker interface {
	Store
	// Look returns what Get returns of ids, and what Revoked returns of sels. Either may be empty.
	Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]Entry, []lineage.Mark, error)
}

// Look asks s for records and for marks: at once where it is a Looker, and otherwise for the marks first.
func Look(ctx context.Context, s Store, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]Entry, []lineage.Mark, error) {
	if l, ok := s.(Looker); ok {
		return l.Look(ctx, issuer, ids, sels)
	}
	marks, err := s.Revoked(ctx, issuer, sels)
	if err != nil {
		return nil, nil, err
	}
	entries, err := s.Get(ctx, issuer, ids)
	if err != nil {
		return nil, nil, err
	}
	return entries, marks, nil
}

// Look implements Looker for a Store that is one, and for any other asks twice.
func (c *coalescer) Look(ctx context.Context, issuer string, ids []lineage.ID, sels []lineage.Selector) ([]Entry, []lineage.Mark, error) {
	return Look(ctx, c.Store, issuer, ids, sels)
}
