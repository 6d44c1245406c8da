package jose

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	gojose "github.com/go-jose/go-jose/v4"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

var (
	errAlgorithm = errors.New("algorithm is not allowed for this key")
	errSignature = errors.New("signature does not verify")
)

// Verify checks the signature of tok by key. The token's algorithm must be one of algs, the one that the key is for,
// and one that fits the key's type; the token alone never chooses (RFC 8725, section 3.1).
//
// It accepts both spellings of an ECDSA signature, (r, s) and (r, n-s), because issuers produce both. Whoever keeps
// state about tokens keys it on the issuer and the jti, not on the token's text.
func Verify(tok front.Token, key Key, algs ...string) error {
	if !slices.Contains(algs, tok.Alg) || !key.fits(tok.Alg) {
		return errAlgorithm
	}
	if !whole(tok) || !VerifyRaw(tok.Alg, key.Public, tok.SigningInput, tok.Signature) {
		return errSignature
	}
	return nil
}

// whole reports whether the parts of tok are still those of its text.
func whole(tok front.Token) bool {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	header, _, _ := bytes.Cut(tok.SigningInput, []byte{'.'})
	out := append(append(*buf, header...), '.')
	out = base64.RawURLEncoding.AppendEncode(out, tok.Payload)
	signed := len(out)
	out = base64.RawURLEncoding.AppendEncode(append(out, '.'), tok.Signature)
	*buf = out
	return string(out[:signed]) == string(tok.SigningInput) && string(out) == tok.Raw
}

// fits reports whether the key may verify signatures by alg: it is of the right type and for no other algorithm.
func (k Key) fits(alg string) bool {
	if k.Alg != "" && k.Alg != alg && (!isEd25519(k.Alg) || !isEd25519(alg)) {
		return false
	}
	switch pub := k.Public.(type) {
	case *ecdsa.PublicKey:
		return pub != nil && pub.Curve != nil && pub.Curve == curveOf(alg)
	case *rsa.PublicKey:
		return pub != nil && slices.Contains([]string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, alg)
	case ed25519.PublicKey:
		return len(pub) == ed25519.PublicKeySize && isEd25519(alg)
	}
	return false
}

// curveOf returns the one curve of an ECDSA algorithm (RFC 7518, section 3.4); nil for other algorithms.
func curveOf(alg string) elliptic.Curve {
	switch alg {
	case "ES256":
		return elliptic.P256()
	case "ES384":
		return elliptic.P384()
	case "ES512":
		return elliptic.P521()
	}
	return nil
}

// isEd25519 reports whether alg is one of the two names of the same algorithm (RFC 8037 and RFC 9864).
func isEd25519(alg string) bool { return alg == "EdDSA" || alg == "Ed25519" }

// Thumbprint returns the JWK thumbprint of a public key: SHA-256 in base64url (RFC 7638).
func Thumbprint(pub crypto.PublicKey) (string, error) {
	if err := checkPublic(pub); err != nil {
		return "", err
	}
	sum, err := (&gojose.JSONWebKey{Key: pub}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", errors.New("jose: no thumbprint for this key")
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Marshal returns the JWKS document of keys, which ParseKeySet accepts. It refuses anything but public keys with
// unique ids.
func Marshal(keys []Key) ([]byte, error) {
	set := gojose.JSONWebKeySet{Keys: []gojose.JSONWebKey{}}
	for _, k := range keys {
		if err := checkPublic(k.Public); err != nil {
			return nil, err
		}
		set.Keys = append(set.Keys, gojose.JSONWebKey{Key: k.Public, KeyID: k.ID, Algorithm: k.Alg, Use: k.Use})
	}
	raw, err := json.Marshal(set)
	if err != nil {
		return nil, errors.New("jose: key set cannot be written")
	}
	if again, err := ParseKeySet(raw); err != nil || again.Len() != len(keys) {
		return nil, fmt.Errorf("jose: key set would not be read back: %w", err)
	}
	return raw, nil
}

func checkPublic(pub crypto.PublicKey) error {
	switch p := pub.(type) {
	case *ecdsa.PublicKey:
		if p != nil && p.Curve != nil && slices.Contains([]string{"P-256", "P-384", "P-521"}, p.Curve.Params().Name) {
			return nil
		}
	case *rsa.PublicKey:
		if p != nil && p.N != nil {
			return checkRSA(p)
		}
	case ed25519.PublicKey:
		if len(p) == ed25519.PublicKeySize {
			return nil
		}
	}
	return errors.New("jose: not a public key that is supported")
}
