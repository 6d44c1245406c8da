package hostile

import (
	"crypto"
	"crypto/x509"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

// rawGroup has the key of tests of bare signatures.
type rawGroup struct {
	Key   string `json:"publicKeyDer"`
	Tests []struct {
		vector
		Message string `json:"msg"`
		Sig     string `json:"sig"`
	} `json:"tests"`
}

// published is the key of a group after it was written and read as an issuer's.
func (g rawGroup) published(t *testing.T, alg string) crypto.PublicKey {
	t.Helper()
	pub, err := x509.ParsePKIXPublicKey(must(hex.DecodeString(g.Key)))
	require.NoError(t, err)
	document, err := jose.Marshal([]jose.Key{{Public: pub}})
	require.NoError(t, err)
	set, err := jose.ParseKeySet(document)
	require.NoError(t, err)
	found := set.Find("", alg, "sig")
	require.Len(t, found, 1)
	return found[0].Public
}

// bare runs a file, and returns how many of its signatures are accepted and how many refused, by result.
func bare(t *testing.T, alg, file string) (accepted, refused map[string]int) {
	t.Helper()
	accepted, refused = map[string]int{}, map[string]int{}
	for _, g := range load(t, file, func(g rawGroup) int { return len(g.Tests) }) {
		pub := g.published(t, alg)
		for _, v := range g.Tests {
			if jose.VerifyRaw(alg, pub, must(hex.DecodeString(v.Message)), must(hex.DecodeString(v.Sig))) {
				accepted[v.Result]++
				t.Logf("%s: %d is accepted, %s: %s", file, v.ID, v.Result, v.Comment) // shown where a test fails
			} else {
				refused[v.Result]++
			}
		}
	}
	return accepted, refused
}

// All valid signatures are accepted, and no other: not one that is "acceptable" to others (an RSA padding without the
// NULL) either.
func TestWycheproofBareSignatures(t *testing.T) {
	for _, c := range []struct {
		alg, file      string
		valid, invalid int
	}{
		{"ES256", "ecdsa_secp256r1_sha256_p1363_test.json", 173, 89},
		{"ES384", "ecdsa_secp384r1_sha384_p1363_test.json", 193, 87},
		{"ES512", "ecdsa_secp521r1_sha512_p1363_test.json", 231, 87},
		{"EdDSA", "ed25519_test.json", 88, 63},
		{"Ed25519", "ed25519_test.json", 88, 63},
		{"RS256", "rsa_signature_2048_sha256_test.json", 9, 250},
		{"RS256", "rsa_signature_3072_sha256_test.json", 8, 251},
		{"RS256", "rsa_signature_4096_sha256_test.json", 7, 251},
		{"RS256", "rsa_signature_8192_sha256_test.json", 7, 251},
		{"RS384", "rsa_signature_2048_sha384_test.json", 7, 251},
		{"RS384", "rsa_signature_3072_sha384_test.json", 7, 252},
		{"RS384", "rsa_signature_4096_sha384_test.json", 7, 252},
		{"RS512", "rsa_signature_2048_sha512_test.json", 8, 251},
		{"RS512", "rsa_signature_3072_sha512_test.json", 8, 252},
		{"RS512", "rsa_signature_4096_sha512_test.json", 7, 252},
		{"PS256", "rsa_pss_2048_sha256_mgf1_32_test.json", 63, 45},
		{"PS256", "rsa_pss_3072_sha256_mgf1_32_test.json", 63, 45},
		{"PS256", "rsa_pss_4096_sha256_mgf1_32_test.json", 63, 45},
		{"PS384", "rsa_pss_2048_sha384_mgf1_48_test.json", 95, 46},
		{"PS384", "rsa_pss_4096_sha384_mgf1_48_test.json", 95, 46},
		{"PS512", "rsa_pss_4096_sha512_mgf1_64_test.json", 132, 47},
	} {
		t.Run(c.alg+" "+c.file, func(t *testing.T) {
			accepted, refused := bare(t, c.alg, c.file)
			require.Equal(t, map[string]int{"valid": c.valid}, accepted)
			require.Zero(t, refused["valid"])
			require.Equal(t, c.invalid, refused["invalid"]+refused["acceptable"])
		})
	}
}

// A signature that is valid with another hash, salt or padding is none of the algorithm.
func TestWycheproofSignaturesOfOtherAlgorithms(t *testing.T) {
	for _, c := range []struct {
		alg, file string
		valid     int // with what they are made with
	}{
		{"ES256", "ecdsa_secp256r1_sha512_p1363_test.json", 242},
		{"ES384", "ecdsa_secp384r1_sha512_p1363_test.json", 230},
		{"PS512", "rsa_pss_2048_sha256_mgf1_32_test.json", 63},
		{"RS256", "rsa_pss_2048_sha256_mgf1_32_test.json", 63},
		{"PS256", "rsa_signature_2048_sha256_test.json", 9},
		{"RS512", "rsa_signature_2048_sha256_test.json", 9},
		{"PS256", "rsa_pss_2048_sha256_mgf1_0_test.json", 61},
		{"PS256", "rsa_pss_2048_sha256_mgf1sha1_20_test.json", 63},
		{"PS512", "rsa_pss_4096_sha512_mgf1_32_test.json", 132},
	} {
		accepted, refused := bare(t, c.alg, c.file)
		require.Zero(t, accepted["valid"], c.file)
		require.Equal(t, c.valid, refused["valid"], c.file)
	}
}
