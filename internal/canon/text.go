package canon

import (
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

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
	for i := r.at + simple(r.in[r.at:]); i < len(r.in); i++ {
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
