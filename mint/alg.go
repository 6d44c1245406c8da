package mint

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
)

// The signature algorithms that a Mint can use (RFC 7518, section 3.1; RFC 8037, section 3.1).
const (
	ES256 = "ES256"
	EdDSA = "EdDSA"
	RS256 = "RS256"
	PS256 = "PS256"
)

var algorithms = []string{ES256, EdDSA, RS256, PS256}

// The sizes of an RSA modulus in bits. A signature of a longer one would leave too little of a token for its claims.
const (
	minRSA = 2048
	maxRSA = 4096
)

// p256 is how many bytes each half of an ES256 signature has.
const p256 = 32

// fits reports why pub cannot be used with alg, and how long a signature is if it can.
func fits(alg string, pub crypto.PublicKey) (sigLen int, err error) {
	mismatch := fmt.Errorf("mint: the key is not one for %s", alg)
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if alg != ES256 || pub == nil || pub.Curve != elliptic.P256() {
			return 0, mismatch
		}
		return 2 * p256, nil
	case ed25519.PublicKey:
		if alg != EdDSA || len(pub) != ed25519.PublicKeySize {
			return 0, mismatch
		}
		return ed25519.SignatureSize, nil
	case *rsa.PublicKey:
		if alg != RS256 && alg != PS256 || pub == nil || pub.N == nil {
			return 0, mismatch
		}
		if n := pub.N.BitLen(); n < minRSA || n > maxRSA {
			return 0, fmt.Errorf("mint: an RSA key has %d to %d bits", minRSA, maxRSA)
		}
		return pub.Size(), nil
	}
	return 0, mismatch
}

// generate makes a private key for alg.
func generate(alg string) (crypto.Signer, error) {
	switch alg {
	case ES256:
		return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case EdDSA:
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	case RS256, PS256:
		return rsa.GenerateKey(rand.Reader, minRSA)
	}
	return nil, errAlgorithm
}

var (
	errAlgorithm = errors.New("mint: unknown algorithm")
	errSigner    = errors.New("mint: the signer returned no usable signature")
)

// repeats reports whether s, whose private key is in this process, signs the same input alike each time: ECDSA as RFC 8725,
// section 3.2, wants it (RFC 6979), and Ed25519 (RFC 8032). No payload is published with two signatures even so, which is what
// attacks by faults on such signatures need: each has an id of its own, from a source of randomness.
func repeats(s crypto.Signer) bool {
	switch s.(type) {
	case *ecdsa.PrivateKey, ed25519.PrivateKey:
		return true
	}
	return false
}

// sign returns the JWS signature of input (RFC 7518, sections 3.3 to 3.5; RFC 8037, section 3.1).
func sign(alg string, s crypto.Signer, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch alg {
	case ES256:
		entropy := rand.Reader
		if repeats(s) {
			entropy = nil // RFC 6979
		}
		der, err := s.Sign(entropy, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return rawSignature(der)
	case EdDSA:
		return s.Sign(rand.Reader, bytes.Clone(input), crypto.Hash(0)) // a signer that gave up may still be reading
	case RS256:
		return s.Sign(rand.Reader, digest[:], crypto.SHA256)
	case PS256:
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
		return s.Sign(rand.Reader, digest[:], opts)
	}
	return nil, errAlgorithm
}

// rawSignature turns the ASN.1 form that every crypto.Signer returns into the r||s of a JWS.
func rawSignature(der []byte) ([]byte, error) {
	out := make([]byte, 2*p256)
	body, rest := asn1Value(der, 0x30) // SEQUENCE
	r, body := asn1Value(body, 0x02)   // INTEGER
	s, body := asn1Value(body, 0x02)
	if len(rest) != 0 || len(body) != 0 || !natural(out[:p256], r) || !natural(out[p256:], s) {
		return nil, errSigner
	}
	return out, nil
}

// asn1Value returns the content of the value that der begins with, which has the tag and is shorter than 128 bytes, and
// what comes behind it; nothing where der does not begin with one.
func asn1Value(der []byte, tag byte) (content, rest []byte) {
	if len(der) < 2 || der[0] != tag || der[1] > 127 || int(der[1]) > len(der)-2 {
		return nil, nil
	}
	der = der[1:]
	return der[1 : 1+der[0]], der[1+der[0]:]
}

// natural writes the content of an INTEGER to all of out, and reports whether it is one in its shortest form, is positive,
// and fits.
func natural(out, content []byte) bool {
	if len(content) > 1 && content[0] == 0 && content[1] >= 0x80 { // which says that it is not negative
		content = content[1:]
	} else if len(content) == 0 || content[0] == 0 || content[0] >= 0x80 {
		return false
	}
	if len(content) > len(out) {
		return false
	}
	copy(out[len(out)-len(content):], content)
	return true
}
