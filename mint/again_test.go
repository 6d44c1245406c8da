package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// RFC 6979, appendix A.2.5: the message "sample" with SHA-256.
func TestNoncesAreThoseOfRFC6979(t *testing.T) {
	const private = "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"
	key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), unhex(t, private))
	require.NoError(t, err)
	sig, err := sign(ES256, key, []byte("sample"))
	require.NoError(t, err)
	require.Equal(t, unhex(t, "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"+
		"F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8"), sig)
}

// A node that holds the private key tells its token by signing again. Any other signature is verified with the public
// key: what is good stays good, what is not is refused for the same reason as anywhere else.
func TestWhatIsNotSignedAlikeIsVerified(t *testing.T) {
	for _, alg := range []string{ES256, EdDSA} {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t)
			holds, lacks := w.open(func(c *Config) { c.Alg = alg }), w.open(elsewhere(t), func(c *Config) { c.Alg = alg })
			k := holds.snap.Load().held[w.key(holds)]
			require.NotNil(t, k.made)
			raw := w.token(holds)
			head, rest, _ := strings.Cut(raw, ".")
			body, tail, _ := strings.Cut(rest, ".")
			input, sig := head+"."+body, decoded(t, tail)
			require.True(t, k.made([]byte(input), sig), "control: its own")
			require.False(t, k.made([]byte(input+"A"), sig))
			require.False(t, k.made([]byte(input), sig[:len(sig)-1]))
			require.False(t, k.made([]byte(input), nil))

			good := []string{raw}
			if alg == ES256 {
				other := w.randomly(k, input)
				require.False(t, k.made([]byte(input), other), "control: another signature of the same")
				good = append(good, input+"."+base64url.EncodeToString(other))
			}
			for _, token := range good {
				w.verifies(holds, token)
				w.verifies(lacks, token)
			}
			for i := range sig {
				wrong := append([]byte(nil), sig...)
				wrong[i] ^= 1
				for _, m := range []*Mint{holds, lacks} {
					_, err := m.Verify(t.Context(), input+"."+base64url.EncodeToString(wrong))
					require.ErrorIs(t, err, ErrSignature)
				}
			}
		})
	}
}

// randomly signs with k's key and a nonce from a source of randomness, as signers elsewhere do.
func (w *world) randomly(k *privateKey, input string) []byte {
	w.t.Helper()
	signer, err := keyDir(w.dir).load(k.ID)
	require.NoError(w.t, err)
	digest := sha256.Sum256([]byte(input))
	der, err := ecdsa.SignASN1(rand.Reader, signer.(*ecdsa.PrivateKey), digest[:])
	require.NoError(w.t, err)
	sig, err := rawSignature(der)
	require.NoError(w.t, err)
	return sig
}

// A signer that is elsewhere, which costs money or time or counts what it signs, signs nothing for a verification, and is
// given randomness.
func TestASignerElsewhereIsNotAskedAgain(t *testing.T) {
	key := ecKey(t, elliptic.P256())
	signed := 0
	w := newWorld(t)
	m := w.open(func(c *Config) {
		c.Dir, c.Signer = "", kms{key, func(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			require.NotNil(t, r)
			signed++
			return key.Sign(r, digest, opts)
		}}
	})
	raw := w.token(m)
	require.Equal(t, 2, signed, "control: to show that it signs, and the token")
	w.verifies(m, raw)
	require.Equal(t, 2, signed)
}

// A private key that is gone tells nothing: its tokens are verified with the public key for as long as that is trusted.
func TestAKeyThatIsGoneSignsNothingAgain(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	raw, old := w.token(m), w.key(m)
	_, err := m.Rotate(t.Context())
	require.NoError(t, err)
	w.clock.Add(7 * time.Minute)
	require.NotEqual(t, old, w.key(m), "control: the next one signs")
	require.Nil(t, m.snap.Load().held[old])
	w.verifies(m, raw)
}

func unhex(t *testing.T, text string) []byte {
	b, err := hex.DecodeString(text)
	require.NoError(t, err)
	return b
}

func decoded(t *testing.T, text string) []byte {
	b, err := canon.Base64URL(text)
	require.NoError(t, err)
	return b
}
