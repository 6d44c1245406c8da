package bolt

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// examined is the block of the index that a walk through the records is in.
type examined struct {
	key, next []byte // next is the key of the block behind it; nil: none
	known     bool
	has       map[string][]short // the selectors of a record by its place, in order
}

// records yields the records. Where a page of them is damaged it goes on at later times, in ever larger steps.
func (x *examiner) records() {
	if err := x.indexed(x.ctx, x.issuer, func(*space) error { return nil }); err != nil {
		x.fault(indexBucket, lineage.ID{}, "cannot take in what the log holds: %v", err)
	}
	step, skipped := time.Millisecond, ""
	x.sweep(recordsBucket, func(sp *space, key, value []byte, err error) {
		if skipped != "" {
			x.fault(recordsBucket, lineage.ID{}, "what was issued between %s and %s cannot be read", skipped, issuedAt(key))
		}
		step, skipped = time.Millisecond, ""
		x.enter(sp, key)
		x.record(sp, key, value, err)
	}, func(last []byte) []byte {
		if skipped == "" {
			skipped = issuedAt(last)
		}
		step *= 2
		return x.later(last, step)
	})
}

// farthest is how far records are looked for behind a damaged page: some years.
const farthest = time.Duration(1) << 58

// later is where to go on, a while behind a place; nil where there is nothing more to look for.
func (x *examiner) later(last []byte, step time.Duration) []byte {
	if len(last) < timeSize {
		last = x.second()
	}
	if step > farthest || len(last) < timeSize {
		return nil
	}
	at := moment(time.UnixMilli(int64(binary.BigEndian.Uint64(last) ^ 1<<63)).Add(step))
	return at[:]
}

// second is the key of the second block of the index, where there are records that have to do with the time; nil: none.
func (x *examiner) second() (key []byte) {
	x.look(indexBucket, func(sp *space) error {
		if c := sp.cursor(indexBucket); c != nil {
			c.First()
			at, _ := c.Next()
			key = bytes.Clone(at)
		}
		return nil
	})
	return key
}

func (x *examiner) record(sp *space, key, value []byte, err error) {
	at := string(key)
	listed, indexed := x.block.has[at]
	var r lineage.Record
	if err == nil {
		r, err = decodeRecord(bytes.Clone(value))
	}
	if place := placeOf(r); err != nil || at != string(place[:]) {
		var id lineage.ID
		if len(key) == placeSize {
			id = lineage.ID(key[timeSize:])
		}
		x.fault(recordsBucket, id, "the record is damaged")
		return
	}
	id := r.ID()
	if issued, err := sp.get(idsBucket, id[:]); err != nil || !bytes.Equal(issued, key[:timeSize]) {
		x.fault(idsBucket, id, "the record is not found by its id")
	}
	want := entryOf(r).selectors
	slices.SortFunc(want, func(a, b short) int { return bytes.Compare(a[:], b[:]) })
	switch {
	case !x.block.known: // which was said
	case !indexed:
		x.fault(indexBucket, id, "the record is found by no selector")
	case !slices.Equal(listed, slices.Compact(want)):
		x.fault(indexBucket, id, "the record is found by other selectors than it carries")
	}
	x.out = append(x.out, store.Piece{Record: &r})
}

// enter goes to the block that a place belongs to.
func (x *examiner) enter(sp *space, place []byte) {
	if x.block.key != nil && (x.block.next == nil || bytes.Compare(place, x.block.next) < 0) {
		return
	}
	c := sp.cursor(indexBucket)
	if c == nil {
		x.block = examined{key: firstPlace[:], known: true}
		return
	}
	key, sealed := blockFor(c, place)
	if key = bytes.Clone(key); key == nil {
		first, _ := c.First()
		x.block = examined{key: firstPlace[:], next: bytes.Clone(first), known: true}
		return
	}
	b, err := openBlock(key, sealed)
	known := err == nil && sound(b)
	next, _ := c.Next()
	if x.block = (examined{key: key, next: bytes.Clone(next), known: known}); known {
		x.block.has = map[string][]short{}
		for _, e := range b.entries() {
			x.block.has[string(e.place[:])] = e.selectors
		}
	}
}

// sound reports whether the parts of a block mean something.
func sound(b block) bool {
	for j := range b.selectors() {
		if b.end(j) < b.begin(j) || b.end(j) > len(b.lists()) || j > 0 && bytes.Compare(b.digest(j-1), b.digest(j)) >= 0 {
			return false
		}
		for _, i := range b.list(j) {
			if int(i) >= b.places() {
				return false
			}
		}
	}
	return true
}

// index looks at each block by itself, and whether there is a posting for each selector in it.
func (x *examiner) index() {
	x.rows = 0
	x.sweep(indexBucket, func(sp *space, key, value []byte, err error) {
		b := block(value)
		if err != nil || b.check() != nil || !sound(b) {
			x.fault(indexBucket, lineage.ID{}, "a block is damaged")
			return
		}
		for i := range b.places() {
			if at := b.place(i); !there(sp, recordsBucket, at) {
				x.fault(indexBucket, lineage.ID(at[timeSize:]), "leads to a record that is not there")
			}
		}
		missing := 0
		for j := range b.selectors() {
			p := postingOf(b.digest(j), key)
			if !there(sp, postingsBucket, p[:]) {
				missing++
			}
		}
		if x.rows += uint64(b.selectors()); missing > 0 {
			x.fault(postingsBucket, lineage.ID{}, "%d selectors of the records issued from %s on are not in it", missing, issuedAt(key))
		}
	}, nil)
}

// postings looks for those that lead nowhere. Where there are as many as there have to be, there are none.
func (x *examiner) postings() {
	found := uint64(0)
	x.sweep(postingsBucket, func(_ *space, key, _ []byte, err error) {
		if found++; err != nil || len(key) != len(posting{}) {
			x.fault(postingsBucket, lineage.ID{}, "an entry is damaged")
		}
	}, nil)
	if found <= x.rows {
		return
	}
	x.sweep(postingsBucket, func(sp *space, key, _ []byte, err error) {
		if err != nil || len(key) != len(posting{}) {
			return
		}
		b, err := sp.block(key[shortSize:])
		if err == nil && sound(b) {
			if _, there := b.find(0, key[:shortSize]); there {
				return
			}
		}
		x.fault(postingsBucket, lineage.ID{}, "an entry leads to where nothing carries its selector, at %s", issuedAt(key[shortSize:]))
	}, nil)
}

// issuedAt is the time in a place, for people.
func issuedAt(place []byte) string {
	if len(place) < timeSize || bytes.Equal(place, firstPlace[:]) {
		return "the beginning"
	}
	ms := int64(binary.BigEndian.Uint64(place) ^ 1<<63)
	return time.UnixMilli(ms).UTC().Format(time.RFC3339Nano)
}

// there reports whether a bucket has a key.
func there(sp *space, bucket string, key []byte) bool {
	c := sp.cursor(bucket)
	if c == nil {
		return false
	}
	found, _ := c.Seek(key)
	return bytes.Equal(found, key)
}
