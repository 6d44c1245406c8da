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

// posting is the digest of a selector and the key of a block that it is in.
type posting [shortSize + placeSize]byte

func postingOf(digest, block []byte) (p posting) {
	copy(p[copy(p[:], digest):], block)
	return p
}

// blockFor moves c to the block that a place belongs to. There is none if it lies before all blocks.
func blockFor(c *bbolt.Cursor, place []byte) (key, sealed []byte) {
	if key, sealed = c.Seek(place); bytes.Equal(key, place) {
		return key, sealed
	}
	return before(c, place)
}

// before moves c to the last key that lies before the one given. It is not at Cursor.Last and Cursor.Prev that this ends: until
// the transaction does, there are pages of which everything was deleted, at which one goes round for ever and the other
// says that there is nothing.
func before(c *bbolt.Cursor, key []byte) (found, value []byte) {
	c.Seek(key)
	if found, value = c.Prev(); found != nil {
		return found, value
	}
	if first, _ := c.First(); first == nil || bytes.Compare(first, key) >= 0 {
		return nil, nil
	}
	for c.Seek(key); found == nil; {
		found, value = c.Prev()
	}
	return found, value
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
	if key, sealed = before(c, from[:]); !bytes.HasPrefix(key, digest) {
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
	if err := v.post(); err != nil {
		return err
	}
	v.entries = nil
	return nil
}

// posted is what becomes of a posting.
type posted struct {
	posting
	over bool
}

// post makes the changes of postings that were noted, in their order. Of one posting the last counts.
func (v *view) post() error {
	slices.SortStableFunc(v.postings, func(c, d posted) int { return bytes.Compare(c.posting[:], d.posting[:]) })
	for i := range v.postings {
		c := &v.postings[i]
		if i+1 < len(v.postings) && v.postings[i+1].posting == c.posting {
			continue
		}
		var err error
		if c.over {
			err = v.delete(postingsBucket, c.posting[:])
		} else {
			err = v.write(postingsBucket, c.posting[:], nil)
		}
		if err != nil {
			return err
		}
	}
	v.postings = nil
	return nil
}

// putBlock writes the block with the key, where old was before, and notes which postings are new and which are over.
func (v *view) putBlock(key []byte, old, b block) error {
	v.differ(key, b, old, false)
	v.differ(key, old, b, true)
	return v.write(indexBucket, key, b)
}

// dropBlock removes the block with the key, in which nothing is left. What comes later in its stretch of time goes into the
// block before.
func (v *view) dropBlock(key []byte, old block) error {
	v.differ(key, old, nil, true)
	return v.delete(indexBucket, key)
}

// differ notes the change of the postings of the selectors that are in b and not in other. Either may be nil.
func (v *view) differ(key []byte, b, other block, over bool) {
	if b == nil {
		return
	}
	for j := range b.selectors() {
		if other != nil {
			if _, found := other.find(0, b.digest(j)); found {
				continue
			}
		}
		v.postings = append(v.postings, posted{postingOf(b.digest(j), key), over})
	}
}

// inOrder sorts entries by place, each place once: what was written last about a record counts.
func inOrder(entries []entry) []entry {
	slices.SortStableFunc(entries, entry.compare)
	out := entries[:0]
	for i, e := range entries {
		if i+1 == len(entries) || entries[i+1].place != e.place {
			out = append(out, e)
		}
	}
	return out
}

// present returns those of the entries that are not gone.
func present(entries []entry) []entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e entry) bool { return e.gone })
}

// extend puts the first entries where they belong, and returns how many these are. Records come in the order of time,
// nearly: what lies behind all of its block is added to it or begins another, so that blocks are filled up.
func (v *view) extend(b *bbolt.Bucket, entries []entry) (n int, err error) {
	c := b.Cursor()
	key, sealed := blockFor(c, entries[0].place[:])
	key = bytes.Clone(key)
	var old block
	if key != nil {
		if old, err = openBlock(key, sealed); err != nil {
			return 0, err
		}
	}
	n = min(len(entries), blockFull)
	end, _ := c.Next()
	if key == nil {
		end, _ = c.First()
	}
	if end != nil {
		n, _ = slices.BinarySearchFunc(entries[:n], end, func(e entry, end []byte) int { return bytes.Compare(e.place[:], end) })
	}
	if old != nil && bytes.Compare(entries[0].place[:], old.place(old.places()-1)) <= 0 {
		return n, v.rebuild(key, old, present(inOrder(append(old.entries(), entries[:n]...))))
	}
	return n, v.append(key, old, present(entries[:n]))
}

// append adds entries that lie behind all that is in the block with the key, if there is one, or begins another with what
// finds no room.
func (v *view) append(key []byte, old block, entries []entry) error {
	if old == nil {
		key = firstPlace[:]
	}
	for len(entries) > 0 {
		room := blockFull
		if old != nil {
			room -= old.places()
		}
		if room == 0 {
			key, old, room = bytes.Clone(entries[0].place[:]), nil, blockFull
		}
		n := min(room, len(entries))
		added := blockOf(entries[:n])
		if old != nil {
			added = old.add(added)
		}
		if err := v.putBlock(key, old, added); err != nil {
			return err
		}
		old, entries = added, entries[n:]
	}
	return nil
}

// rebuild writes the block at key anew, in two halves where it has become too large.
func (v *view) rebuild(key []byte, old block, entries []entry) error {
	if len(entries) == 0 {
		return v.dropBlock(key, old)
	}
	if len(entries) > blockFull {
		half := len(entries) / 2
		if err := v.putBlock(bytes.Clone(entries[half].place[:]), nil, blockOf(entries[half:])); err != nil {
			return err
		}
		entries = entries[:half]
	}
	return v.putBlock(key, old, blockOf(entries))
}
