package bolt

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var _ store.Examiner = (*Store)(nil)

// Examine implements store.Examiner. Each value is checked as it is when it is read, and that what has two places is in both:
// the address of a record, the expiry of a head, the index.
func (s *Store) Examine(ctx context.Context, issuer string) iter.Seq2[store.Piece, error] {
	return func(yield func(store.Piece, error) bool) {
		x := &examiner{Store: s, ctx: ctx, issuer: issuer, yield: yield}
		for _, step := range []func(){
			x.clock, x.feed, x.marks, x.heads, x.expiry, x.ids, x.records, x.index, x.postings,
		} {
			step()
			if x.flush(); x.over {
				return
			}
		}
	}
}

// buckets are those that an issuer can have.
var buckets = append([]string{indexBucket, postingsBucket}, loggedBuckets...)

// examiner goes through the buckets of an issuer, a chunk at a time. What it has found in a chunk it yields when the store is
// let go of.
type examiner struct {
	*Store
	ctx    context.Context
	issuer string
	yield  func(store.Piece, error) bool
	over   bool // nobody wants more

	out   []store.Piece
	block examined
	rows  uint64 // that were found in the index
}

func (x *examiner) fault(in string, id lineage.ID, format string, args ...any) {
	x.out = append(x.out, store.Piece{Fault: &store.Fault{In: in, ID: id, What: fmt.Sprintf(format, args...)}})
}

// flush yields what was found.
func (x *examiner) flush() {
	for _, p := range x.out {
		if x.over = x.over || !x.yield(p, nil); x.over {
			break
		}
	}
	x.out = x.out[:0]
}

// look calls f with what there is of the issuer. That it cannot be read is a fault of the bucket, and look reports false.
func (x *examiner) look(bucket string, f func(*space) error) bool {
	err := x.view(x.ctx, x.issuer, func(sp *space) error {
		if sp.root == nil {
			return nil
		}
		return f(sp)
	})
	switch {
	case err == nil:
		return true
	case x.ctx.Err() != nil || errors.Is(err, errClosed):
		x.flush()
		if !x.over {
			x.yield(store.Piece{}, err)
		}
		x.over = true
	default:
		x.fault(bucket, lineage.ID{}, "cannot be read: %v", err)
	}
	return false
}

// visit is called with a value of a bucket; with an error instead where it is not one that was written there.
type visit func(sp *space, key, value []byte, err error)

// sweep visits each value of a bucket, in order. From a page on that is damaged nothing more is read, unless past says where
// to go on.
func (x *examiner) sweep(bucket string, f visit, past func(last []byte) []byte) {
	var last []byte
	failed := false
	for more := true; more && !x.over; x.flush() {
		said := len(x.out)
		more = false
		read := x.look(bucket, func(sp *space) (err error) {
			last, more, err = chunk(sp, bucket, last, f)
			return err
		})
		if !read && !x.over {
			if failed { // which was said
				x.out = x.out[:said]
			}
			if more = past != nil; more {
				last = past(last)
				more = last != nil
			}
		}
		failed = !read
	}
}

// chunk visits the next values behind last, and returns the key of the last one.
func chunk(sp *space, bucket string, last []byte, f visit) (at []byte, more bool, err error) {
	at = last
	if sp.cursor(bucket) == nil {
		return at, false, nil
	}
	c := sp.cursor(bucket).Bucket().Cursor() // f may use the other
	defer func() {
		if p := recover(); p != nil { // what was visited counts
			err = fmt.Errorf("%w: %v", errDamaged, p)
		}
	}()
	key, sealed := c.Seek(last)
	if last != nil && bytes.Equal(key, last) {
		key, sealed = c.Next()
	}
	for n := 0; key != nil; key, sealed = c.Next() {
		if n++; n > chunkEntries {
			return at, true, nil
		}
		at = bytes.Clone(key)
		value, err := unseal(bucket, at, sealed)
		f(sp, at, value, err)
	}
	return at, false, nil
}

