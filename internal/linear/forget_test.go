package linear_test

import (
	"slices"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// everything is carried by whatever has a policy path: what it cuts stays dead when the marks that cut it are forgotten.
var everything = lineage.Selector{Kind: lineage.SelectPath, Value: "/"}

// forget lets go of records, of bodies, or of the beginning of the feed with the marks that it left, as retention and erasure
// do beside everything else. Much of that is not over yet, or has changed since it was read: it is then all there still.
func (c *client) forget(issuer string) {
	f, ok := c.world.store.(store.Forgetter)
	if !ok {
		return
	}
	r := store.Removal{Issuer: issuer, Leeway: leeway}
	switch c.rand.IntN(4) {
	case 0:
		r.Records = c.old(issuer)
	case 1:
		r.Bodies = c.old(issuer)
	default:
		if !c.oldest(issuer, &r) {
			return
		}
	}
	c.world.record(c.number, []call{{issuer: issuer, removal: &r}}, func() []string { return []string{result(f.Forget(c.ctx, r))} })
}

// old returns some of the records that were made first, but not the task.
func (c *client) old(issuer string) (out []lineage.ID) {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	all := c.world.tokens[issuer][1:]
	for range min(3, len(all)) {
		out = append(out, all[c.rand.IntN((len(all)+1)/2)].ID())
	}
	return out
}

// oldest makes r name the oldest entries of the feed, and the marks of which nothing newer is known.
func (c *client) oldest(issuer string, r *store.Removal) bool {
	entries := c.feed(issuer, 0)
	if len(entries) == 0 {
		return false
	}
	entries = entries[:1+c.rand.IntN((len(entries)+1)/2)]
	r.Feed, r.Floor = entries[len(entries)-1].Seq, everything
	var sels []lineage.Selector
	for _, e := range entries {
		sels = append(sels, e.Selector)
	}
	r.Marks = slices.DeleteFunc(c.marks(issuer, lineage.Union(sels)...), func(m lineage.Mark) bool { return m.Seq > r.Feed && c.rand.IntN(4) > 0 })
	return true
}

// forget returns the state after r, and what Forget returns.
func (s *state) forget(r store.Removal) (*state, string) {
	next := s.clone()
	err := store.Remove(view{next}, r)
	if err != nil {
		next = s
	}
	return next, result(err)
}

var _ store.Remover = view{}

func (v view) Oldest() (uint64, error) { return v.gone + 1, nil }

func (v view) Revocation(seq uint64) (lineage.Revocation, error) { return v.feed[seq-1], nil }

func (v view) Carried(sel lineage.Selector, but []lineage.ID) (bool, error) {
	for id, r := range v.records {
		if !slices.Contains(but, id) && slices.Contains(r.Selectors(), sel) {
			return true, nil
		}
	}
	return false, nil
}

func (v view) DropRecord(r lineage.Record) error {
	v.sum.replace(recordText(v.records[r.ID()]), "")
	delete(v.records, r.ID())
	return nil
}

func (v view) EraseRecord(r lineage.Record) error {
	v.sum.replace(recordText(r), recordText(r.Erase()))
	v.records[r.ID()] = r.Erase()
	return nil
}

func (v view) DropHead(key string) error {
	if h, ok := v.heads[key]; ok {
		v.sum.replace(headText(h), "")
		delete(v.heads, key)
	}
	return nil
}

func (v view) DropMark(sel lineage.Selector) error {
	if m, ok := v.marks[sel]; ok {
		v.sum.replace(markText(m), "")
		delete(v.marks, sel)
	}
	return nil
}

func (v view) DropRevocations(until uint64) error {
	for ; v.gone < until; v.gone++ {
		v.sum.replace(feedText(v.feed[v.gone:v.gone+1]), "")
	}
	return nil
}

func recordText(r lineage.Record) string {
	if r.Body == nil {
		return "erased " + r.ID().String()
	}
	return r.ID().String()
}
