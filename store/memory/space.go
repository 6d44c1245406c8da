package memory

import (
	"bytes"
	"cmp"
	"container/heap"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/recent"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is the state of one issuer. It is a store.View; the Store's lock guards it. Records are kept as bytes and named by
// numbers, so that the garbage collector has next to nothing to look at however many there are.
type space struct {
	now      time.Time
	records  []kept
	numbers  map[lineage.ID]uint32
	decoded  recent.Cache[lineage.ID, lineage.Record]
	index    map[lineage.Selector]*list
	marks    map[lineage.Selector]lineage.Mark
	heads    map[string]store.Head
	expiring expiryHeap
	feed     []lineage.Revocation // the entry with sequence number n is at n-1
}

var _ store.View = (*space)(nil)

// maxDecoded is how many records are remembered decoded, and maxKept how large one may be for that, in bytes. Only what was
// decoded here is remembered: a record that was handed in shares what it points to with whoever made it.
const (
	maxDecoded = 1024
	maxKept    = 16 << 10
)

func newSpace() *space {
	return &space{
		numbers: map[lineage.ID]uint32{},
		decoded: recent.Cache[lineage.ID, lineage.Record]{Size: maxDecoded},
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

// kept is a record, and where it lies.
type kept struct {
	place     place
	raw, body []byte
}

// place is where a record lies in a list: by issue time, in milliseconds, and then id.
type place struct {
	at int64
	id lineage.ID
}

func (p place) compare(q place) int {
	return cmp.Or(cmp.Compare(p.at, q.at), bytes.Compare(p.id[:], q.id[:]))
}

// since lies before the places of all that was issued at t or later, and behind the others.
func since(t time.Time) place { return place{at: t.Add(time.Millisecond - 1).UnixMilli()} }

// compare compares the place of a record with p.
func (sp *space) compare(number uint32, p place) int { return sp.records[number].place.compare(p) }

// list holds the numbers of the records that carry a selector, in the order of their places.
type list struct{ all []uint32 }

// near is how many of the last records of a list are looked at first: records come in order, nearly.
const near = 32

// add puts a record where it belongs.
func (sp *space) add(l *list, number uint32) {
	p := sp.records[number].place
	from := max(0, len(l.all)-near)
	if from > 0 && sp.compare(l.all[from], p) > 0 {
		from = 0
	}
	at, _ := slices.BinarySearchFunc(l.all[from:], p, sp.compare)
	l.all = slices.Insert(l.all, from+at, number)
}

// record returns the record with the number.
func (sp *space) record(number uint32) (lineage.Record, error) {
	k := sp.records[number]
	if r, found := sp.decoded.Get(k.place.id); found {
		return r, nil
	}
	r, err := lineage.Decode(k.raw, k.body)
	if err != nil {
		return lineage.Record{}, fmt.Errorf("memory: %w", err)
	}
	if len(k.raw)+len(k.body) <= maxKept {
		sp.decoded.Put(k.place.id, r)
	}
	return r, nil
}

func (sp *space) Clock() (time.Time, uint64, error) { return sp.now, uint64(len(sp.feed)), nil }

func (sp *space) Record(id lineage.ID) (lineage.Record, bool, error) {
	number, found := sp.numbers[id]
	if !found {
		return lineage.Record{}, false, nil
	}
	r, err := sp.record(number)
	return r, true, err
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
	id := r.ID()
	if number, found := sp.numbers[id]; found { // its body was erased
		sp.records[number].body = r.RawBody()
		return nil
	}
	if len(sp.records) == math.MaxUint32 {
		return errors.New("memory: the store is full")
	}
	number := uint32(len(sp.records))
	sp.records = append(sp.records, kept{place{r.IssuedAt.UnixMilli(), id}, r.Raw(), r.RawBody()})
	sp.numbers[id] = number
	for _, sel := range r.Selectors() {
		l := sp.index[sel]
		if l == nil {
			l = &list{}
			sp.index[sel] = l
		}
		sp.add(l, number)
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
