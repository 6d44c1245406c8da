package jose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The accepted sizes of an RSA modulus in bits, and of the exponent. The upper bounds limit the work that a foreign key can cause.
const (
	minRSA = 2048
	maxRSA = 8192
	// maxExponent is the exponent of nearly every key. A larger one multiplies the work of a verification: its key is skipped.
	maxExponent = 1<<16 + 1
)

// keyOf reads one JWK. A key that cannot verify signatures here comes back without Public; its id still counts.
func keyOf(m canon.Members) (key Key, id string, err error) {
	for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		if m.Get(private) != nil {
			return Key{}, "", errors.New("contains a private key")
		}
	}
	var fields [4]string
	for i, f := range []string{"kty", "kid", "alg", "use"} {
		if fields[i], err = name(m, f); err != nil {
			return Key{}, "", err
		}
	}
	kty := fields[0]
	key = Key{ID: fields[1], Alg: fields[2], Use: fields[3]}
	verifies, err := forVerifying(m)
	if err != nil || !verifies {
		return Key{}, key.ID, err
	}
	switch kty {
	case "EC":
		key.Public, err = parseEC(m)
	case "OKP":
		key.Public, err = parseOKP(m)
	case "RSA":
		key.Public, err = parseRSA(m)
	case "":
		err = errors.New("no key type")
	case "oct":
		err = errors.New("is a symmetric key")
	}
	if err != nil {
		return Key{}, "", err
	}
	if key.Alg != "" && key.Public != nil && !key.fits(key.Alg) {
		key.Public = nil
	}
	return key, key.ID, nil
}

// forVerifying reports whether key_ops (RFC 7517, section 4.3), where present, has "verify".
func forVerifying(m canon.Members) (bool, error) {
	raw := m.Get("key_ops")
	if raw == nil {
		return true, nil
	}
	var ops []string
	if err := json.Unmarshal(raw, &ops); err != nil {
		return false, errors.New("member key_ops is not a list of strings")
	}
	return slices.Contains(ops, "verify"), nil
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

// parseEC reads an elliptic curve key (RFC 7518, section 6.2.1). An unknown curve gives no key and no error.
func parseEC(m canon.Members) (crypto.PublicKey, error) {
	crv, err := text(m, "crv")
	if err != nil {
		return nil, err
	}
	curve, known := curves[crv]
	if !known {
		return nil, nil
	}
	size := (curve.Params().BitSize + 7) / 8
	point := []byte{4} // uncompressed
	for _, c := range []string{"x", "y"} {
		b, err := octets(m, c)
		if err != nil || len(b) != size {
			return nil, errors.New("coordinate of the wrong form")
		}
		point = append(point, b...)
	}
	pub, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, errors.New("point is not on the curve")
	}
	return pub, nil
}

// parseOKP reads an Ed25519 key (RFC 8037, section 2). Another curve gives no key and no error.
func parseOKP(m canon.Members) (crypto.PublicKey, error) {
	crv, err := text(m, "crv")
	if err != nil || crv != "Ed25519" {
		return nil, err
	}
	x, err := octets(m, "x")
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, errors.New("public key of the wrong form")
	}
	if isSmallOrder(x) {
		return nil, errors.New("public key of small order")
	}
	return ed25519.PublicKey(x), nil
}

// parseRSA reads an RSA key (RFC 7518, section 6.3.1).
func parseRSA(m canon.Members) (crypto.PublicKey, error) {
	n, err := octets(m, "n")
	if err != nil || len(n) > maxRSA/8+1 {
		return nil, errors.New("modulus of the wrong form")
	}
	e, err := octets(m, "e")
	if err != nil || len(e) > 4 {
		return nil, errors.New("exponent of the wrong form")
	}
	pub := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if err := checkRSA(pub); err != nil || pub.E > maxExponent { // the other keys of the set are none the worse for it
		return nil, err
	}
	return pub, nil
}

func checkRSA(pub *rsa.PublicKey) error {
	switch bits := pub.N.BitLen(); {
	case bits < minRSA:
		return errors.New("RSA key is shorter than 2048 bits")
	case bits > maxRSA:
		return errors.New("RSA key is longer than 8192 bits")
	case pub.N.Bit(0) == 0 || pub.E < 3 || pub.E&1 == 0 || pub.E > 1<<31-1:
		return errors.New("RSA key with an impossible modulus or exponent")
	case isROCA(pub.N):
		return errors.New("RSA key of a kind that can be factored")
	}
	return nil
}

func octets(m canon.Members, member string) ([]byte, error) {
	s, err := text(m, member)
	if err != nil || s == "" {
		return nil, errors.New("member " + member + " is missing or malformed")
	}
	return canon.Base64URL(s)
}
