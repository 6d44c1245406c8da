package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// errDamaged means that the file holds what this package never wrote.
var errDamaged = errors.New("bolt: the file is damaged")

// seal returns value behind a checksum that also covers where it lies, so that neither a changed byte nor a value in
// another's place is read as what was written. It finds accidents; it is no protection from whoever can write the file.
func seal(bucket string, key, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(value)), checksum(bucket, key, value)), value...)
}

// unseal returns the value that was sealed for this place.
func unseal(bucket string, key, sealed []byte) ([]byte, error) {
	if len(sealed) < 4 || binary.BigEndian.Uint32(sealed) != checksum(bucket, key, sealed[4:]) {
		return nil, errDamaged
	}
	return sealed[4:], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(bucket string, key, value []byte) uint32 {
	sum := crc32.Checksum([]byte(bucket), castagnoli)
	return crc32.Update(crc32.Update(sum, castagnoli, key), castagnoli, value)
}

// Values have fixed fields in a fixed order: strings behind their length in four bytes, numbers in eight, times as
// seconds and nanoseconds. One value has one encoding.

func appendBytes[T ~string | ~[]byte](out []byte, s T) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(s))), s...)
}

func appendTime(out []byte, t time.Time) []byte {
	out = binary.BigEndian.AppendUint64(out, uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(out, uint32(t.Nanosecond()))
}

// decoder reads what the append functions wrote. After a read beyond the end it is bad and yields zero values.
type decoder struct {
	rest []byte
	bad  bool
}

// take returns the next n bytes, not copied.
func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.rest)) {
		d.bad = true
		return nil
	}
	out := d.rest[:n:n]
	d.rest = d.rest[n:]
	return out
}

func (d *decoder) number() uint64 {
	if b := d.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (d *decoder) small() uint32 {
	if b := d.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) bytes() []byte { return bytes.Clone(d.take(uint64(d.small()))) }

func (d *decoder) string() string { return string(d.take(uint64(d.small()))) }

func (d *decoder) time() time.Time {
	sec, nsec := int64(d.number()), int64(d.small())
	if nsec >= int64(time.Second) {
		d.bad = true
	}
	return time.Unix(sec, nsec).UTC()
}

// flag reads a byte that is one of the first n numbers.
func (d *decoder) flag(n byte) byte {
	b := d.take(1)
	if b == nil || b[0] >= n {
		d.bad = true
		return 0
	}
	return b[0]
}

// end reports whether all was read, and nothing more was there.
func (d *decoder) end() error {
	if d.bad || len(d.rest) > 0 {
		return errDamaged
	}
	return nil
}

func encodeRecord(r lineage.Record) []byte {
	out := make([]byte, 1, 1+4+len(r.Raw())+4+len(r.RawBody()))
	if r.RawBody() == nil {
		return appendBytes(out, r.Raw())
	}
	out[0] = 1
	return appendBytes(appendBytes(out, r.Raw()), r.RawBody())
}

// splitRecord returns a record's bytes, not copied. An erased one has no body.
func splitRecord(value []byte) (raw, body []byte, err error) {
	d := decoder{rest: value}
	hasBody := d.flag(2) == 1
	raw = d.take(uint64(d.small()))
	if hasBody {
		body = d.take(uint64(d.small()))
	}
	return raw, body, d.end()
}

// decodeRecord reads a record and verifies it: its bytes are what its address and its digest commit to. The record keeps
// the value, which nobody may change.
func decodeRecord(value []byte) (lineage.Record, error) {
	raw, body, err := splitRecord(value)
	if err != nil {
		return lineage.Record{}, err
	}
	r, err := lineage.Decode(raw, body)
	if err != nil {
		return lineage.Record{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return r, nil
}

func encodeHead(h store.Head) []byte {
	out := appendBytes(nil, h.Key)
	out = binary.BigEndian.AppendUint64(out, h.Version)
	out = appendBytes(appendBytes(out, h.State), h.Value)
	out = binary.BigEndian.AppendUint64(out, h.Count)
	return appendTime(out, h.Expires)
}

func decodeHead(value []byte) (store.Head, error) {
	d := decoder{rest: value}
	h := store.Head{Key: d.string(), Version: d.number(), State: d.string(), Value: d.bytes(), Count: d.number(), Expires: d.time()}
	return h, d.end()
}

func encodeMark(m lineage.Mark) []byte {
	var flags byte
	if m.Cut {
		flags |= 1
	}
	if m.Blocked {
		flags |= 2
	}
	out := appendBytes(appendBytes(nil, m.Selector.Kind), m.Selector.Value)
	out = appendTime(append(out, flags), m.Before)
	return binary.BigEndian.AppendUint64(out, m.Seq)
}

func decodeMark(value []byte) (lineage.Mark, error) {
	d := decoder{rest: value}
	m := lineage.Mark{Selector: lineage.Selector{Kind: d.string(), Value: d.string()}}
	flags := d.flag(4)
	m.Cut, m.Blocked, m.Before, m.Seq = flags&1 != 0, flags&2 != 0, d.time(), d.number()
	return m, d.end()
}

func encodeRevocation(r lineage.Revocation) []byte {
	out := binary.BigEndian.AppendUint64(nil, r.Seq)
	out = appendBytes(appendBytes(out, r.Selector.Kind), r.Selector.Value)
	out = appendTime(appendTime(appendBytes(out, r.Action), r.At), r.Before)
	return appendBytes(appendBytes(out, r.Reason), r.By)
}

func decodeRevocation(value []byte) (lineage.Revocation, error) {
	d := decoder{rest: value}
	r := lineage.Revocation{
		Seq: d.number(), Selector: lineage.Selector{Kind: d.string(), Value: d.string()},
		Action: lineage.Action(d.string()), At: d.time(), Before: d.time(), Reason: d.string(), By: d.string(),
	}
	return r, d.end()
}

// position is where an issuer stands: its store time and the sequence number of its last revocation.
type position struct {
	now time.Time
	seq uint64
}

func encodePosition(p position) []byte {
	return binary.BigEndian.AppendUint64(appendTime(nil, p.now), p.seq)
}

func decodePosition(value []byte) (position, error) {
	d := decoder{rest: value}
	p := position{d.time(), d.number()}
	return p, d.end()
}
