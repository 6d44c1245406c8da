package mint

import (
	"crypto"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// tokenType is the typ of every token that is made here, and the only one that is accepted (RFC 9068, section 2.1).
const tokenType = "at+jwt"

// maxHeader bounds the first segment of a token of ours.
const maxHeader = 128

var base64url = base64.RawURLEncoding

// publicKey is a key that tokens may be verified with.
type publicKey struct {
	jose.Key
	// header is the first segment of every token of this key.
	header string
	// made reports whether sig is what the private key, which is at hand, makes of input. Nil: it is not at hand, or does
	// not sign alike each time.
	made func(input, sig []byte) bool
}

// newPublicKey pins the header of k's tokens.
func newPublicKey(k jose.Key) publicKey {
	return publicKey{Key: k, header: header(k.Alg, k.ID, tokenType)}
}

// header returns the first segment of a token. No member needs escapes: kid is a thumbprint, the others are constants.
func header(alg, kid, typ string) string {
	return base64url.EncodeToString([]byte(`{"alg":"` + alg + `","kid":"` + kid + `","typ":"` + typ + `"}`))
}

// pinned returns the key id of a token whose header has the one form that the header of ours have. Nothing else is
// read, and nothing is believed: the key decides which header it is.
func pinned(raw string) (kid string, ok bool) {
	segment, _, _ := strings.Cut(raw, ".")
	if len(segment) > maxHeader {
		return "", false
	}
	text, err := canon.Base64URL(segment)
	if err != nil {
		return "", false
	}
	alg, rest, _ := strings.Cut(strings.TrimPrefix(string(text), `{"alg":"`), `","kid":"`)
	kid, rest, _ = strings.Cut(rest, `"`)
	ok = rest == `,"typ":"`+tokenType+`"}` && isThumbprint(kid) && slices.Contains(algorithms, alg)
	return kid, ok && len(text) == len(`{"alg":"","kid":"`)+len(alg)+len(kid)+1+len(rest)
}

// reason says why a header that is not pinned is refused, by the strict check of a token that is not ours.
func reason(raw string) (kid string, err error) {
	tok, err := front.Parse(raw)
	switch {
	case err != nil:
		return "", err
	case !isThumbprint(tok.Kid):
		return "", errors.New("no key id of this kind")
	case tok.Typ != tokenType:
		return tok.Kid, errors.New("typ is not " + tokenType)
	case !slices.Contains(algorithms, tok.Alg):
		return tok.Kid, errors.New("alg is not the key's")
	}
	return tok.Kid, errors.New("header is spelt otherwise")
}

// open returns the payload of a token that k signed. Only one spelling of it is accepted.
func (k publicKey) open(raw string) ([]byte, error) {
	head, rest, _ := strings.Cut(raw, ".")
	if head != k.header {
		return nil, fmt.Errorf("%w: alg is not the key's", ErrToken)
	}
	body, tail, three := strings.Cut(rest, ".")
	payload, err1 := canon.Base64URL(body)
	sig, err2 := canon.Base64URL(tail)
	if !three || err1 != nil || err2 != nil {
		return nil, fmt.Errorf("%w: not in compact form", ErrToken)
	}
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	*buf = append(*buf, raw[:len(head)+1+len(body)]...)
	if !k.verifies(*buf, sig) {
		return nil, ErrSignature
	}
	return payload, nil
}

// verifies reports whether sig is a signature of input. Where the private key is at hand, to sign again and compare is a third
// of the work of a verification, and needs the same secrecy as signing: nothing of what is computed leaves, and how long the
// comparison takes says nothing. What differs may still verify: a signature from before keys signed alike each time.
func (k publicKey) verifies(input, sig []byte) bool {
	return k.made != nil && k.made(input, sig) || jose.VerifyRaw(k.Alg, k.Public, input, sig)
}

// read returns the claims of a token that k signed.
func (k publicKey) read(raw string) (tokenboundary.Claims, error) {
	payload, err := k.open(raw)
	if err != nil {
		return tokenboundary.Claims{}, err
	}
	claims, err := decodeClaims(payload)
	claims.Key = k.ID
	return claims, err
}

// privateKey is a key that this node can sign with. What it signs with is behind a function, so that no dump of a Mint
// shows it.
type privateKey struct {
	publicKey
	sign   func(input []byte) ([]byte, error)
	sigLen int
}

// newPrivateKey returns s as a key for alg, once it has shown that it signs what its public key verifies.
func newPrivateKey(alg string, s crypto.Signer) (*privateKey, error) {
	if s == nil {
		return nil, errors.New("mint: no signer")
	}
	pub := s.Public()
	sigLen, err := fits(alg, pub)
	if err != nil {
		return nil, err
	}
	kid, err := jose.Thumbprint(pub)
	if err != nil {
		return nil, fmt.Errorf("mint: %w", err)
	}
	k := &privateKey{
		publicKey: newPublicKey(jose.Key{ID: kid, Alg: alg, Use: "sig", Public: pub}),
		sign:      func(input []byte) ([]byte, error) { return sign(alg, s, input) },
		sigLen:    sigLen,
	}
	if repeats(s) {
		k.made = func(input, sig []byte) bool {
			own, err := k.sign(input)
			return err == nil && subtle.ConstantTimeCompare(own, sig) == 1
		}
	}
	return k, k.prove()
}

// prove signs something that is no access token, and has it verified on the way of foreign tokens.
func (k *privateKey) prove() error {
	raw, err := k.compact(header(k.Alg, k.ID, "proof"), []byte(`{}`))
	if err != nil {
		return err
	}
	tok, err := front.Parse(raw)
	if err == nil {
		err = jose.Verify(tok, k.Key, k.Alg)
	}
	if err != nil {
		return errSigner
	}
	return nil
}

// token returns payload as an access token.
func (k *privateKey) token(payload []byte) (string, error) {
	size := len(k.header) + base64url.EncodedLen(len(payload)) + base64url.EncodedLen(k.sigLen) + 2
	if size > canon.MaxMinted {
		return "", errTooLong
	}
	return k.compact(k.header, payload)
}

// compact signs header and payload (RFC 7515, section 7.1).
func (k *privateKey) compact(header string, payload []byte) (string, error) {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	*buf = append(append(*buf, header...), '.')
	*buf = base64url.AppendEncode(*buf, payload)
	sig, err := k.sign(*buf)
	if err != nil {
		return "", fmt.Errorf("mint: sign: %w", err)
	}
	if len(sig) != k.sigLen {
		return "", errSigner
	}
	*buf = base64url.AppendEncode(append(*buf, '.'), sig)
	return string(*buf), nil
}

// isThumbprint reports whether s has the form of a key id: SHA-256 in the one spelling of base64url. It is checked
// before s becomes the name of a file.
func isThumbprint(s string) bool {
	b, err := canon.Base64URL(s)
	return err == nil && len(b) == sha256.Size
}
