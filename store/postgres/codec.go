package postgres

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

var errDamaged = errors.New("postgres: the database holds what this package never wrote")

// sum is what a key or the text of a selector is found by: keys may be of any length and content, an index entry may not.
func sum[T ~string](text T) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:]
}

// sumOf is the sum of a selector's text, which is also the key of its head. No kind has a colon in it: what is asked for with
// one must not be taken for another selector with the same text.
func sumOf(sel lineage.Selector) []byte {
	if strings.Contains(sel.Kind, ":") {
		return sum("\x00" + sel.String())
	}
	return sum(sel.String())
}

// packTime writes a time so that byte order is the order of times, for any time there is: seconds, with the sign turned, and
// nanoseconds.
func packTime(t time.Time) []byte {
	out := binary.BigEndian.AppendUint64(make([]byte, 0, 12), uint64(t.Unix())^1<<63)
	return binary.BigEndian.AppendUint32(out, uint32(t.Nanosecond()))
}

func unpackTime(raw []byte) (time.Time, error) {
	if len(raw) != 12 {
		return time.Time{}, errDamaged
	}
	nanos := binary.BigEndian.Uint32(raw[8:])
	if nanos >= uint32(time.Second) {
		return time.Time{}, errDamaged
	}
	return time.Unix(int64(binary.BigEndian.Uint64(raw)^1<<63), int64(nanos)).UTC(), nil
}
