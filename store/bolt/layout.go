package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// The file: a bucket "tokenboundary" with the format's version and the generation of the log, and a bucket "issuers" with
// one bucket per issuer, which holds the buckets below. Names from outside are hashed wherever they would be a key, so a key has a fixed
// length and no content of a name has a meaning; each value repeats the name it belongs to.
const (
	metaBucket    = "tokenboundary"
	issuersBucket = "issuers"

	recordsBucket  = "records"  // issue time, id → record: new ones lie together, at the end
	idsBucket      = "ids"      // id → issue time
	indexBucket    = "index"    // issue time, id → block
	postingsBucket = "postings" // hash of selector, key of a block → nothing
	marksBucket    = "marks"    // hash of selector → mark
	headsBucket    = "heads"    // hash of key → head
	expiryBucket   = "expiry"   // time, hash of key → nothing
	feedBucket     = "feed"     // sequence number → revocation
	clockBucket    = "clock"    // "now" → position; "feed" → sequence number of the oldest entry that is kept, where that is not 1
)

// formatVersion is what this package writes and reads.
const formatVersion = "3"

var (
	formatKey = []byte("format")
	logKey    = []byte("log")
	clockKey  = []byte("now")
	oldestKey = []byte("feed")
)

var errForeign = errors.New("is a bbolt file of another program")

// checkFormat reports whether the file is one of ours. It is new where it has no bucket at all.
func checkFormat(tx *bbolt.Tx) (isNew bool, err error) {
	meta := tx.Bucket([]byte(metaBucket))
	if meta == nil {
		if first, _ := tx.Cursor().First(); first != nil {
			return false, errForeign
		}
		return true, nil
	}
	if v := string(meta.Get(formatKey)); v != formatVersion {
		return false, fmt.Errorf("has format version %.20q, and this program knows only %s", v, formatVersion)
	}
	if tx.Bucket([]byte(issuersBucket)) == nil {
		return false, errDamaged
	}
	return false, nil
}

func writeFormat(tx *bbolt.Tx) error {
	meta, err := tx.CreateBucket([]byte(metaBucket))
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket([]byte(issuersBucket)); err != nil {
		return err
	}
	return meta.Put(formatKey, []byte(formatVersion))
}

func issuerName(issuer string) []byte { return []byte("i" + issuer) }

// digest is the key of a name. The index holds the short form of it.
type digest [sha256.Size]byte

func hashKey(name string) digest {
	var room [256]byte
	return sha256.Sum256(append(room[:0], name...))
}

// hashSelector hashes kind and value so that no other pair has the same bytes.
func hashSelector(sel lineage.Selector) digest {
	var room [256]byte
	return sha256.Sum256(append(appendBytes(room[:0], sel.Kind), sel.Value...))
}

// hashText is the hashKey of the selector's text form.
func hashText(sel lineage.Selector) digest {
	var room [256]byte
	return sha256.Sum256(append(append(append(room[:0], sel.Kind...), ':'), sel.Value...))
}

// placeOf is where a record lies: by issue time and then id.
func placeOf(r lineage.Record) (out [placeSize]byte) {
	id := r.ID()
	copy(out[copy(out[:], sortable(r.IssuedAt.UnixMilli())):], id[:])
	return out
}

// timeSize is how much of a place the issue time is; the rest is the id.
const timeSize = placeSize - len(lineage.ID{})

// moment lies before the places of all that was issued at t or later, and behind those of all that was issued earlier.
// Times of issue are whole milliseconds.
func moment(t time.Time) (out [placeSize]byte) {
	copy(out[:], sortable(t.Add(time.Millisecond-1).UnixMilli()))
	return out
}

func expiryKey(at time.Time, head []byte) []byte {
	out := binary.BigEndian.AppendUint32(sortable(at.Unix()), uint32(at.Nanosecond()))
	return append(out, head...)
}

func sequenceKey(seq uint64) []byte { return binary.BigEndian.AppendUint64(nil, seq) }

// sortable returns n in eight bytes whose order is that of the numbers, negative ones first.
func sortable(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)^(1<<63)) }
