package memory

import (
	"bytes"
	"cmp"
	"container/heap"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is the state of one issuer. It is a store.View; the Store's lock guards it.
type space struct {
	now        time.Time
	records    map[lineage.ID]lineage.Record
	bySelector map[lineage.Selector][]placed // ordered by time, then id
	marks      map[lineage.Selector]lineage.Mark
	heads      map[string]store.Head
	expiring   expiryHeap
	feed       []lineage.Revocation // the entry with sequence number n is at n-1
}

var _ store.View = (*space)(nil)

func newSpace() *space {
	return &space{
		records:    map[lineage.ID]lineage.Record{},
		bySelector: map[lineage.Selector][]placed{},
		marks:      map[lineage.Selector]lineage.Mark{},
		heads:      map[string]store.Head{},
	}
}

func (s *Store) space(issuer string) *space {
	sp := s.issuers[issuer]
	if sp == nil {
		sp = newSpace()
		s.issuers[issuer] = sp
	}
	return sp
}

// placed is a record's place in an index.
type placed struct {
	at time.Time
	id lineage.ID
}

func place(r lineage.Record) placed { return placed{r.IssuedAt, r.ID()} }

func (p placed) compare(q placed) int {
	return cmp.Or(p.at.Compare(q.at), bytes.Compare(p.id[:], q.id[:]))
}

func (sp *space) Clock() (time.Time, uint64, error) { return sp.now, uint64(len(sp.feed)), nil }

func (sp *space) Record(id lineage.ID) (lineage.Record, bool, error) {
	r, found := sp.records[id]
	return r, found, nil
}

func (sp *space) Head(key string) (store.Head, error) {
	h, found := sp.heads[key]
	if !found {
		return store.Head{Key: key}, nil
	}
	return h, nil
}

func (sp *space) Mark(sel lineage.Selector) (lineage.Mark, error) { return sp.marks[sel], nil }

// SetClock also forgets the heads that have expired.
func (sp *space) SetClock(now time.Time, _ uint64) error {
	sp.now = now
	for len(sp.expiring) > 0 && sp.expiring[0].at.Before(now) {
		e := heap.Pop(&sp.expiring).(expiry)
		if h, found := sp.heads[e.key]; found && h.Expires.Equal(e.at) {
			delete(sp.heads, e.key)
		}
	}
	return nil
}

func (sp *space) PutRecord(r lineage.Record) error {
	sp.records[r.ID()] = r
	p := place(r)
	for _, sel := range r.Selectors() {
		list := sp.bySelector[sel]
		at, found := slices.BinarySearchFunc(list, p, placed.compare)
		if !found {
			sp.bySelector[sel] = slices.Insert(list, at, p)
		}
	}
	return nil
}

func (sp *space) PutHead(h store.Head) error {
	h = copyHead(h)
	old := sp.heads[h.Key]
	sp.heads[h.Key] = h
	if !h.Expires.IsZero() && !h.Expires.Equal(old.Expires) {
		heap.Push(&sp.expiring, expiry{h.Expires, h.Key})
	}
	return nil
}

func (sp *space) PutMark(m lineage.Mark) error {
	sp.marks[m.Selector] = m
	return nil
}

func (sp *space) PutRevocation(r lineage.Revocation) error {
	sp.feed = append(sp.feed, r)
	return nil
}

func copyHead(h store.Head) store.Head {
	h.Value = bytes.Clone(h.Value)
	return h
}

// expiry and expiryHeap order the heads that may be forgotten, earliest first.
type expiry struct {
	at  time.Time
	key string
}

type expiryHeap []expiry

func (h expiryHeap) Len() int           { return len(h) }
func (h expiryHeap) Less(i, j int) bool { return h[i].at.Before(h[j].at) }
func (h expiryHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *expiryHeap) Push(x any)        { *h = append(*h, x.(expiry)) }
func (h *expiryHeap) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}
