package canon

import (
	"encoding/base64"
	"errors"
)

// strict refuses trailing bits that are not zero.
var strict = base64.RawURLEncoding.Strict()

var errBase64 = errors.New("not the one spelling of base64url")

// Base64URL returns what s says in base64url without padding (RFC 7515, section 2). It accepts one spelling of each value,
// and so no line breaks, which the decoder of the standard library skips.
func Base64URL(s string) ([]byte, error) {
	b, err := strict.DecodeString(s)
	if err != nil || base64.RawURLEncoding.EncodedLen(len(b)) != len(s) {
		return nil, errBase64
	}
	return b, nil
}
