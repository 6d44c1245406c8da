package memory

import (
	"bytes"
	"container/heap"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/recent"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is the state of one issuer. It is a store.View; the Store's lock guards it. Records are kept as bytes and named by
// numbers, so that the garbage collector has next to nothing to look at however many there are.
type space struct {
	now      time.Time
	records  [][]kept // by number, in pieces, so that none is moved when there are more
	left     []int    // how many of a piece were not forgotten
	latest   int64    // the latest issue time of a record
	first    uint32   // the first record of that time: all before it were issued earlier
	numbers  map[lineage.ID]uint32
	next     uint32 // the number of the next record
	decoded  recent.Cache[lineage.ID, lineage.Record]
	every    list // all records
	index    table[*list]
	lists    []list // not used yet
	marks    table[lineage.Mark]
	heads    map[string]store.Head
	headed   [kinds]bool // of which kinds of selector there have been heads
	expiring expiryHeap
	feed     []lineage.Revocation // the entry with sequence number n is at n-1-gone
	gone     uint64               // how many entries were forgotten
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

// piece is how many records lie together.
const piece = 256

// kept returns the record with the number.
func (sp *space) kept(number uint32) *kept { return &sp.records[number/piece][number%piece] }

// keep notes a record, and returns its number.
func (sp *space) keep(k kept) uint32 {
	number := sp.next
	sp.next++
	if number%piece == 0 {
		sp.records, sp.left = append(sp.records, make([]kept, 0, piece)), append(sp.left, 0)
	}
	last := &sp.records[number/piece]
	*last = append(*last, k)
	sp.left[number/piece]++
	sp.numbers[k.place.id] = number
	return number
}

// record returns the record with the number, and remembers it.
func (sp *space) record(number uint32) (lineage.Record, error) {
	k := sp.kept(number)
	r, known, err := sp.decode(k)
	if err == nil && !known && len(k.raw)+len(k.body) <= maxKept {
		sp.decoded.Put(k.place.id, r)
	}
	return r, err
}

// decode returns a record, and whether it is remembered. A scan, which comes by each record once, stops at this: what is asked for
// by id stays remembered however much is scanned.
func (sp *space) decode(k *kept) (r lineage.Record, known bool, err error) {
	if r, found := sp.decoded.Get(k.place.id); found && (r.RawBody() == nil) == (k.body == nil) {
		return r, true, nil
	}
	if r, err = lineage.Decode(k.raw, k.body); err != nil {
		return lineage.Record{}, false, fmt.Errorf("memory: %w", err)
	}
	return r, false, nil
}

func (sp *space) Clock() (time.Time, uint64, error) { return sp.now, sp.last(), nil }

// last is the sequence number of the newest entry of the feed.
func (sp *space) last() uint64 { return sp.gone + uint64(len(sp.feed)) }

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

func (sp *space) Mark(sel lineage.Selector) (lineage.Mark, error) {
	m, _ := sp.marks.get(sel)
	return m, nil
}

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
	if sp.next == math.MaxUint32 {
		return errors.New("memory: the store is full")
	}
	number := sp.keep(kept{place{r.IssuedAt.UnixMilli(), r.ID()}, r.Raw(), r.RawBody()})
	sp.put(number, r.Selectors())
	return nil
}

func (sp *space) PutHead(h store.Head) error {
	h = copyHead(h)
	old := sp.heads[h.Key]
	sp.heads[h.Key] = h
	kind, _, _ := strings.Cut(h.Key, ":")
	sp.headed[kindOf(kind)] = true
	if !h.Expires.IsZero() && !h.Expires.Equal(old.Expires) {
		heap.Push(&sp.expiring, expiry{h.Expires, h.Key})
	}
	return nil
}

func (sp *space) PutMark(m lineage.Mark) error {
	sp.marks.put(m.Selector, m)
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