func (x *examiner) clock() {
	x.look(clockBucket, func(sp *space) error {
		p, err := sp.position()
		if err != nil {
			return err
		}
		oldest, err := sp.oldest()
		if err == nil {
			x.out = append(x.out, store.Piece{Clock: &store.Clock{Time: p.now, Seq: p.seq, Oldest: oldest}})
		}
		return err
	})
	x.look("the issuer", func(sp *space) error {
		return sp.root.ForEachBucket(func(name []byte) error {
			if !slices.Contains(buckets, string(name)) {
				x.fault("the issuer", lineage.ID{}, "has a bucket that does not belong there")
			}
			return nil
		})
	})
	x.sweep(clockBucket, func(_ *space, key, _ []byte, _ error) {
		if !bytes.Equal(key, clockKey) && !bytes.Equal(key, oldestKey) {
			x.fault(clockBucket, lineage.ID{}, "has an entry that does not belong there")
		}
	}, nil)
}

func (x *examiner) feed() {
	x.sweep(feedBucket, func(_ *space, key, value []byte, err error) {
		var r lineage.Revocation
		if err == nil {
			r, err = decodeRevocation(value)
		}
		if err != nil || !bytes.Equal(key, sequenceKey(r.Seq)) {
			at := ""
			if len(key) == 8 {
				at = fmt.Sprintf(" at number %d", binary.BigEndian.Uint64(key))
			}
			x.fault(feedBucket, lineage.ID{}, "an entry is damaged%s", at)
			return
		}
		x.out = append(x.out, store.Piece{Revocation: &r})
	}, nil)
}

func (x *examiner) marks() {
	x.sweep(marksBucket, func(_ *space, key, value []byte, err error) {
		var m lineage.Mark
		if err == nil {
			m, err = decodeMark(value)
		}
		if at := hashSelector(m.Selector); err != nil || !bytes.Equal(key, at[:]) {
			x.fault(marksBucket, lineage.ID{}, "a mark is damaged")
			return
		}
		x.out = append(x.out, store.Piece{Mark: &m})
	}, nil)
}

func (x *examiner) heads() {
	x.sweep(headsBucket, func(sp *space, key, value []byte, err error) {
		var h store.Head
		if err == nil {
			h, err = decodeHead(value)
		}
		if at := hashKey(h.Key); err != nil || !bytes.Equal(key, at[:]) {
			x.fault(headsBucket, lineage.ID{}, "a head is damaged")
			return
		}
		if !h.Expires.IsZero() {
			if !there(sp, expiryBucket, expiryKey(h.Expires, key)) {
				x.fault(expiryBucket, lineage.ID{}, "a head that expires at %s is not in it", h.Expires.Format(time.RFC3339Nano))
			}
		}
		x.out = append(x.out, store.Piece{Head: &h})
	}, nil)
}

// expiry looks for heads that would be forgotten although they do not expire then.
func (x *examiner) expiry() {
	const timed = 12
	x.sweep(expiryBucket, func(sp *space, key, _ []byte, err error) {
		if err == nil && len(key) == timed+len(digest{}) {
			h, found, bad := sp.head(digest(key[timed:]))
			if bad == nil && found && bytes.Equal(key, expiryKey(h.Expires, key[timed:])) {
				return
			}
		}
		x.fault(expiryBucket, lineage.ID{}, "has an entry that no head expires by")
	}, nil)
}

// ids looks for addresses without a record.
func (x *examiner) ids() {
	x.sweep(idsBucket, func(sp *space, key, value []byte, err error) {
		if len(key) != len(lineage.ID{}) {
			x.fault(idsBucket, lineage.ID{}, "has an entry that is no id")
			return
		}
		if id := lineage.ID(key); err != nil {
			x.fault(idsBucket, id, "the entry is damaged")
		} else if !there(sp, recordsBucket, append(value[:len(value):len(value)], key...)) {
			x.fault(idsBucket, id, "the record is missing")
		}
	}, nil)
}
