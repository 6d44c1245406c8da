package bolt

import (
	"bytes"

	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// space is what the file holds of one issuer, seen by one transaction.
type space struct {
	root *bbolt.Bucket // nil where nothing was written yet
	open map[string]*bbolt.Bucket
}

func openSpace(tx *bbolt.Tx, issuer string) space {
	s := space{open: map[string]*bbolt.Bucket{}}
	if issuers := tx.Bucket([]byte(issuersBucket)); issuers != nil {
		s.root = issuers.Bucket(issuerName(issuer))
	}
	return s
}

// bucket returns nil where nothing was written into it yet.
func (s space) bucket(name string) *bbolt.Bucket {
	if s.root == nil {
		return nil
	}
	b := s.open[name]
	if b == nil {
		if b = s.root.Bucket([]byte(name)); b != nil {
			s.open[name] = b
		}
	}
	return b
}

// get returns the value at a key, valid until the transaction ends; nil where there is none.
func (s space) get(bucket string, key []byte) ([]byte, error) {
	b := s.bucket(bucket)
	if b == nil {
		return nil, nil
	}
	sealed := b.Get(key)
	if sealed == nil {
		return nil, nil
	}
	return unseal(bucket, key, sealed)
}

func (s space) position() (position, error) {
	value, err := s.get(clockBucket, clockKey)
	if value == nil || err != nil {
		return position{}, err
	}
	return decodePosition(value)
}

func (s space) record(id lineage.ID) (lineage.Record, bool, error) {
	value, err := s.get(recordsBucket, id[:])
	if value == nil || err != nil {
		return lineage.Record{}, false, err
	}
	r, err := decodeRecord(value)
	if err == nil && r.ID() != id {
		err = errDamaged
	}
	return r, err == nil, err
}

func (s space) head(key string) (h store.Head, found bool, err error) {
	value, err := s.get(headsBucket, hashKey(key))
	if value == nil || err != nil {
		return store.Head{Key: key}, false, err
	}
	if h, err = decodeHead(value); err == nil && h.Key != key {
		err = errDamaged
	}
	return h, err == nil, err
}

func (s space) mark(sel lineage.Selector) (m lineage.Mark, found bool, err error) {
	value, err := s.get(marksBucket, hashSelector(sel))
	if value == nil || err != nil {
		return lineage.Mark{}, false, err
	}
	if m, err = decodeMark(value); err == nil && m.Selector != sel {
		err = errDamaged
	}
	return m, err == nil, err
}

func (s space) entry(id lineage.ID) (e store.Entry, err error) {
	r, found, err := s.record(id)
	if !found || err != nil {
		return store.Entry{}, err
	}
	e.Record = r
	for _, sel := range r.Selectors() {
		m, found, err := s.mark(sel)
		if err != nil {
			return store.Entry{}, err
		}
		if found {
			e.Marks = append(e.Marks, m)
		}
		h, found, err := s.head(sel.String())
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

// records returns the values of up to a chunk of the records that carry the selector of the hash and lie behind last,
// the key of an index entry or its beginning; and the index keys they were found by. They are copies.
func (s space) records(selector, last []byte) (keys, values [][]byte, err error) {
	index := s.bucket(selectorBucket)
	if index == nil {
		return nil, nil, nil
	}
	c, size := index.Cursor(), 0
	for key, sealed := c.Seek(last); bytes.HasPrefix(key, selector); key, sealed = c.Next() {
		if bytes.Equal(key, last) {
			continue
		}
		if len(keys) == chunkEntries || size > chunkBytes {
			break
		}
		if _, err := unseal(selectorBucket, key, sealed); err != nil {
			return nil, nil, err
		}
		value, err := s.get(recordsBucket, key[len(selector)+8:])
		if err != nil || value == nil {
			return nil, nil, errDamaged
		}
		keys, values = append(keys, bytes.Clone(key)), append(values, bytes.Clone(value))
		size += len(value)
	}
	return keys, values, nil
}

// revocations returns up to a chunk of the feed behind after.
func (s space) revocations(after uint64) ([]lineage.Revocation, error) {
	p, err := s.position()
	if err != nil || after == p.seq {
		return nil, err
	}
	if after > p.seq {
		return nil, store.ErrGone
	}
	feed := s.bucket(feedBucket)
	if feed == nil {
		return nil, errDamaged
	}
	if oldest, _ := feed.Cursor().First(); bytes.Compare(sequenceKey(after+1), oldest) < 0 {
		return nil, store.ErrGone
	}
	var out []lineage.Revocation
	for seq := after + 1; seq <= p.seq && len(out) < chunkEntries; seq++ {
		value, err := s.get(feedBucket, sequenceKey(seq))
		if err != nil || value == nil {
			return nil, errDamaged
		}
		r, err := decodeRevocation(value)
		if err != nil || r.Seq != seq {
			return nil, errDamaged
		}
		out = append(out, r)
	}
	return out, nil
}
