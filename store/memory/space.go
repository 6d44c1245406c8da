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
	now      time.Time
	records  map[lineage.ID]*kept
	index    map[lineage.Selector]*list
	marks    map[lineage.Selector]lineage.Mark
	heads    map[string]store.Head
	expiring expiryHeap
	feed     []lineage.Revocation // the entry with sequence number n is at n-1
}

var _ store.View = (*space)(nil)

func newSpace() *space {
	return &space{
		records: map[lineage.ID]*kept{},
		index:   map[lineage.Selector]*list{},
		marks:   map[lineage.Selector]lineage.Mark{},
		heads:   map[string]store.Head{},
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

// kept is a record and what would have to be computed of it again and again.
type kept struct {
	place     place
	record    lineage.Record
	selectors []lineage.Selector
}

// place is where a record lies in a list: by issue time and then id.
type place struct {
	at time.Time
	id lineage.ID
}

func (k *kept) compare(p place) int {
	return cmp.Or(k.place.at.Compare(p.at), bytes.Compare(k.place.id[:], p.id[:]))
}

// list holds the records that carry a selector, in order.
type list struct{ all []*kept }

// near is how many of the last records of a list are looked at first: records come in order, nearly.
const near = 32

// add puts k where it belongs.
func (l *list) add(k *kept) {
	from := max(0, len(l.all)-near)
	if from > 0 && l.all[from].compare(k.place) > 0 {
		from = 0
	}
	at, found := slices.BinarySearchFunc(l.all[from:], k.place, (*kept).compare)
	if at += from; found {
		l.all[at] = k
	} else {
		l.all = slices.Insert(l.all, at, k)
	}
}

func (sp *space) Clock() (time.Time, uint64, error) { return sp.now, uint64(len(sp.feed)), nil }

func (sp *space) Record(id lineage.ID) (lineage.Record, bool, error) {
	if k := sp.records[id]; k != nil {
		return k.record, true, nil
	}
	return lineage.Record{}, false, nil
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
	k := &kept{place{r.IssuedAt, r.ID()}, r, r.Selectors()}
	sp.records[k.place.id] = k
	for _, sel := range k.selectors {
		l := sp.index[sel]
		if l == nil {
			l = &list{}
			sp.index[sel] = l
		}
		l.add(k)
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
