package bolt

import (
	"bytes"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// maxForget bounds how many expired heads one Tx forgets, so that a long idle time is not paid for by one commit.
const maxForget = 64

// view is a store.View of one issuer in a write transaction. It remembers the first error of the file: whatever
// becomes of it on the way through store.Apply, the transaction is then rolled back.
type view struct {
	space
	tx     *bbolt.Tx
	issuer string
	dirty  bool // something was written
	err    error
}

var _ store.View = (*view)(nil)

func newView(tx *bbolt.Tx, issuer string) *view {
	return &view{space: openSpace(tx, issuer), tx: tx, issuer: issuer}
}

func (v *view) note(err error) error {
	if v.err == nil {
		v.err = err
	}
	return err
}

func (v *view) Clock() (time.Time, uint64, error) {
	p, err := v.position()
	return p.now, p.seq, v.note(err)
}

func (v *view) Record(id lineage.ID) (lineage.Record, bool, error) {
	r, found, err := v.record(id)
	return r, found, v.note(err)
}

func (v *view) Head(key string) (store.Head, error) {
	h, _, err := v.head(key)
	return h, v.note(err)
}

func (v *view) Mark(sel lineage.Selector) (lineage.Mark, error) {
	m, _, err := v.mark(sel)
	return m, v.note(err)
}

// SetClock also forgets heads that have expired.
func (v *view) SetClock(now time.Time, seq uint64) error {
	p, err := v.position()
	if err == nil && (!p.now.Equal(now) || p.seq != seq) {
		err = v.put(clockBucket, clockKey, encodePosition(position{now, seq}))
	}
	if err == nil {
		err = v.forget(now)
	}
	return v.note(err)
}

func (v *view) PutRecord(r lineage.Record) error {
	id := r.ID()
	err := v.put(recordsBucket, id[:], encodeRecord(r))
	for _, sel := range r.Selectors() {
		if err == nil {
			err = v.put(selectorBucket, indexKey(hashSelector(sel), r), nil)
		}
	}
	return v.note(err)
}

func (v *view) PutHead(h store.Head) error {
	key := hashKey(h.Key)
	old, _, err := v.head(h.Key)
	if err == nil && !old.Expires.IsZero() && !old.Expires.Equal(h.Expires) {
		err = v.remove(expiryBucket, expiryKey(old.Expires, key))
	}
	if err == nil && !h.Expires.IsZero() {
		err = v.put(expiryBucket, expiryKey(h.Expires, key), nil)
	}
	if err == nil {
		err = v.put(headsBucket, key, encodeHead(h))
	}
	return v.note(err)
}

func (v *view) PutMark(m lineage.Mark) error {
	return v.note(v.put(marksBucket, hashSelector(m.Selector), encodeMark(m)))
}

func (v *view) PutRevocation(r lineage.Revocation) error {
	return v.note(v.put(feedBucket, sequenceKey(r.Seq), encodeRevocation(r)))
}

// forget removes up to maxForget heads whose time has passed, those that expired first.
func (v *view) forget(now time.Time) error {
	expiry := v.bucket(expiryBucket)
	if expiry == nil {
		return nil
	}
	var due [][]byte
	limit := expiryKey(now, nil)
	c := expiry.Cursor()
	for key, sealed := c.First(); key != nil && len(due) < maxForget; key, sealed = c.Next() {
		if bytes.Compare(key, limit) >= 0 {
			break
		}
		if _, err := unseal(expiryBucket, key, sealed); err != nil {
			return err
		}
		due = append(due, bytes.Clone(key))
	}
	for _, key := range due {
		if err := v.remove(headsBucket, key[len(limit):]); err != nil {
			return err
		}
		if err := v.remove(expiryBucket, key); err != nil {
			return err
		}
	}
	return nil
}

func (v *view) put(bucket string, key, value []byte) error {
	v.dirty = true
	b, err := v.create(bucket)
	if err != nil {
		return err
	}
	return b.Put(key, seal(bucket, key, value))
}

func (v *view) remove(bucket string, key []byte) error {
	b := v.bucket(bucket)
	if b == nil {
		return nil
	}
	v.dirty = true
	return b.Delete(key)
}

func (v *view) create(bucket string) (*bbolt.Bucket, error) {
	if b := v.bucket(bucket); b != nil {
		return b, nil
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
		v.open[bucket] = b
	}
	return b, err
}
