package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is what the file holds of one issuer, seen by one transaction.
type space struct {
	root    *bbolt.Bucket // nil where nothing was written yet
	open    map[string]*bbolt.Cursor
	seen    *memo
	entries []entry // what the index has yet to take in
	room    []byte  // for the changes of the next commit
}

// cursor returns the transaction's cursor of a bucket, or nil where nothing was written into it yet.
func (s *space) cursor(name string) *bbolt.Cursor {
	if s.root == nil {
		return nil
	}
	c := s.open[name]
	if c == nil {
		if b := s.root.Bucket([]byte(name)); b != nil {
			c = b.Cursor()
			s.open[name] = c
		}
	}
	return c
}

// get returns the value at a key, valid until the transaction ends; nil where there is none.
func (s *space) get(bucket string, key []byte) ([]byte, error) {
	c := s.cursor(bucket)
	if c == nil {
		return nil, nil
	}
	found, sealed := c.Seek(key)
	if sealed == nil || !bytes.Equal(found, key) {
		return nil, nil
	}
	return unseal(bucket, key, sealed)
}

func (s *space) position() (position, error) {
	value, err := s.get(clockBucket, clockKey)
	if value == nil || err != nil {
		return position{}, err
	}
	return decodePosition(value)
}

func (s *space) record(id lineage.ID) (*known, error) {
	at, err := s.get(idsBucket, id[:])
	if at == nil || err != nil {
		return nil, err
	}
	value, err := s.get(recordsBucket, append(at[:len(at):len(at)], id[:]...))
	if value == nil || err != nil {
		return nil, errDamaged
	}
	return s.seen.decode(id, value)
}

// head returns the head at the digest of a key, and whether it was written.
func (s *space) head(at digest) (h store.Head, found bool, err error) {
	value, err := s.get(headsBucket, at[:])
	if value == nil || err != nil {
		return store.Head{}, false, err
	}
	if h, err = decodeHead(value); err == nil && hashKey(h.Key) != at {
		err = errDamaged
	}
	return h, err == nil, err
}

// mark returns the mark of the selector that has the digest, and whether there is one.
func (s *space) mark(at digest) (m lineage.Mark, found bool, err error) {
	value, err := s.get(marksBucket, at[:])
	if value == nil || err != nil {
		return lineage.Mark{}, false, err
	}
	if m, err = decodeMark(value); err == nil && hashSelector(m.Selector) != at {
		err = errDamaged
	}
	return m, err == nil, err
}

func (s *space) entry(id lineage.ID) (e store.Entry, err error) {
	k, err := s.record(id)
	if k == nil || err != nil {
		return store.Entry{}, err
	}
	e.Record = k.record
	for i := range k.marks {
		m, found, err := s.mark(k.marks[i])
		if err != nil {
			return store.Entry{}, err
		}
		if found {
			e.Marks = append(e.Marks, m)
		}
	}
	for i := range k.heads {
		h, found, err := s.head(k.heads[i])
		if err != nil {
			return store.Entry{}, err
		}
		if found {
			e.Heads = append(e.Heads, h)
		}
	}
	return e, nil
}

// The most that Scan and Feed read in one transaction: entries, and bytes (of which one entry may be more).
const (
	chunkEntries = 256
	chunkBytes   = 1 << 20
)

// found is a record as a scan finds it, copied: its place in the index, and its bytes.
type found struct{ place, value []byte }

// records returns up to a chunk of the records that carry the selector of the digest and lie behind last, and the place
// behind which more may follow; nil where none do.
func (s *space) records(selector digest, last []byte) (out []found, next []byte, err error) {
	places, next, err := s.find(selector[:shortSize], last)
	if err != nil {
		return nil, nil, err
	}
	size := 0
	for _, place := range places {
		if size > chunkBytes {
			return out, out[len(out)-1].place, nil
		}
		value, err := s.get(recordsBucket, place)
		if err != nil || value == nil {
			return nil, nil, errDamaged
		}
		out = append(out, found{bytes.Clone(place), bytes.Clone(value)})
		size += len(value)
	}
	return out, bytes.Clone(next), nil
}

// revocations returns up to a chunk of the feed behind after.
func (s *space) revocations(after uint64) ([]lineage.Revocation, error) {
	p, err := s.position()
	if err != nil {
		return nil, err
	}
	oldest, err := s.oldest()
	if err != nil {
		return nil, err
	}
	if after == 0 {
		after = oldest - 1
	}
	if after > p.seq || after < oldest-1 {
		return nil, store.ErrGone
	}
	var out []lineage.Revocation
	for seq := after + 1; seq <= p.seq && len(out) < chunkEntries; seq++ {
		r, err := s.revocation(seq)
		if err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, nil
}

// revocation returns an entry of the feed that must be there.
func (s *space) revocation(seq uint64) (lineage.Revocation, error) {
	value, err := s.get(feedBucket, sequenceKey(seq))
	if err != nil || value == nil {
		return lineage.Revocation{}, errDamaged
	}
	r, err := decodeRevocation(value)
	if err != nil || r.Seq != seq {
		return lineage.Revocation{}, errDamaged
	}
	return r, nil
}

// oldest returns the sequence number of the oldest entry that is kept, or of the next one.
func (s *space) oldest() (uint64, error) {
	value, err := s.get(clockBucket, oldestKey)
	if value == nil || err != nil {
		return 1, err
	}
	d := decoder{rest: value}
	seq := d.number()
	if d.end() != nil || seq == 0 {
		return 0, errDamaged
	}
	return seq, nil
}

// everything returns up to a chunk of all records that lie behind last, and the place behind which more may follow; nil
// where none do.
func (s *space) everything(last []byte) (out []found, next []byte, err error) {
	c := s.cursor(recordsBucket)
	if c == nil {
		return nil, nil, nil
	}
	size := 0
	place, sealed := c.Seek(last)
	if bytes.Equal(place, last) {
		place, sealed = c.Next()
	}
	for ; place != nil; place, sealed = c.Next() {
		if len(out) >= chunkEntries || size > chunkBytes {
			return out, out[len(out)-1].place, nil
		}
		value, err := unseal(recordsBucket, place, sealed)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, found{bytes.Clone(place), bytes.Clone(value)})
		size += len(value)
	}
	return out, nil, nil
}
