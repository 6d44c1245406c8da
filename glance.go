package tokenboundary

import (
	"context"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// glance is what is read at once for many records that are decided anew: what they were made from, and the facts that
// concern them. A nil glance knows nothing, and everything is read when it is asked for.
type glance struct {
	records map[lineage.ID]*lineage.Record
	heads   map[string]store.Head
	whole   bool // what it does not know is not there
}

// maxGlance bounds how many records a glance keeps from one batch to the next.
const maxGlance = 2048

// look reads what deciding the batch anew will ask for.
func (s *glance) look(ctx context.Context, g *Governor, batch []store.Entry) error {
	if len(s.records) > maxGlance || s.records == nil {
		s.records = map[lineage.ID]*lineage.Record{}
	}
	var keys []string
	for _, e := range batch {
		r := e.Record
		s.records[r.ID()] = &r
		keys = append(keys, about(r.Body.Client, r.Body.Subject, r.Body.Actors, r.Body.Session.ID)...)
	}
	slices.Sort(keys)
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, slices.Compact(keys))
	if err != nil {
		return unavailable("store", err)
	}
	s.heads = map[string]store.Head{}
	for _, h := range heads {
		if h.Key == envKey && h.Version == 0 {
			if h, err = g.firstFacts(ctx); err != nil {
				return err
			}
		}
		s.heads[h.Key] = h
	}
	return s.parents(ctx, g, batch)
}

// parents reads the parents of the batch that are not known yet.
func (s *glance) parents(ctx context.Context, g *Governor, batch []store.Entry) error {
	var missing []lineage.ID
	for _, e := range batch {
		if p := firstOf(e.Record.Parents); !p.IsZero() {
			if _, known := s.records[p]; !known {
				missing = append(missing, p)
				s.records[p] = nil
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	found, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, missing)
	if err != nil {
		return unavailable("store", err)
	}
	for i := range found {
		s.records[missing[i]] = &found[i].Record
	}
	return nil
}

// record returns a record by its id; of one that is not known, by reading it.
func (s *glance) record(ctx context.Context, g *Governor, id lineage.ID) (lineage.Record, error) {
	if s != nil {
		if r := s.records[id]; r != nil && r.ID() == id {
			return *r, nil
		}
		if s.whole {
			return lineage.Record{}, fmt.Errorf("%w: record", ErrNotFound)
		}
	}
	e, err := g.entry(ctx, id)
	return e.Record, err
}

// concerning returns the heads of the facts that concern the hop, env first.
func (s *glance) concerning(ctx context.Context, h *hop) ([]store.Head, error) {
	if s != nil && s.whole && len(s.heads) == 1 { // only env, which there always is
		return []store.Head{s.heads[envKey]}, nil
	}
	return s.facts(ctx, h.g, about(h.client.ID, h.subject, h.chain, h.session.ID))
}

// facts returns the heads with the keys, in order; where one is not known, all by reading them.
func (s *glance) facts(ctx context.Context, g *Governor, keys []string) ([]store.Head, error) {
	if s == nil {
		return g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys)
	}
	out := make([]store.Head, 0, len(keys))
	for _, key := range keys {
		h, known := s.heads[key]
		if !known && !s.whole {
			break
		}
		h.Key = key
		out = append(out, h)
	}
	if len(out) == len(keys) {
		return out, nil
	}
	return g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys)
}
