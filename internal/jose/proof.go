package jose

import (
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Limits on the key in a proof, which a stranger chose.
const (
	MaxKey      = 2 << 10 // bytes of the JWK; that of an RSA key of 4096 bits has some 750
	maxProofRSA = 4096    // bits of an RSA modulus
)

// proofMembers are the members that a JWK in a proof may have: what the key is, and what it is for.
var proofMembers = []string{"kty", "crv", "x", "y", "n", "e", "alg", "use", "key_ops", "ext", "kid"}

var errKey = errors.New("not an acceptable key")

// ParseKey reads the one public key that comes with a proof of its possession (RFC 9449, section 4.2), in at most
// MaxKey bytes. It is stricter than ParseKeySet. Refused are also: a member that no public key needs, certificates among
// them; a key that is not for signatures, or cannot verify one here; and an RSA key of more than 4096 bits. The key has
// no ID, because a stranger's name for it means nothing. Errors contain nothing of it.
func ParseKey(raw []byte) (Key, error) {
	if len(raw) > MaxKey {
		return Key{}, fmt.Errorf("%w: too long", errKey)
	}
	members, err := canon.Object(raw)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	key, _, err := keyOf(members)
	if err != nil {
		return Key{}, fmt.Errorf("%w: %w", errKey, err)
	}
	for _, m := range members {
		if !slices.Contains(proofMembers, m.Name) {
			return Key{}, fmt.Errorf("%w: has a member that is not allowed", errKey)
		}
	}
	if key.Public == nil || key.Use != "" && key.Use != "sig" {
		return Key{}, fmt.Errorf("%w: cannot verify signatures here", errKey)
	}
	if pub, ok := key.Public.(*rsa.PublicKey); ok && pub.N.BitLen() > maxProofRSA {
		return Key{}, fmt.Errorf("%w: RSA key is longer than %d bits", errKey, maxProofRSA)
	}
	key.ID = ""
	return key, nil
}
