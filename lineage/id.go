package lineage

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// ID is the address of a record: the SHA-256 of its envelope. The zero ID names nothing.
//
// Its text form is the 43 characters of unpadded base64url, which is also the jti of the token that the record stands
// behind.
type ID [sha256.Size]byte

// strict refuses trailing bits that are not zero.
var strict = base64.RawURLEncoding.Strict()

var errID = errors.New("lineage: not a record id")

// ParseID reads the text form. Only the one canonical spelling of an id is accepted; the empty string names nothing and
// is refused.
func ParseID(s string) (ID, error) {
	if s == "" {
		return ID{}, errID
	}
	return idOf(s)
}

// IDOf returns the address of the record whose envelope is raw.
func IDOf(raw []byte) ID { return sha256.Sum256(raw) }

// IsZero reports whether id names nothing.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the text form, or the empty string for the zero ID.
func (id ID) String() string {
	if id.IsZero() {
		return ""
	}
	var buf [43]byte
	return string(id.append(buf[:0]))
}

// Is reports whether text is the text form of id.
func (id ID) Is(text string) bool {
	var room [43]byte
	return string(id.append(room[:0])) == text
}

// MarshalText implements encoding.TextMarshaler.
func (id ID) MarshalText() ([]byte, error) { return id.append(nil), nil }

// Texts returns the text forms of ids.
func Texts(ids ...ID) []string {
	var all strings.Builder
	var text [43]byte
	all.Grow(len(ids) * len(text))
	out := make([]string, len(ids))
	for i, id := range ids {
		start := all.Len()
		all.Write(id.append(text[:0]))
		out[i] = all.String()[start:]
	}
	return out
}

func (id ID) append(out []byte) []byte {
	if id.IsZero() {
		return out
	}
	return base64.RawURLEncoding.AppendEncode(out, id[:])
}

// UnmarshalText implements encoding.TextUnmarshaler. The empty text is the zero ID.
func (id *ID) UnmarshalText(text []byte) error {
	out, err := idOf(text)
	if err == nil {
		*id = out
	}
	return err
}

// idOf reads the text form. The empty text is the zero ID.
func idOf[T string | []byte](text T) (id ID, err error) {
	var room [43]byte
	switch {
	case len(text) == 0:
		return ID{}, nil
	case len(text) != len(room):
		return ID{}, errID
	}
	copy(room[:], text)
	// The decoder skips line breaks, so that only the count of bytes tells a shorter text with one in it.
	if n, err := strict.Decode(id[:], room[:]); err != nil || n != len(id) || id.IsZero() {
		return ID{}, errID
	}
	return id, nil
}
