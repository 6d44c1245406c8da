package jose

import (
	"crypto/ed25519"
	"encoding/hex"
	"math/big"
	"slices"
)

// rocaPrimes are the small primes modulo which the powers of 65537 are not all numbers.
var rocaPrimes = []uint64{11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157}

// isROCA reports whether a modulus has the fingerprint of the keys of CVE-2017-15361, which can be factored: modulo
// small primes it is a power of 65537. One in about 2^27 of other moduli has it too, and is refused with them.
func isROCA(n *big.Int) bool {
	for _, p := range rocaPrimes {
		rest := new(big.Int).Mod(n, new(big.Int).SetUint64(p)).Uint64()
		if !isPower(rest, p) {
			return false
		}
	}
	return true
}

// isPower reports whether x is a power of 65537 modulo p.
func isPower(x, p uint64) bool {
	for power, i := uint64(1), uint64(0); i < p; i++ {
		if power == x {
			return true
		}
		power = power * 65537 % p
	}
	return false
}

// smallOrder are the encodings of the points of Ed25519 whose order divides 8, canonical or not, without the bit of the
// sign. With such a key a signature can be found for any message without knowing a secret.
var smallOrder = []string{
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
}

// isSmallOrder reports whether a public key is one that everybody can sign for.
func isSmallOrder(pub ed25519.PublicKey) bool {
	unsigned := slices.Clone(pub)
	unsigned[len(unsigned)-1] &= 0x7f
	return slices.Contains(smallOrder, hex.EncodeToString(unsigned))
}
