package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
)

// VerifyRaw checks a signature over input by any of front.Algorithms. Nothing of a token chooses key or algorithm here,
// and nothing is parsed. An algorithm that is unknown, or that the key does not fit, verifies nothing.
//
// It is as strict as RFC 7518, sections 3.3 to 3.5, where libraries are not: the salt of a PSS signature is as long as
// the hash, and the halves of an ECDSA signature are as long as the order of the curve, and in its range.
func VerifyRaw(alg string, pub crypto.PublicKey, input, sig []byte) bool {
	if !(Key{Public: pub}).fits(alg) {
		return false
	}
	switch pub := pub.(type) {
	case *ecdsa.PublicKey:
		var room [maxDER]byte
		der, ok := toDER(room[:0], sig, pub.Curve.Params().N)
		_, sum := digest(alg, input)
		return ok && ecdsa.VerifyASN1(pub, sum, der)
	case ed25519.PublicKey:
		return ed25519.Verify(pub, input, sig)
	case *rsa.PublicKey:
		hash, sum := digest(alg, input)
		if alg[:2] == "PS" {
			return rsa.VerifyPSS(pub, hash, sum, sig, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}) == nil
		}
		return rsa.VerifyPKCS1v15(pub, hash, sum, sig) == nil
	}
	return false
}

// digest hashes input as the name of alg, which ends in the size of the hash, says.
func digest(alg string, input []byte) (crypto.Hash, []byte) {
	switch alg[2:] {
	case "384":
		sum := sha512.Sum384(input)
		return crypto.SHA384, sum[:]
	case "512":
		sum := sha512.Sum512(input)
		return crypto.SHA512, sum[:]
	}
	sum := sha256.Sum256(input)
	return crypto.SHA256, sum[:]
}
