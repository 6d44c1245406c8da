package memory

import (
	"bytes"
	"cmp"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// place is where a record lies in a list: by issue time, in milliseconds, and then id.
type place struct {
	at int64
	id lineage.ID
}

func (p place) compare(q place) int {
	if p.at != q.at {
		return cmp.Compare(p.at, q.at)
	}
	return bytes.Compare(p.id[:], q.id[:])
}

// since lies before the places of all that was issued at t or later, and behind the others.
func since(t time.Time) place { return place{at: t.Add(time.Millisecond - 1).UnixMilli()} }

// compare compares the place of a record with p.
func (sp *space) compare(number uint32, p place) int { return sp.kept(number).place.compare(p) }

// list holds the numbers of the records that carry a selector, in the order of their places.
type list struct {
	all []uint32
	one [1]uint32 // room for the first: most lists are of one record, those of its own id
}

// newList returns an empty list. Lists are made many at a time, because there is one for every record.
func (sp *space) newList() *list {
	if len(sp.lists) == 0 {
		sp.lists = make([]list, 128)
	}
	l := &sp.lists[0]
	l.all = l.one[:0]
	sp.lists = sp.lists[1:]
	return l
}

// near is how many of the last records of a list are looked at first: records come in order, nearly.
const near = 32

// put puts a record into the list of all and those of its selectors. That of its own id begins with the first other record
// that carries it: from most tokens nothing is made.
func (sp *space) put(number uint32, sels []lineage.Selector) {
	behind, few := sp.behind(number)
	sp.insert(&sp.every, number, behind, few)
	id := sp.kept(number).place.id
	for _, sel := range sels {
		l, found := sp.index.get(sel)
		if !found {
			if sel.Kind == lineage.SelectToken && id.Is(sel.Value) {
				continue
			}
			l = sp.newList()
			if only, found := sp.named(sel); found {
				l.all = append(l.all, only)
			}
			sp.index.put(sel, l)
		}
		sp.insert(l, number, behind, few)
	}
}

// named returns the record whose id the selector names.
func (sp *space) named(sel lineage.Selector) (number uint32, found bool) {
	if sel.Kind != lineage.SelectToken {
		return 0, false
	}
	id, err := lineage.ParseID(sel.Value)
	if err != nil {
		return 0, false
	}
	number, found = sp.numbers[id]
	return number, found
}

// carrying returns the records that carry the selector, in the order of their places.
func (sp *space) carrying(sel lineage.Selector) []uint32 {
	if l, found := sp.index.get(sel); found {
		return l.all
	}
	if only, found := sp.named(sel); found {
		return []uint32{only}
	}
	return nil
}

// insert puts a record into a list; behind and few are what is known of it.
func (sp *space) insert(l *list, number uint32, behind uint64, few bool) {
	at := len(l.all)
	if few {
		for at > 0 && l.all[at-1] >= sp.first && behind>>(l.all[at-1]-sp.first)&1 == 1 {
			at--
		}
	} else {
		at = sp.search(l.all, sp.kept(number).place)
	}
	l.all = slices.Insert(l.all, at, number)
}

// take takes a record out of a list.
func (sp *space) take(l *list, number uint32) {
	at, found := slices.BinarySearchFunc(l.all, sp.kept(number).place, sp.compare)
	switch {
	case !found:
	case at == 0: // the oldest go first
		l.all = l.all[1:]
	default:
		l.all = slices.Delete(l.all, at, at+1)
	}
}

// behind returns which records belong behind a new one, as bits from sp.first on. That is one search for all lists; it is
// given up where the record was not issued as late as any, or with many others.
func (sp *space) behind(number uint32) (bits uint64, few bool) {
	p := sp.kept(number).place
	if number == 0 || p.at > sp.latest {
		sp.latest, sp.first = p.at, number
	}
	if p.at < sp.latest || number-sp.first > 64 {
		return 0, false
	}
	for n := sp.first; n < number; n++ {
		if sp.compare(n, p) > 0 {
			bits |= 1 << (n - sp.first)
		}
	}
	return bits, true
}

// search returns where in a list the place is.
func (sp *space) search(all []uint32, p place) int {
	from := max(0, len(all)-near)
	if from > 0 && sp.compare(all[from], p) > 0 {
		from = 0
	}
	at, _ := slices.BinarySearchFunc(all[from:], p, sp.compare)
	return from + at
}
