package canon

import (
	"errors"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Key joins parts into one string from which they can be read back in only one way: each part is preceded by its
// length. Keys of state are made with it, so that no choice of identifiers makes two keys collide.
func Key(parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(strconv.Itoa(len(p)))
		b.WriteByte(':')
		b.WriteString(p)
	}
	return b.String()
}

// isPrintable reports whether s is plain ASCII, without control characters.
func isPrintable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// Name reports whether s can name something: not empty, at most MaxName bytes of valid UTF-8, without control
// characters.
func Name(s string) error {
	switch {
	case s == "":
		return errors.New("empty name")
	case len(s) > MaxName:
		return errors.New("name too long")
	case isPrintable(s):
		return nil
	case !utf8.ValidString(s):
		return errors.New("name is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("name has a control character")
	}
	return nil
}
