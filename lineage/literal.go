package lineage

import (
	"encoding/base64"
	"encoding/json"
	"strconv"
	"time"
)

func (r reader) texts() []string { return list(r, reader.Written) }

func (r reader) id() ID {
	id, err := idOf(r.Written())
	r.hold(err == nil)
	return id
}

func (r reader) selector() Selector {
	sel, err := ParseSelector(r.Written())
	r.hold(err == nil)
	return sel
}

// raw reads any value but null, which is written by leaving it out.
func (r reader) raw() json.RawMessage {
	start := r.Offset()
	out := r.Value()
	token := r.From(start)
	r.hold(token != "null" && string(out) == token)
	return out
}

func (r reader) optionalRaw(name string) json.RawMessage {
	if !r.Name(name) {
		return nil
	}
	return r.raw()
}

func (r reader) integer() int { return int(r.number(strconv.IntSize)) }

func (r reader) duration() time.Duration { return time.Duration(r.number(64)) }

func (r reader) number(bits int) int64 {
	token := r.Number()
	n, err := strconv.ParseInt(token, 10, bits)
	r.hold(err == nil && token != "-0")
	return n
}

func (r reader) natural() uint64 {
	n, err := strconv.ParseUint(r.Number(), 10, 64)
	r.hold(err == nil)
	return n
}

func (r reader) moment() time.Time {
	token := r.Written()
	t, err := time.Parse(time.RFC3339Nano, token)
	t = Time(t)
	var buf [len(time.RFC3339Nano)]byte
	r.hold(err == nil && string(t.AppendFormat(buf[:0], time.RFC3339Nano)) == token)
	return t
}

var strictStd = base64.StdEncoding.Strict()

// binary refuses line breaks by the length, which the decoder skips.
func (r reader) binary() []byte {
	token := r.Written()
	out, err := strictStd.DecodeString(token)
	r.hold(err == nil && base64.StdEncoding.EncodedLen(len(out)) == len(token))
	return out
}
