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
	// Claims are the members of the payload, so that nobody has to parse it again.
	Claims canon.Members
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

// Limits on the segments of a token, in bytes as presented. They leave room for the longest key that package jose
// accepts in a proof, and for a signature by the longest RSA key.
const (
	maxHeader    = 3 << 10
	maxSignature = 1366 // 1024 bytes decoded, the size of an RSA modulus of 8192 bits
)

// Parse reads a compact JWS of at most canon.MaxToken bytes. It refuses everything else: other serialisations, an
// encrypted token, base64url that is padded or not canonical, a header with a member other than alg, kid, typ and x5t
// (RFC 8725, sections 2.4 to 2.10), an algorithm that is not an asymmetric signature, and a payload that is not one
// unambiguous JSON object. Its errors name the rule and never contain any of the token.
//
// It checks in the order of what a check costs: nothing is decoded before the length and the form of the whole are
// right, and the payload is not looked at before the header and the spelling of the signature are.
func Parse(raw string) (Token, error) {
	return parse(raw, canon.MaxToken, (*Token).readHeader)
}

// ParseAs is Parse for a token that has to be of one of the given types, in the form of Token.Typ; "" is a header
// without typ. A token of another type is refused before its payload is looked at. Without types nothing passes.
func ParseAs(raw string, types ...string) (Token, error) {
	return parse(raw, canon.MaxToken, func(t *Token, header []byte) error {
		if err := t.readHeader(header); err != nil {
			return err
		}
		if !slices.Contains(types, t.Typ) {
			return fmt.Errorf("%w: type of token is not accepted here", errToken)
		}
		return nil
	})
}

// parse is the check of a token up to a size, whose header is read by a function of its kind.
func parse(raw string, limit int, readHeader func(*Token, []byte) error) (Token, error) {
	head, body, tail, err := split(raw, limit)
	if err != nil {
		return Token{}, err
	}
	t := Token{Raw: raw}
	header, err := segment(head)
	if err != nil {
		return Token{}, err
	}
	if err := readHeader(&t, header); err != nil {
		return Token{}, err
	}
	if t.Signature, err = segment(tail); err != nil {
		return Token{}, err
	}
	if t.Payload, err = segment(body); err != nil {
		return Token{}, err
	}
	if t.Claims, err = canon.Object(t.Payload); err != nil {
		return Token{}, fmt.Errorf("%w: payload: %w", errToken, err)
	}
	t.SigningInput = []byte(raw[:len(head)+1+len(body)])
	return t, nil
}

// split returns the three segments of a compact JWS. It decodes nothing and allocates nothing.
func split(raw string, limit int) (header, payload, signature string, err error) {
	if len(raw) > limit {
		return "", "", "", fmt.Errorf("%w: too long", errToken)
	}
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
		err = fmt.Errorf("%w: more than three segments", errToken)
	case header == "" || payload == "" || signature == "":
		err = fmt.Errorf("%w: fewer than three segments", errToken)
	case len(header) > maxHeader:
		err = fmt.Errorf("%w: header is too long", errToken)
	case len(signature) > maxSignature:
		err = fmt.Errorf("%w: signature is too long", errToken)
	}
	return header, payload, signature, err
}

func segment(s string) ([]byte, error) {
	b, err := canon.Base64URL(s)
	if err != nil {
		return nil, fmt.Errorf("%w: base64url is not canonical", errToken)
	}
	return b, nil
}
