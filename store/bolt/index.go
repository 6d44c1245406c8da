package bolt

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"
)

// The index is a row of blocks in the order of time. The key of a block is the place of its first record, or zeros for the
// first block of all; it holds what lies from there up to the key of the next. A posting for each selector that is in a
// block says so: a scan goes from one to the next, and costs what it finds, however many records there are.

var firstPlace [placeSize]byte

// posting is the digest of a selector and the key of a block that it is in, or was in before that block was split.
type posting [shortSize + placeSize]byte

func postingOf(digest, block []byte) (p posting) {
	copy(p[copy(p[:], digest):], block)
	return p
}

// blockFor moves c to the block that a place belongs to. There is none only if there is no block at all.
func blockFor(c *bbolt.Cursor, place []byte) (key, sealed []byte) {
	switch key, sealed = c.Seek(place); {
	case key == nil:
		return c.Last()
	case bytes.Equal(key, place):
		return key, sealed
	}
	return c.Prev()
}

// openBlock returns the block at a key.
func openBlock(key, sealed []byte) (block, error) {
	value, err := unseal(indexBucket, key, sealed)
	if err != nil {
		return nil, err
	}
	b := block(value)
	return b, b.check()
}

// find returns the places of records that carry the selector and lie behind last, up to about a chunk of them. They are
// valid until the transaction ends. Where more may follow, next is the place behind which they do.
func (s *space) find(digest, last []byte) (places [][]byte, next []byte, err error) {
	c := s.cursor(postingsBucket)
	if c == nil {
		return nil, nil, nil
	}
	for key, sealed := postingFor(c, digest, last); bytes.HasPrefix(key, digest); key, sealed = c.Next() {
		if len(places) >= chunkEntries {
			return places, places[len(places)-1], nil
		}
		if _, err := unseal(postingsBucket, key, sealed); err != nil || len(key) != len(posting{}) {
			return nil, nil, errDamaged
		}
		b, err := s.block(key[shortSize:])
		if err != nil {
			return nil, nil, err
		}
		places = append(places, b.behind(digest, last)...)
	}
	return places, nil, nil
}

// postingFor moves c to the first posting of the selector whose block may hold what lies behind last: that of the block that
// last belongs to or, where the selector is not in it, the next.
func postingFor(c *bbolt.Cursor, digest, last []byte) (key, sealed []byte) {
	from := postingOf(digest, last)
	if key, sealed = c.Seek(from[:]); bytes.Equal(key, from[:]) {
		return key, sealed
	}
	if key == nil {
		key, sealed = c.Last()
	} else {
		key, sealed = c.Prev()
	}
	if !bytes.HasPrefix(key, digest) {
		return c.Seek(from[:])
	}
	return key, sealed
}

// block returns the block with the key.
func (s *space) block(key []byte) (block, error) {
	value, err := s.get(indexBucket, key)
	if err != nil || value == nil {
		return nil, errDamaged
	}
	b := block(value)
	return b, b.check()
}

// index adds to the index what it has yet to take in. After an error nothing that is pending may be kept.
func (v *view) index() error {
	if len(v.entries) == 0 {
		return nil
	}
	entries := inOrder(v.entries)
	b, err := v.create(indexBucket)
	if err != nil {
		return err
	}
	for len(entries) > 0 {
		n, err := v.extend(b, entries)
		if err != nil {
			return err
		}
		entries = entries[n:]
	}
	slices.SortFunc(v.postings, func(p, q posting) int { return bytes.Compare(p[:], q[:]) })
	for i := range v.postings {
		if err := v.write(postingsBucket, v.postings[i][:], nil); err != nil {
			return err
		}
	}
	v.entries, v.postings = nil, nil
	return nil
}

// putBlock writes the block with the key, where old was before, and notes postings for the selectors that are new in it.
func (v *view) putBlock(key []byte, old, b block) error {
	for j := range b.selectors() {
		if old != nil {
			if _, found := old.find(0, b.digest(j)); found {
				continue
			}
		}
		v.postings = append(v.postings, postingOf(b.digest(j), key))
	}
	return v.write(indexBucket, key, b)
}

// inOrder sorts entries by place, each place once.
func inOrder(entries []entry) []entry {
	slices.SortStableFunc(entries, entry.compare)
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.place == b.place })
}

// extend puts the first entries where they belong, and returns how many these are. Records come in the order of time,
// nearly: what lies behind all of its block is added to it or begins another, so that blocks are filled up.
func (v *view) extend(b *bbolt.Bucket, entries []entry) (n int, err error) {
	n = min(len(entries), blockFull)
	c := b.Cursor()
	key, sealed := blockFor(c, entries[0].place[:])
	if key == nil {
		return n, v.putBlock(firstPlace[:], nil, blockOf(entries[:n]))
	}
	key = bytes.Clone(key)
	old, err := openBlock(key, sealed)
	if err != nil {
		return 0, err
	}
	if end, _ := c.Next(); end != nil {
		n, _ = slices.BinarySearchFunc(entries[:n], end, func(e entry, end []byte) int { return bytes.Compare(e.place[:], end) })
	}
	room := blockFull - old.places()
	switch behind := bytes.Compare(entries[0].place[:], old.place(old.places()-1)) > 0; {
	case !behind:
		return n, v.rebuild(key, old, inOrder(append(old.entries(), entries[:n]...)))
	case room == 0:
		return n, v.putBlock(entries[0].place[:], nil, blockOf(entries[:n]))
	}
	n = min(n, room)
	return n, v.putBlock(key, old, old.add(blockOf(entries[:n])))
}

// rebuild writes the block at key anew, in two halves where it has become too large.
func (v *view) rebuild(key []byte, old block, entries []entry) error {
	if len(entries) > blockFull {
		half := len(entries) / 2
		if err := v.putBlock(entries[half].place[:], nil, blockOf(entries[half:])); err != nil {
			return err
		}
		entries = entries[:half]
	}
	return v.putBlock(key, old, blockOf(entries))
}
