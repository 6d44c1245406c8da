// Package front is the strict check of a compact token before anything parses it.
//
// JOSE libraries are lenient: they accept several spellings of one token, headers that point to keys, and JSON that
// two parsers read differently. What passes this front has exactly one spelling and one reading. Nothing here is
// cryptography: a token that passed is well formed, and not yet believed.
//
// One thing is left that a third party can change without breaking a signature: an ECDSA signature (r, s) also
// verifies as (r, n-s). State is therefore keyed on the issuer and the jti of a token, never on its text.
package front

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Token is one canonical compact JWS that passed the front; nothing about it is verified yet. Only Parse and ParseProof
// make one. It must not be modified.
type Token struct {
	// Alg and Kid are the header members as written; Kid is empty if absent.
	Alg, Kid string
	// Typ is the typ header in lower case and without a leading "application/" (RFC 7515, section 4.1.9); empty if
	// absent.
	Typ string
	// Payload is the decoded payload: one JSON object in UTF-8, without duplicate members at any level, at most
	// canon.MaxNesting levels deep.
	Payload []byte
	// SigningInput is the bytes that the signature covers.
	SigningInput []byte
	// Signature is the decoded signature.
	Signature []byte
	// Raw is the token as it was presented.
	Raw string
}

// errToken is wrapped by every error of Parse.
var errToken = errors.New("not an acceptable token")

// algorithms are the asymmetric signature algorithms of RFC 7518, RFC 8037 and RFC 9864. There is no "none" and no
// HMAC: a key set of public keys must never become a set of shared secrets.
var algorithms = []string{
	"ES256", "ES384", "ES512", "EdDSA", "Ed25519", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512",
}

// Algorithms returns the names of the signature algorithms that Parse lets pass.
func Algorithms() []string { return slices.Clone(algorithms) }

// Parse reads a compact JWS of at most canon.MaxToken bytes. It refuses everything else: other serialisations, an
// encrypted token, base64url that is padded or not canonical, a header with a member other than alg, kid, typ and x5t
// (RFC 8725, sections 2.4 to 2.10), an algorithm that is not an asymmetric signature, and a payload that is not one
// unambiguous JSON object. Its errors name the rule and never contain any of the token.
func Parse(raw string) (Token, error) {
	return parse(raw, canon.MaxToken, (*Token).readHeader)
}

// parse is the check of a token up to a size, whose header is read by a function of its kind.
func parse(raw string, limit int, readHeader func(*Token, []byte) error) (Token, error) {
	if len(raw) > limit {
		return Token{}, fmt.Errorf("%w: too long", errToken)
	}
	head, payload, signature, err := split(raw)
	if err != nil {
		return Token{}, err
	}
	t := Token{Raw: raw, SigningInput: []byte(raw[:len(head)+1+len(payload)])}
	header, err := segment(head)
	if err != nil {
		return Token{}, err
	}
	if err := readHeader(&t, header); err != nil {
		return Token{}, err
	}
	if t.Payload, err = segment(payload); err != nil {
		return Token{}, err
	}
	if _, err := canon.Object(t.Payload); err != nil {
		return Token{}, fmt.Errorf("%w: payload: %w", errToken, err)
	}
	if t.Signature, err = segment(signature); err != nil {
		return Token{}, err
	}
	return t, nil
}

// split returns the three segments of a compact JWS.
func split(raw string) (header, payload, signature string, err error) {
	for i := range len(raw) {
		c := raw[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return "", "", "", fmt.Errorf("%w: not in compact form", errToken)
		}
	}
	header, rest, _ := strings.Cut(raw, ".")
	payload, signature, _ = strings.Cut(rest, ".")
	switch {
	case strings.Contains(signature, "."):
		return "", "", "", fmt.Errorf("%w: more than three segments", errToken)
	case header == "" || payload == "" || signature == "":
		return "", "", "", fmt.Errorf("%w: fewer than three segments", errToken)
	}
	return header, payload, signature, nil
}

// strict refuses trailing bits that are not zero. It would still skip line breaks, which split refuses.
var strict = base64.RawURLEncoding.Strict()

func segment(s string) ([]byte, error) {
	b, err := strict.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: base64url is not canonical", errToken)
	}
	return b, nil
}
