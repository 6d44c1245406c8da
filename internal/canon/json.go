package canon

import (
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// JSON returns the canonical bytes of one JSON value: members sorted by name, no white space, strings with the
// fewest escapes, numbers as they were written. Duplicate members, invalid or unpaired UTF-8, trailing data, numbers
// that are too large for a float64 (RFC 8259 section 6: no two readers agree on them) and more than MaxNesting levels
// of objects and arrays are refused.
//
// Two values with equal canonical bytes are equal. The reverse does not hold for numbers (1.0 and 1 differ), which
// errs on the side of refusal wherever canonical bytes are compared.
func JSON(raw []byte) ([]byte, error) {
	r := start(raw)
	r.value(0)
	r.end()
	if r.err != nil {
		return nil, r.err
	}
	return r.out, nil
}

// Value reads any value, with the white space before it, and returns its canonical bytes as JSON does.
func (r *Reader) Value() []byte {
	r.out = r.out[:0]
	if r.value(0); r.err != nil {
		return nil
	}
	return slices.Clone(r.out)
}

// start is NewReader for what a canonical form is made of.
func start(raw []byte) Reader {
	r := Reader{in: string(raw)}
	if r.check(); r.err != nil {
		return r
	}
	r.out = make([]byte, 0, len(raw))
	r.members = make([]member, 0, min(len(raw)/24, 32))
	return r
}

// value appends the canonical form of the next value, which is inside of depth others.
func (r *Reader) value(depth int) {
	switch c := r.space(); {
	case c == '"':
		r.string()
	case c == '{' || c == '[':
		if depth == MaxNesting {
			r.Fail(errDeep)
			return
		}
		if c == '[' {
			r.array(depth)
			return
		}
		first, offset := len(r.members), len(r.out)
		if sorted := r.object(depth); !sorted && r.err == nil {
			r.arrange(r.members[first:], offset)
		}
		r.members = r.members[:first]
	case c == '-' || '0' <= c && c <= '9':
		r.out = append(r.out, r.finite()...)
	default:
		r.word()
	}
}

// finite reads a number that a float64 can hold.
func (r *Reader) finite() string {
	n := r.Number()
	if len(n) <= 300 && !strings.ContainsAny(n, "eE") {
		return n
	}
	if _, err := strconv.ParseFloat(n, 64); err != nil {
		r.Fail(errLarge)
	}
	return n
}

func (r *Reader) word() {
	for _, word := range [...]string{"true", "false", "null"} {
		if r.Take(word) {
			r.out = append(r.out, word...)
			return
		}
	}
	r.Fail(errSyntax)
}

// string appends the next string, and returns what it says.
func (r *Reader) string() string {
	s, isPlain := r.Text()
	if isPlain {
		r.out = append(append(append(r.out, '"'), s...), '"')
		return s
	}
	out, err := AppendString(r.out, s)
	if err != nil {
		r.Fail(errHalf)
		return ""
	}
	r.out = out
	return s
}

func (r *Reader) array(depth int) {
	r.at++
	r.out = append(r.out, '[')
	for more := r.space() != ']'; more; more = r.comma() {
		r.value(depth + 1)
	}
	r.Want("]")
	r.out = append(r.out, ']')
}

// AppendString appends s as a canonical JSON string. A replacement character is refused: a decoder puts it where the
// input had half a surrogate pair, so two inputs would share one form. U+2028 and U+2029 are escaped, because some
// encoders rewrite them inside JSON that they were given ready-made.
func AppendString(out []byte, s string) ([]byte, error) {
	if strings.ContainsRune(s, utf8.RuneError) {
		return nil, errHalf
	}
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', byte(c))
		case c < ' ' || c == '\u2028' || c == '\u2029':
			const digits = "0123456789abcdef"
			out = append(out, '\\', 'u', digits[c>>12], digits[c>>8&15], digits[c>>4&15], digits[c&15])
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	return append(out, '"'), nil
}

// isSpecial reports whether AppendString refuses c, or writes another form of it than encoders that are not told to.
func isSpecial(c rune) bool { return c == utf8.RuneError || c == '\u2028' || c == '\u2029' }
