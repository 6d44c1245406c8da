package jose_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// another is what an independent implementation says of a token.
func another(raw string, pub crypto.PublicKey, alg string) error {
	jws, err := gojose.ParseSignedCompact(raw, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
	if err != nil {
		return err
	}
	_, err = jws.Verify(pub)
	return err
}

// Two implementations agree on signatures that are good, and on those with one bit changed.
func TestAnotherImplementationAgrees(t *testing.T) {
	for _, alg := range front.Algorithms() {
		if alg == "Ed25519" {
			continue // the name of RFC 9864, which the other does not know
		}
		key := keyFor(alg)
		tok := sign(t, key, alg, `{"alg":"`+alg+`"}`, payload)
		require.NoError(t, jose.Verify(tok, jose.Key{Public: key.Public()}, alg))
		require.NoError(t, another(tok.Raw, key.Public(), alg))
		for i := range tok.Signature {
			changed := append([]byte{}, tok.Signature...)
			changed[i] ^= 1 << (i % 8)
			forged, err := front.Parse(string(tok.SigningInput) + "." + b64.EncodeToString(changed))
			require.NoError(t, err)
			require.Error(t, jose.Verify(forged, jose.Key{Public: key.Public()}, alg))
			require.Error(t, another(forged.Raw, key.Public(), alg))
		}
	}
}

// The salt is as long as the hash (RFC 7518, section 3.5). The other implementation takes any.
func TestVerifyTakesOneLengthOfSalt(t *testing.T) {
	for _, salt := range []int{rsa.PSSSaltLengthAuto, 1, 20, 31, 32, 33, 48, 222} { // the first is the longest
		input := b64.EncodeToString([]byte(`{"alg":"PS256"}`)) + "." + b64.EncodeToString([]byte(payload))
		sum := sha256.Sum256([]byte(input))
		sig, err := rsa.SignPSS(rand.Reader, rsa2048, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: salt})
		require.NoError(t, err)
		tok, err := front.Parse(input + "." + b64.EncodeToString(sig))
		require.NoError(t, err)
		require.NoError(t, another(tok.Raw, rsa2048.Public(), "PS256"))
		err = jose.Verify(tok, jose.Key{Public: rsa2048.Public()}, "PS256")
		if salt == 32 {
			require.NoError(t, err)
			continue
		}
		require.ErrorContains(t, err, "does not verify", "a salt of %d bytes", salt)
	}
}
