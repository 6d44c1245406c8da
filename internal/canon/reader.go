package canon

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// errJSON is wrapped by every error of a reader. None contains anything of the text.
var (
	errJSON     = errors.New("not acceptable JSON")
	errUTF8     = fmt.Errorf("%w: not UTF-8", errJSON)
	errSyntax   = fmt.Errorf("%w: syntax", errJSON)
	errDeep     = fmt.Errorf("%w: nested too deeply", errJSON)
	errRepeated = fmt.Errorf("%w: duplicate member", errJSON)
	errHalf     = fmt.Errorf("%w: unpaired surrogate", errJSON)
)

// Reader reads JSON by the grammar of RFC 8259 in one pass over a text. The first thing that is not acceptable ends the
// reading: from then on there is nothing left to read, every method returns a zero value, and Err says what it was. Whoever
// reads checks Err or Done once, at the end, and does not use what was read if there is an error.
//
// It is the one reader of JSON from outside. JSON, Object and Members are made of it; who knows in what form a text has
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
	r := &Reader{in: text}
	r.check()
	return r
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

// asIs says which bytes a string in canonical form may have as they are. The first bytes of U+2028, U+2029 and U+FFFD
// are not among them, for the sake of those.
var asIs = func() (table [256]bool) {
	for c := range table {
		table[c] = c >= ' ' && c != '"' && c != '\\' && c != 0xe2 && c != 0xef
	}
	return table
}()

// Text reads a string, and reports whether it is plain: it stands there without an escape, and nothing in it needs one
// or is a replacement character. Half a surrogate pair is read as a replacement character.
func (r *Reader) Text() (s string, isPlain bool) {
	if r.Want(`"`); r.err != nil {
		return "", false
	}
	for i := r.at; i < len(r.in); i++ {
		if c := r.in[i]; !asIs[c] {
			if c == '"' {
				s, r.at = r.in[r.at:i], i+1
				return s, true
			}
			return r.text(i)
		}
	}
	r.Fail(errSyntax)
	return "", false
}

// text is Text for a string that is plain up to an offset.
func (r *Reader) text(i int) (s string, isPlain bool) {
	start := r.at
	isPlain = true
	for r.at = i; r.at < len(r.in); {
		switch c := r.in[r.at]; {
		case asIs[c]:
			r.at++
		case c == '"':
			r.at++
			return r.in[start : r.at-1], isPlain
		case c == '\\':
			return r.escaped(start), false
		case c < ' ':
			r.Fail(errSyntax)
		default:
			char, size := utf8.DecodeRuneInString(r.in[r.at:])
			isPlain = isPlain && !isSpecial(char)
			r.at += size
		}
	}
	r.Fail(errSyntax)
	return "", false
}

// escaped reads on in a string at its first escape.
func (r *Reader) escaped(start int) string {
	out := append(r.spare[:0], r.in[start:r.at]...)
	for r.at < len(r.in) {
		switch c := r.in[r.at]; {
		case c == '"':
			r.at++
			r.spare = out
			return string(out)
		case c == '\\':
			out = utf8.AppendRune(out, r.escape())
		case c < ' ':
			r.Fail(errSyntax)
		default:
			out = append(out, c)
			r.at++
		}
	}
	r.Fail(errSyntax)
	return ""
}

// escapes are the escapes of one letter.
var escapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// escape reads one escape, or two that are a surrogate pair.
func (r *Reader) escape() rune {
	if r.at+1 < len(r.in) {
		if c := escapes[r.in[r.at+1]]; c != 0 {
			r.at += 2
			return rune(c)
		}
	}
	char := r.unit()
	if !utf16.IsSurrogate(char) {
		return char
	}
	back := r.at
	if strings.HasPrefix(r.in[r.at:], `\u`) {
		if pair := utf16.DecodeRune(char, r.unit()); pair != utf8.RuneError {
			return pair
		}
	}
	if r.err == nil {
		r.at = back
	}
	return utf8.RuneError
}

// unit reads \u and four digits.
func (r *Reader) unit() rune {
	if r.at+6 > len(r.in) || r.in[r.at+1] != 'u' {
		r.Fail(errSyntax)
		return 0
	}
	n, err := strconv.ParseUint(r.in[r.at+2:r.at+6], 16, 16)
	if err != nil {
		r.Fail(errSyntax)
		return 0
	}
	r.at += 6
	return rune(n)
}
