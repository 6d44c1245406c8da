package lineage

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"time"
)

// list reads a list of texts. All those of a part are in one piece of memory.
func (r reader) list() []string {
	if r.Want("["); r.Take("]") {
		return []string{}
	}
	if r.texts == nil {
		r.texts = make([]string, 0, 16)
	}
	start := len(r.texts)
	r.texts = elements(r, r.texts, reader.Written)
	return slices.Clip(r.texts[start:])
}

func (r reader) optionalTexts(name string) []string {
	if !r.Name(name) {
		return nil
	}
	out := r.list()
	r.hold(len(out) > 0)
	return out
}

func (r reader) id() ID {
	id, err := idOf(r.Written())
	r.hold(err == nil)
	return id
}

// selectors reads the selectors of a body, which are sorted. Most records have about twenty.
func (r reader) selectors() []Selector {
	if !r.Name("selectors") {
		return nil
	}
	var room [32]Selector
	r.Want("[")
	out := elements(r, room[:0], reader.selector)
	r.hold(ascending(out, compareSelectors))
	return slices.Clone(out)
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
	r.hold(err == nil && isWritten(token))
	return Time(t)
}

// isWritten reports whether what can be read as a time by RFC 3339 is as records have it: in UTC, with as many digits of
// the milliseconds as it needs.
func isWritten(token string) bool {
	const whole = len("2006-01-02T15:04:05")
	end := len(token) - 1
	if end < whole || token[end] != 'Z' {
		return false
	}
	return end == whole || token[whole] == '.' && end > whole+1 && end <= whole+len(".000") && token[end-1] != '0'
}

var strictStd = base64.StdEncoding.Strict()

// binary refuses line breaks by the length, which the decoder skips.
func (r reader) binary() []byte {
	token := r.Written()
	out, err := strictStd.DecodeString(token)
	r.hold(err == nil && base64.StdEncoding.EncodedLen(len(out)) == len(token))
	return out
}
