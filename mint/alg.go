package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
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

// sign returns the JWS signature of input (RFC 7518, sections 3.3 to 3.5; RFC 8037, section 3.1).
func sign(alg string, s crypto.Signer, input []byte) ([]byte, error) {
	digest := sha256.Sum256(input)
	switch alg {
	case ES256:
		der, err := s.Sign(rand.Reader, digest[:], crypto.SHA256)
		if err != nil {
			return nil, err
		}
		return rawSignature(der)
	case EdDSA:
		return s.Sign(rand.Reader, input, crypto.Hash(0))
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
	var sig struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(der, &sig)
	if err != nil || len(rest) != 0 {
		return nil, errSigner
	}
	for _, v := range []*big.Int{sig.R, sig.S} {
		if v.Sign() <= 0 || v.BitLen() > 8*p256 {
			return nil, errSigner
		}
	}
	out := make([]byte, 2*p256)
	sig.R.FillBytes(out[:p256])
	sig.S.FillBytes(out[p256:])
	return out, nil
}
