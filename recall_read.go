package tokenboundary

import (
	"context"
	"iter"
	"maps"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// pastReader reads what decisions rested on: the records that they came from, and the facts as they were. It remembers
// both from one batch to the next, up to a bound.
type pastReader struct {
	Recall
	records map[lineage.ID]*lineage.Record
	facts   map[factVersion]pastFact
	// Of the decision before, in the same batch: what was seen, the versions of the facts and those that are unknown.
	seen     *glance
	env      *env
	versions map[string]uint64
	unknown  []string
}

// factVersion is one version of a head of facts.
type factVersion struct {
	key     string
	version uint64
}

// pastFact is what a version of a fact was; where that is gone, what the fact is now.
type pastFact struct {
	head store.Head
	gone bool
}

func (r Recall) reader() *pastReader {
	l := Lifetimes{ClockLeeway: max(r.Leeway, 0)}
	_ = l.complete() // fails for nothing but what is negative
	r.Leeway = l.ClockLeeway
	return &pastReader{Recall: r, records: map[lineage.ID]*lineage.Record{}, facts: map[factVersion]pastFact{}}
}

// read returns what is known of the batch, in order.
func (r *pastReader) read(ctx context.Context, batch []lineage.Record) ([]Past, error) {
	if len(r.records) > maxGlance {
		clear(r.records)
	}
	if len(r.facts) > maxGlance {
		clear(r.facts)
	}
	out := make([]Past, len(batch))
	for i, b := range batch {
		out[i] = Past{Record: b, Skip: r.skip(b), recall: &r.Recall}
	}
	above, err := r.above(ctx, out)
	if err != nil {
		return nil, err
	}
	if err := r.learn(ctx, out); err != nil {
		return nil, err
	}
	r.seen = nil
	for i := range out {
		if p := &out[i]; p.Skip == "" {
			if err := r.complete(p, above); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// origins yields the ids of what a record was made from in any way.
func origins(r *lineage.Record) iter.Seq[lineage.ID] {
	return func(yield func(lineage.ID) bool) {
		for _, id := range r.Ancestors {
			if !yield(id) {
				return
			}
		}
		if a := r.Body.Approved; a != nil && !yield(a.ID) {
			return
		}
		if id := r.Body.ActorToken; !id.IsZero() {
			yield(id)
		}
	}
}

// above returns the records that those of the batch were made from. One that is erased or gone is left out.
func (r *pastReader) above(ctx context.Context, batch []Past) (map[lineage.ID]*lineage.Record, error) {
	for i := range batch {
		if own := batch[i].Record; own.Kind != lineage.KindDenial { // nothing comes from one
			r.records[own.ID()] = &own
		}
	}
	needed := map[lineage.ID]*lineage.Record{}
	var missing []lineage.ID
	for i := range batch {
		p := &batch[i]
		if p.Skip != "" {
			continue
		}
		for id := range origins(&p.Record) {
			if _, asked := needed[id]; asked {
				continue
			}
			known, found := r.records[id]
			if needed[id] = known; !found {
				missing = append(missing, id)
			}
		}
	}
	if len(missing) == 0 {
		return needed, nil
	}
	found, err := r.Store.Get(ctx, r.Issuer, missing)
	if err != nil {
		return nil, unavailable("store", err)
	}
	for i := range found {
		own := found[i].Record
		needed[missing[i]], r.records[missing[i]] = &own, &own
	}
	return needed, nil
}

// learn reads the versions of the facts that the batch names and that are not known yet.
func (r *pastReader) learn(ctx context.Context, batch []Past) error {
	var missing []factVersion
	var keys []string
	for i := range batch {
		p := &batch[i]
		if p.Skip != "" {
			continue
		}
		for key, version := range p.Record.Body.Facts {
			f := factVersion{key, version}
			if _, known := r.facts[f]; !known {
				r.facts[f] = pastFact{}
				missing, keys = append(missing, f), append(keys, pastKey(key, version), key)
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	heads, err := r.Store.Heads(ctx, r.Issuer, keys)
	if err != nil {
		return unavailable("store", err)
	}
	for i, f := range missing {
		r.facts[f] = f.was(heads[2*i], heads[2*i+1])
	}
	return nil
}

// was returns the fact as it was, or, where that is not known any more, as it is.
func (f factVersion) was(kept, present store.Head) pastFact {
	head := store.Head{Key: f.key, Version: f.version, State: "set", Value: kept.Value}
	if kept.Version > 0 {
		return pastFact{head, false}
	}
	if head.Value = present.Value; present.Version == 0 && f.key == envKey {
		head.Value = []byte("{}")
	} else if present.Version == 0 {
		head = store.Head{Key: f.key}
	}
	return pastFact{head, present.Version != f.version}
}

// complete gives p what it was decided on.
func (r *pastReader) complete(p *Past, above map[lineage.ID]*lineage.Record) error {
	for id := range origins(&p.Record) {
		if r := above[id]; r == nil || r.Body == nil {
			p.Skip = SkipAncestry
			return nil
		}
	}
	if direct := above[firstOf(p.Record.Parents)]; p.Record.Kind == lineage.KindDenial && direct != nil {
		refresh := Grant(p.Record.Body.GrantType) == Refresh
		if direct.Kind == lineage.KindTask || direct.Kind == lineage.KindLease || refresh != (direct.Kind == lineage.KindGrant) { // it is about that record itself
			p.Skip = SkipWithdrawn
			return nil
		}
	}
	if facts := p.Record.Body.Facts; r.seen == nil || !maps.Equal(r.versions, facts) {
		if err := r.look(above, facts); err != nil {
			return err
		}
	}
	p.seen, p.env, p.Unknown = r.seen, r.env, r.unknown
	return nil
}

// look makes what is seen with these versions of facts. Most decisions that follow on one another saw the same.
func (r *pastReader) look(above map[lineage.ID]*lineage.Record, versions map[string]uint64) error {
	s := &glance{records: above, heads: make(map[string]store.Head, len(versions)), whole: true}
	r.seen, r.versions, r.unknown = nil, versions, nil
	for key, version := range versions {
		f := r.facts[factVersion{key, version}]
		s.heads[key] = f.head
		if f.gone {
			r.unknown = append(r.unknown, key)
		}
	}
	slices.Sort(r.unknown)
	head := s.heads[envKey]
	if r.env == nil || r.env.version != head.Version {
		e := &env{version: head.Version}
		if err := readHead(head, &e.facts); err != nil {
			return err
		}
		r.env = e
	}
	r.seen = s
	return nil
}
