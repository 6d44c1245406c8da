package jose

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// The ASN.1 form is what the standard library makes of the two numbers: a signature verifies in one exactly if it does in the
// other, and nothing out of range has one.
func TestASN1OfASignature(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		key, err := ecdsa.GenerateKey(curve, rand.Reader)
		require.NoError(t, err)
		n, size, hash := curve.Params().N, (curve.Params().BitSize+7)/8, sha256.Sum256([]byte("message"))
		form := func(r, s *big.Int) []byte {
			return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
		for range 6 {
			r, s, err := ecdsa.Sign(rand.Reader, key, hash[:])
			require.NoError(t, err)
			for _, s := range []*big.Int{s, new(big.Int).Sub(n, s)} {
				der, ok := toDER([]byte{7}, form(r, s), n)
				require.True(t, ok)
				require.True(t, ecdsa.VerifyASN1(&key.PublicKey, hash[:], der[1:]))
				require.LessOrEqual(t, len(der)-1, maxDER)
				der[len(der)-1] ^= 1
				require.False(t, ecdsa.VerifyASN1(&key.PublicKey, hash[:], der[1:]), "control: another s")
			}
		}
		one, small, last := big.NewInt(1), big.NewInt(0x80), new(big.Int).Sub(n, big.NewInt(1))
		for _, good := range [][]byte{form(one, one), form(small, last), form(last, small)} {
			der, ok := toDER(nil, good, n)
			require.True(t, ok)
			require.False(t, ecdsa.VerifyASN1(&key.PublicKey, hash[:], der), "control: of nothing")
		}
		most := make([]byte, size)
		for i := range most {
			most[i] = 0xff
		}
		over := new(big.Int).SetBytes(most)
		for name, bad := range map[string][]byte{
			"r is 0": form(new(big.Int), one), "s is 0": form(one, new(big.Int)), "r is n": form(n, one), "s is n": form(one, n),
			"r is more than n": form(over, one), "s is more than n": form(one, over),
			"none": nil, "short": form(one, one)[1:], "long": append(form(one, one), 1), "one half": form(one, one)[:size],
		} {
			_, ok := toDER(nil, bad, n)
			require.False(t, ok, name)
		}
	}
}

// The numbers 128 to 255 need a zero before them, and smaller ones have none.
func TestASN1Integers(t *testing.T) {
	require.Equal(t, []byte{2, 1, 0x7f}, appendInteger(nil, []byte{0, 0, 0x7f}))
	require.Equal(t, []byte{2, 2, 0, 0x80}, appendInteger(nil, []byte{0, 0x80}))
	require.Equal(t, []byte{2, 2, 1, 0}, appendInteger(nil, []byte{1, 0}))
}
