package jose

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// The weak keys are primes of the form k*M + (65537^a mod M), where M is a product of small primes.
func TestROCAFingerprint(t *testing.T) {
	product := big.NewInt(1)
	for _, p := range rocaPrimes {
		product.Mul(product, new(big.Int).SetUint64(p))
	}
	weak := func(k, a int64) *big.Int {
		power := new(big.Int).Exp(big.NewInt(65537), big.NewInt(a), product)
		return power.Add(power, new(big.Int).Mul(big.NewInt(k), product))
	}
	for i := int64(1); i < 200; i++ {
		require.True(t, isROCA(new(big.Int).Mul(weak(i, 7*i), weak(i+1, 13*i))))
		strong, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 2048))
		require.NoError(t, err)
		require.False(t, isROCA(strong))
	}
	require.False(t, isROCA(big.NewInt(11)), "zero is no power")
}

// The equation that is checked is S*B = R + k*A, where k is a hash of R, A and the message. With S zero and R the neutral
// element it holds for the messages with k*A neutral, which are no fewer than one in eight if A is of small order.
func TestEverybodySignsForAKeyOfSmallOrder(t *testing.T) {
	nobodys := make([]byte, ed25519.SignatureSize)
	nobodys[0] = 1 // the neutral element
	forgeable := func(pub ed25519.PublicKey) bool {
		for i := range 200 {
			if ed25519.Verify(pub, []byte{byte(i)}, nobodys) {
				return true
			}
		}
		return false
	}
	for _, text := range smallOrder {
		for _, sign := range []byte{0, 0x80} {
			pub, err := hex.DecodeString(text)
			require.NoError(t, err)
			pub[31] |= sign
			require.True(t, isSmallOrder(pub))
			require.True(t, forgeable(pub), "%x", pub)
			_, err = ParseKey([]byte(`{"kty":"OKP","crv":"Ed25519","x":"` + base64.RawURLEncoding.EncodeToString(pub) + `"}`))
			require.ErrorContains(t, err, "public key of small order")
		}
	}
	pub, _, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	require.False(t, isSmallOrder(pub))
	require.False(t, forgeable(pub), "control")
}
