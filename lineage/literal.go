package lineage

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"time"
)

func (r reader) raw() json.RawMessage {
	start := r.Offset()
	out := r.Value()
	if token := r.From(start); token == "null" || string(out) != token {
		r.fail()
	}
	return out
}

func (r reader) integer(v reflect.Value) int64 {
	token := r.Number()
	n, err := strconv.ParseInt(token, 10, 64)
	if err != nil || v.OverflowInt(n) || token == "-0" {
		r.fail()
	}
	return n
}

func (r reader) natural() uint64 {
	n, err := strconv.ParseUint(r.Number(), 10, 64)
	r.check(err)
	return n
}

func (r reader) moment() time.Time {
	token := r.Written()
	t, err := time.Parse(time.RFC3339Nano, token)
	t = Time(t)
	var buf [len(time.RFC3339Nano)]byte
	if err != nil || string(t.AppendFormat(buf[:0], time.RFC3339Nano)) != token {
		r.fail()
	}
	return t
}

func (r reader) binary() []byte {
	token := r.Written()
	out, err := base64.StdEncoding.DecodeString(token)
	if err != nil || base64.StdEncoding.EncodeToString(out) != token {
		r.fail()
	}
	return out
}
