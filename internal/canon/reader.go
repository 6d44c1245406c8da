package canon

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// errJSON is wrapped by every error of a reader. None contains anything of the text.
var (
	errJSON     = errors.New("not acceptable JSON")
	errUTF8     = fmt.Errorf("%w: not UTF-8", errJSON)
	errSyntax   = fmt.Errorf("%w: syntax", errJSON)
	errDeep     = fmt.Errorf("%w: nested too deeply", errJSON)
	errLarge    = fmt.Errorf("%w: number too large", errJSON)
	errRepeated = fmt.Errorf("%w: duplicate member", errJSON)
	errHalf     = fmt.Errorf("%w: unpaired surrogate", errJSON)
)

// Reader reads JSON by the grammar of RFC 8259 in one pass over a text. The first thing that is not acceptable ends the
// reading: from then on there is nothing left to read, every method returns a zero value, and Err says what it was. Whoever
// reads checks Err or Done once, at the end, and does not use what was read if there is an error.
//
// It is the one reader of JSON from outside. JSON, Object and Text are made of it; who knows in what form a text has
// to be reads it part by part.
type Reader struct {
	in  string
	at  int
	err error // what was not acceptable

	out     []byte   // the canonical form of the value that is being read
	members []member // of the objects that are being read, the innermost at the end
	spare   []byte
}

// NewReader returns a reader of text. One of a text that is not UTF-8 has failed already.
func NewReader(text string) *Reader {
	r := &Reader{}
	r.Reset(text)
	return r
}

// Reset makes r a reader of another text, as NewReader does, and lets go of the one before. It keeps the memory in which it
// works.
func (r *Reader) Reset(text string) {
	clear(r.members)
	*r = Reader{in: text, out: r.out[:0], members: r.members[:0], spare: r.spare[:0]}
	r.check()
}

func (r *Reader) check() {
	if !utf8.ValidString(r.in) {
		r.Fail(errUTF8)
	}
}

// Err says what was not acceptable.
func (r *Reader) Err() error { return r.err }

// Fail ends the reading because of err, unless it has ended before.
func (r *Reader) Fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.in)
}

// Done reports whether all of the text was read and acceptable.
func (r *Reader) Done() bool { return r.err == nil && r.at == len(r.in) }

// Offset returns how many bytes were read.
func (r *Reader) Offset() int { return r.at }

// From returns what was read since an offset, as it is written.
func (r *Reader) From(offset int) string { return r.in[offset:r.at] }

// Take reads token if the text goes on with it, and reports whether it did. White space has to be part of the token.
func (r *Reader) Take(token string) bool {
	found := strings.HasPrefix(r.in[r.at:], token)
	if found {
		r.at += len(token)
	}
	return found
}

// Want reads token, which has to come next.
func (r *Reader) Want(token string) {
	if !r.Take(token) {
		r.Fail(errSyntax)
	}
}

// space reads white space, and returns the byte behind it; zero at the end.
func (r *Reader) space() byte {
	for ; r.at < len(r.in); r.at++ {
		if c := r.in[r.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

// end reads white space, behind which nothing may follow.
func (r *Reader) end() {
	if r.space(); r.at < len(r.in) {
		r.Fail(errSyntax)
	}
}

// Number reads a number and returns it as it is written.
func (r *Reader) Number() string {
	start := r.at
	r.Take("-")
	if !r.Take("0") {
		r.digits()
	}
	if r.Take(".") {
		r.digits()
	}
	if r.Take("e") || r.Take("E") {
		if !r.Take("+") {
			r.Take("-")
		}
		r.digits()
	}
	if r.err != nil {
		return ""
	}
	return r.in[start:r.at]
}

// digits reads one digit or more.
func (r *Reader) digits() {
	start := r.at
	for r.at < len(r.in) && r.in[r.at]-'0' <= 9 {
		r.at++
	}
	if r.at == start {
		r.Fail(errSyntax)
	}
}
