package canon

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Writer writes JSON objects in one spelling: members in the order in which they are given, texts as the standard encoder
// writes them, without the escapes for HTML. What Optional methods are given is left out where it is empty or zero. The
// zero Writer is ready for use. Where something could not be written, Bytes returns an error, and what was written is not
// to be used.
type Writer struct {
	out   []byte
	start int
	err   error
}

// NewWriter returns a Writer that appends to out.
func NewWriter(out []byte) Writer { return Writer{out: out, start: len(out)} }

// Bytes returns what was written, behind what NewWriter was given.
func (w *Writer) Bytes() ([]byte, error) { return w.out, w.err }

// Open begins an object: an element where name is empty, else a member of the object that is being written.
func (w *Writer) Open(name string) {
	w.next(name)
	w.out = append(w.out, '{')
}

// Close ends the object that was begun last.
func (w *Writer) Close() { w.out = append(w.out, '}') }

// OpenList begins a list as Open does an object.
func (w *Writer) OpenList(name string) {
	w.next(name)
	w.out = append(w.out, '[')
}

// CloseList ends the list that was begun last.
func (w *Writer) CloseList() { w.out = append(w.out, ']') }

// Key writes the name of a member whose value is written next, without a name of its own.
func (w *Writer) Key(name string) {
	w.Text("", name)
	w.out = append(w.out, ':')
}

// next writes the comma that is due and the name of a member, of which no character needs an escape.
func (w *Writer) next(name string) {
	if n := len(w.out); n > w.start && w.out[n-1] != '{' && w.out[n-1] != '[' && w.out[n-1] != ':' {
		w.out = append(w.out, ',')
	}
	if name != "" {
		w.out = append(w.out, '"')
		w.out = append(w.out, name...)
		w.out = append(w.out, `":`...)
	}
}

// Text writes a text.
func (w *Writer) Text(name, s string) {
	w.next(name)
	w.out = append(w.out, '"')
	w.string(s)
	w.out = append(w.out, '"')
}

// Joined writes one text of several parts.
func (w *Writer) Joined(name string, parts ...string) {
	w.next(name)
	w.out = append(w.out, '"')
	for _, s := range parts {
		w.string(s)
	}
	w.out = append(w.out, '"')
}

// string writes a text without its quotation marks.
func (w *Writer) string(s string) {
	if simple(s) < len(s) {
		w.escaped(s)
		return
	}
	w.out = append(w.out, s...)
}

// escaped is string for what may need an escape: it writes what the standard encoder does, without the escapes for HTML.
func (w *Writer) escaped(s string) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil || !utf8.ValidString(s) {
		w.err = errUTF8
		return
	}
	w.out = append(w.out, buf.Bytes()[1:buf.Len()-2]...)
}

// OptionalText writes a text that is not empty.
func (w *Writer) OptionalText(name, s string) {
	if s != "" {
		w.Text(name, s)
	}
}

// Texts writes a list of texts.
func (w *Writer) Texts(name string, list []string) {
	w.OpenList(name)
	for _, s := range list {
		w.Text("", s)
	}
	w.CloseList()
}

// OptionalTexts writes a list of texts that is not empty.
func (w *Writer) OptionalTexts(name string, list []string) {
	if len(list) > 0 {
		w.Texts(name, list)
	}
}

// Int writes a number.
func (w *Writer) Int(name string, n int64) {
	w.next(name)
	w.out = strconv.AppendInt(w.out, n, 10)
}

// OptionalInt writes a number other than zero.
func (w *Writer) OptionalInt(name string, n int64) {
	if n != 0 {
		w.Int(name, n)
	}
}

// Uint writes a number.
func (w *Writer) Uint(name string, n uint64) {
	w.next(name)
	w.out = strconv.AppendUint(w.out, n, 10)
}

// OptionalTrue writes true, and leaves false out.
func (w *Writer) OptionalTrue(name string, b bool) {
	if b {
		w.next(name)
		w.out = append(w.out, "true"...)
	}
}

// Time writes a time by RFC 3339.
func (w *Writer) Time(name string, t time.Time) {
	w.next(name)
	out, err := t.AppendText(append(w.out, '"'))
	if err != nil { // a year of five digits
		w.err = err
		return
	}
	w.out = append(out, '"')
}

// OptionalTime writes a time other than the zero time.
func (w *Writer) OptionalTime(name string, t time.Time) {
	if !t.IsZero() {
		w.Time(name, t)
	}
}

// Binary writes bytes in base64.
func (w *Writer) Binary(name string, b []byte) {
	w.next(name)
	w.out = append(base64.StdEncoding.AppendEncode(append(w.out, '"'), b), '"')
}

// OptionalRaw writes a value that is JSON in the form of JSON already; nothing where there is none.
func (w *Writer) OptionalRaw(name string, raw json.RawMessage) {
	if len(raw) > 0 {
		w.next(name)
		w.out = append(w.out, raw...)
	}
}

// OptionalRaws writes a list of such values that is not empty.
func (w *Writer) OptionalRaws(name string, list []json.RawMessage) {
	if len(list) == 0 {
		return
	}
	w.OpenList(name)
	for _, raw := range list {
		w.OptionalRaw("", raw)
	}
	w.CloseList()
}

// Written reads a string, which has to be spelt as a Writer spells it. What one writes is mostly plain; where it is not, it
// is written again and compared.
func (r *Reader) Written() string {
	start := r.Offset()
	s, isPlain := r.Text()
	if isPlain || r.err != nil {
		return s
	}
	var w Writer
	if w.Text("", s); w.err != nil || string(w.out) != r.From(start) {
		r.Fail(errSyntax)
	}
	return s
}

// Name reads the name of a member as a Writer writes it, with the comma before it where one is due, if it is this one that
// comes next. No character of it may need an escape.
func (r *Reader) Name(name string) bool {
	rest := r.in[r.at:]
	if r.at > 0 && r.in[r.at-1] != '{' {
		if rest == "" || rest[0] != ',' {
			return false
		}
		rest = rest[1:]
	}
	n := len(name) + len(`"":`)
	if len(rest) < n || rest[0] != '"' || rest[1:n-2] != name || rest[n-2:n] != `":` {
		return false
	}
	r.at = len(r.in) - len(rest) + n
	return true
}

// Elements returns how many elements a list has that was just begun, if they are texts; a guess where they are something
// else. It is for making room.
func (r *Reader) Elements() int {
	rest, _, _ := strings.Cut(r.in[r.at:], "]")
	between := "},{"
	if strings.HasPrefix(rest, `"`) {
		between = `","`
	}
	return 1 + strings.Count(rest, between)
}

// Append writes what f appends, between quotation marks. Nothing in it may need an escape.
func (w *Writer) Append(name string, f func([]byte) []byte) {
	w.next(name)
	w.out = append(f(append(w.out, '"')), '"')
}

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// GetBuffer returns an empty buffer to write in, which PutBuffer takes back. Nothing may be kept of what it holds.
func GetBuffer() *[]byte {
	buf := buffers.Get().(*[]byte)
	*buf = (*buf)[:0]
	return buf
}

// PutBuffer takes a buffer back.
func PutBuffer(buf *[]byte) { buffers.Put(buf) }
