package lineage

import (
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

func (r *reader) text() string {
	if r.rest == "" || r.rest[0] != '"' {
		r.fail()
		return ""
	}
	for i := 1; i < len(r.rest); i++ {
		switch c := r.rest[i]; {
		case c == '"':
			return r.token(i + 1)[1:i]
		case c < ' ' || c == '\\' || c == "\u2028"[0]:
			return r.escaped()
		}
	}
	r.fail()
	return ""
}

// escaped reads a text that holds, or may have to hold, an escape.
func (r *reader) escaped() (out string) {
	token := r.token(extent(r.rest))
	r.check(json.Unmarshal([]byte(token), &out))
	if again, err := encode(out); err != nil || string(again) != token {
		r.fail()
	}
	return out
}

// extent returns the length of the JSON value that s begins with, if it is one.
func extent(s string) int {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ':' || c == '}' || c == ']'):
			return i
		case c == '}' || c == ']':
			depth--
		}
	}
	return len(s)
}

func (r *reader) raw() json.RawMessage {
	token := r.token(extent(r.rest))
	out, err := canon.JSON([]byte(token))
	if err != nil || token == "null" || string(out) != token {
		r.fail()
	}
	return out
}

// digits reads what a number is made of.
func (r *reader) digits() string {
	n := 0
	for n < len(r.rest) && (r.rest[n] == '-' || '0' <= r.rest[n] && r.rest[n] <= '9') {
		n++
	}
	return r.token(n)
}

func (r *reader) integer(v reflect.Value) int64 {
	token := r.digits()
	n, err := strconv.ParseInt(token, 10, 64)
	if err != nil || v.OverflowInt(n) || strconv.FormatInt(n, 10) != token {
		r.fail()
	}
	return n
}

func (r *reader) natural() uint64 {
	token := r.digits()
	n, err := strconv.ParseUint(token, 10, 64)
	if err != nil || strconv.FormatUint(n, 10) != token {
		r.fail()
	}
	return n
}

func (r *reader) moment() time.Time {
	token := r.text()
	t, err := time.Parse(time.RFC3339Nano, token)
	t = Time(t)
	var buf [len(time.RFC3339Nano)]byte
	if err != nil || string(t.AppendFormat(buf[:0], time.RFC3339Nano)) != token {
		r.fail()
	}
	return t
}

func (r *reader) binary() []byte {
	if r.take("null") {
		return nil
	}
	token := r.text()
	out, err := base64.StdEncoding.DecodeString(token)
	if err != nil || base64.StdEncoding.EncodeToString(out) != token {
		r.fail()
	}
	return out
}
