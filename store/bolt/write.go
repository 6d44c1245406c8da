package bolt

import (
	"bytes"
	"slices"

	"go.etcd.io/bbolt"
)

// flush writes what has been collected.
func (v *view) flush() error {
	keys := make([]digest, 0, len(v.heads))
	for at, h := range v.heads {
		if h.dirty {
			keys = append(keys, at)
		}
	}
	slices.SortFunc(keys, func(a, b digest) int { return bytes.Compare(a[:], b[:]) })
	for _, at := range keys {
		if err := v.put(headsBucket, at[:], encodeHead(v.heads[at].Head)); err != nil {
			return err
		}
	}
	if v.moved {
		if err := v.put(clockBucket, clockKey, encodePosition(*v.at)); err != nil {
			return err
		}
	}
	return nil
}

// put writes a value, and notes it for the log.
func (v *view) put(bucket string, key, value []byte) error {
	v.changes = appendLogged(v.changes, logged{bucket: bucket, key: key, value: value})
	return v.write(bucket, key, value)
}

func (v *view) write(bucket string, key, value []byte) error {
	b, err := v.create(bucket)
	if err != nil {
		return err
	}
	if bucket == recordsBucket || bucket == indexBucket || bucket == feedBucket {
		b.FillPercent = 1 // what is added is added at the end
	}
	return b.Put(key, seal(bucket, key, value))
}

// remove removes a value, and notes it for the log.
func (v *view) remove(bucket string, key []byte) error {
	if v.cursor(bucket) != nil {
		v.changes = appendLogged(v.changes, logged{bucket: bucket, removed: true, key: key})
	}
	return v.delete(bucket, key)
}

func (v *view) delete(bucket string, key []byte) error {
	c := v.cursor(bucket)
	if c == nil {
		return nil
	}
	return c.Bucket().Delete(key)
}

// redo makes a change that the log holds.
func (v *view) redo(c logged) error {
	switch {
	case c.removed && c.bucket == recordsBucket && len(c.key) != placeSize:
		return errDamaged
	case c.removed && c.bucket == recordsBucket:
		v.entries = append(v.entries, entry{place: [placeSize]byte(c.key), gone: true})
		fallthrough
	case c.removed:
		return v.remove(c.bucket, c.key)
	}
	if c.bucket == recordsBucket {
		r, err := decodeRecord(c.value)
		if err != nil {
			return err
		}
		v.entries = append(v.entries, entryOf(r))
	}
	return v.put(c.bucket, c.key, c.value)
}

func (v *view) create(bucket string) (*bbolt.Bucket, error) {
	if c := v.cursor(bucket); c != nil {
		return c.Bucket(), nil
	}
	if v.root == nil {
		issuers, err := v.tx.CreateBucketIfNotExists([]byte(issuersBucket))
		if err != nil {
			return nil, err
		}
		if v.root, err = issuers.CreateBucketIfNotExists(issuerName(v.issuer)); err != nil {
			return nil, err
		}
	}
	b, err := v.root.CreateBucketIfNotExists([]byte(bucket))
	if err == nil {
		v.open[bucket] = b.Cursor()
	}
	return b, err
}
