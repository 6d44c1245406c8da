package front

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// readHeader reads the JOSE header. Every member is a string that is known to be harmless; any other member is
// refused and not ignored, because it may change what the token means (crit, b64, zip) or where keys come from (jwk,
// jku, x5c, x5u).
func (t *Token) readHeader(raw []byte) error {
	members, err := canon.Object(raw)
	if err != nil {
		return fmt.Errorf("%w: header: %w", errToken, err)
	}
	return t.readMembers(members)
}

// maxMembers is how many members a header can have that is not refused.
const maxMembers = 5

// readMembers reads them in the order of their names, so that a token is always refused for the same reason.
func (t *Token) readMembers(members canon.Members) (err error) {
	if len(members) > maxMembers {
		return fmt.Errorf("%w: header has more members than are allowed", errToken)
	}
	for _, m := range members {
		s, err := headerString(m.Value)
		if err != nil {
			return err
		}
		switch m.Name {
		case "alg":
			t.Alg = s
		case "kid":
			t.Kid = s
		case "typ":
			t.Typ = s
		case "x5t", "x5t#S256":
			// A certificate's thumbprint, as large identity providers send it beside kid. It cannot choose a key here.
		default:
			return fmt.Errorf("%w: header has a member that is not allowed", errToken)
		}
	}
	if !slices.Contains(algorithms, t.Alg) {
		return fmt.Errorf("%w: algorithm is not allowed", errToken)
	}
	if t.Typ != "" {
		t.Typ, err = mediaType(t.Typ)
	}
	return err
}

func headerString(value []byte) (string, error) {
	s, ok := canon.Text(value)
	if !ok {
		return "", fmt.Errorf("%w: header has a member that is not a string", errToken)
	}
	if err := canon.Name(s); err != nil {
		return "", fmt.Errorf("%w: header has an unusable value", errToken)
	}
	return s, nil
}

// mediaType returns a typ in the form in which types are compared. Only ASCII is accepted: some other letters become
// ASCII in lower case.
func mediaType(s string) (string, error) {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return "", fmt.Errorf("%w: typ is not ASCII", errToken)
		}
	}
	s = strings.TrimPrefix(strings.ToLower(s), "application/")
	if s == "" {
		return "", fmt.Errorf("%w: typ names no type", errToken)
	}
	return s, nil
}
