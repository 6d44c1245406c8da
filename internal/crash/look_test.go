package crash

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// view is all that a node finds in its store.
type view struct {
	records map[lineage.ID]lineage.Record
	feed    []lineage.Revocation
}

// look reads everything.
func (n *node) look(ctx context.Context) (view, error) {
	v := view{records: map[lineage.ID]lineage.Record{}}
	for _, id := range slices.Sorted(maps.Keys(clients())) {
		for r, err := range n.store.Scan(ctx, n.issuer, lineage.Selector{Kind: lineage.SelectClient, Value: id}, store.Position{}) {
			if err != nil {
				return v, fmt.Errorf("scan %s: %w", id, err)
			}
			v.records[r.ID()] = r
		}
	}
	for r, err := range n.store.Feed(ctx, n.issuer, 0) {
		if err != nil {
			return v, fmt.Errorf("feed: %w", err)
		}
		v.feed = append(v.feed, r)
	}
	return v, nil
}

// known are the records of the model.
func (m *model) known() map[lineage.ID]bool {
	out := maps.Clone(m.why)
	for _, i := range m.items {
		out[i.ID] = true
		if i.begins {
			out[i.familyID] = true
		}
		if i.state != "" && i.kind == "token" {
			out[i.Task] = true
		}
	}
	delete(out, lineage.ID{})
	return out
}

// adopt gives the ids of records that nobody has heard of to the items that lack one. What is left of either is wrong: it
// was made in part, or without being asked for.
func (m *model) adopt(v view) error {
	known := m.known()
	found := map[lineage.Kind][]lineage.Record{}
	for id, r := range v.records {
		if !known[id] {
			found[r.Kind] = append(found[r.Kind], r)
		}
	}
	take := func(kind lineage.Kind, id *lineage.ID, what string) error {
		if !id.IsZero() {
			return nil
		}
		if len(found[kind]) != 1 {
			return fmt.Errorf("%s: %d records of kind %s, want its one", what, len(found[kind]), kind)
		}
		*id = found[kind][0].ID()
		delete(found, kind)
		return nil
	}
	for _, name := range m.names {
		i := m.items[name]
		if err := take(lineage.Kind(i.kind), &i.ID, name); err != nil {
			return err
		}
		m.above(i, v, found)
	}
	m.consequences(v.feed)
	for len(found[lineage.KindDenial]) > 0 && len(m.why) < m.revokedBySignals() { // the reasons why something was revoked
		m.why[found[lineage.KindDenial][0].ID()] = true
		found[lineage.KindDenial] = found[lineage.KindDenial][1:]
	}
	return unasked(found)
}

// above takes from what was found the refresh family and the task that began with an item, as its own record names them.
func (m *model) above(i *item, v view, found map[lineage.Kind][]lineage.Record) {
	take := func(kind lineage.Kind, id *lineage.ID) {
		for _, a := range v.records[i.ID].Ancestors {
			if v.records[a].Kind == kind {
				*id = a
				found[kind] = slices.DeleteFunc(found[kind], func(r lineage.Record) bool { return r.ID() == a })
			}
		}
	}
	if i.begins && i.familyID.IsZero() {
		take(lineage.KindGrant, &i.familyID)
	}
	if i.state != "" && i.kind == "token" {
		take(lineage.KindTask, &i.Task)
	}
}

// revokedBySignals is how many tokens can have been.
func (m *model) revokedBySignals() (n int) {
	for _, i := range m.items {
		if i.pays != "" && m.risky[i.pays] {
			n++
		}
	}
	return n
}

func unasked(found map[lineage.Kind][]lineage.Record) error {
	for kind, all := range found {
		if len(all) == 0 {
			continue
		}
		return fmt.Errorf("%d records of kind %s that nobody was told of", len(all), kind)
	}
	return nil
}
