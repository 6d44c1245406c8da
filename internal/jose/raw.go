package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
)

// VerifyRaw checks a signature over input where the header is known byte for byte already, so that nothing of the token
// chooses key or algorithm and nothing needs parsing: the issuer's own tokens. It knows ES256, EdDSA, RS256 and PS256;
// any other algorithm, and a key that does not fit, verifies nothing.
func VerifyRaw(alg string, pub crypto.PublicKey, input, sig []byte) bool {
	digest := sha256.Sum256(input)
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		if alg != "ES256" || pub.Curve != elliptic.P256() || !inRange(sig, pub.Curve) {
			return false
		}
		r, s := new(big.Int).SetBytes(sig[:len(sig)/2]), new(big.Int).SetBytes(sig[len(sig)/2:])
		return ecdsa.Verify(pub, digest[:], r, s)
	case ed25519.PublicKey:
		return alg == "EdDSA" && ed25519.Verify(pub, input, sig)
	case *rsa.PublicKey:
		switch alg {
		case "RS256":
			return rsa.VerifyPKCS1v15(pub, crypto.SHA256, digest[:], sig) == nil
		case "PS256":
			opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
			return rsa.VerifyPSS(pub, crypto.SHA256, digest[:], sig, opts) == nil
		}
	}
	return false
}
