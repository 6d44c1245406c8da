package jose_test

import (
	"crypto"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

func jwkOf(t testing.TB, pub crypto.PublicKey) string {
	t.Helper()
	return string(must(json.Marshal(gojose.JSONWebKey{Key: pub})))
}

// modulus is a number of this many bits that nobody knows the factors of.
func modulus(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

// weakModulus is a number of 2048 bits that is one more than a multiple of all small primes, as keys of a broken
// generator are: a power of 65537 modulo each of them.
func weakModulus() *rsa.PublicKey {
	n := big.NewInt(1)
	for p := int64(2); p < 170; p++ {
		if big.NewInt(p).ProbablyPrime(0) {
			n.Mul(n, big.NewInt(p))
		}
	}
	n.Mul(n, new(big.Int).Lsh(big.NewInt(1), uint(2048-n.BitLen())))
	return &rsa.PublicKey{N: n.Add(n, big.NewInt(1)), E: 65537}
}

func TestParseKeyAcceptsPublicKeys(t *testing.T) {
	for _, k := range []crypto.Signer{p256, p384, p521, ed, rsa2048} {
		raw := jwkOf(t, k.Public())
		key, err := jose.ParseKey([]byte(raw))
		require.NoError(t, err)
		require.Equal(t, jose.Key{Public: k.Public()}, key)

		adorned := strings.Replace(raw, "{", `{"kid":"admin","use":"sig","key_ops":["verify"],"ext":true,`, 1)
		key, err = jose.ParseKey([]byte(adorned))
		require.NoError(t, err)
		require.Equal(t, jose.Key{Use: "sig", Public: k.Public()}, key, "a name that it gives itself is dropped")
	}
	key, err := jose.ParseKey([]byte(jwkOf(t, modulus(4096))))
	require.NoError(t, err)
	require.Equal(t, 4096, key.Public.(*rsa.PublicKey).N.BitLen())
}

func TestParseKeyRefuses(t *testing.T) {
	good := jwkOf(t, p256.Public())
	_, err := jose.ParseKey([]byte(good))
	require.NoError(t, err, "positive control")
	with := func(member string) string { return strings.Replace(good, "{", "{"+member+",", 1) }
	for name, c := range map[string]struct{ raw, why string }{
		"private":         {jwkOf(t, p256), "contains a private key"},
		"private RSA":     {jwkOf(t, rsa2048), "contains a private key"},
		"private Ed25519": {jwkOf(t, ed), "contains a private key"},
		"private, null":   {with(`"d":null`), "contains a private key"},
		"symmetric":       {`{"kty":"oct","k":"AAAA"}`, "contains a private key"},
		"symmetric, bare": {`{"kty":"oct"}`, "symmetric"},
		"certificate":     {with(`"x5c":["AAAA"]`), "not allowed"},
		"certificate URL": {with(`"x5u":"https://evil.example/"`), "not allowed"},
		"thumbprint":      {with(`"x5t":"AAAA"`), "not allowed"},
		"unknown member":  {with(`"admin":true`), "not allowed"},
		"other case":      {strings.Replace(good, `"kty"`, `"Kty"`, 1), "no key type"},
		"private by case": {with(`"D":"AAAA"`), "not allowed"},
		"twice":           {with(`"crv":"P-256"`), "duplicate"},
		"for encryption":  {with(`"use":"enc"`), "cannot verify"},
		"for signing":     {with(`"key_ops":["sign"]`), "cannot verify"},
		"for another alg": {with(`"alg":"ES384"`), "cannot verify"},
		"of HS256":        {with(`"alg":"HS256"`), "cannot verify"},
		"unknown curve":   {strings.Replace(good, "P-256", "secp256k1", 1), "cannot verify"},
		"wrong curve":     {strings.Replace(good, "P-256", "P-384", 1), "coordinate"},
		"unknown type":    {`{"kty":"AKP"}`, "cannot verify"},
		"off the curve":   {strings.Replace(good, `"y":"`+text(t, good, "y"), `"y":"`+text(t, good, "x"), 1), "not on the curve"},
		"short RSA":       {jwkOf(t, modulus(2047)), "shorter than 2048"},
		"long RSA":        {jwkOf(t, modulus(4097)), "longer than 4096"},
		"very long RSA":   {jwkOf(t, modulus(1<<14)), "too long"},
		"too long":        {with(`"kid":"` + strings.Repeat("k", jose.MaxKey) + `"`), "too long"},
		"a string":        {`"key"`, "not a JSON object"},
		"null":            {`null`, "not a JSON object"},
		"empty":           {`{}`, "no key type"},
		"nothing":         {``, "syntax"},
	} {
		t.Run(name, func(t *testing.T) {
			key, err := jose.ParseKey([]byte(c.raw))
			require.ErrorContains(t, err, c.why)
			require.Zero(t, key)
			require.NotContains(t, err.Error(), "AAAA")
		})
	}
}

func text(t testing.TB, object, member string) string {
	t.Helper()
	var m map[string]any
	require.NoError(t, json.Unmarshal([]byte(object), &m))
	return m[member].(string)
}

// FuzzParseKey holds that a key that is read has a thumbprint, and is the same key when it is written and read again.
func FuzzParseKey(f *testing.F) {
	for _, k := range []crypto.Signer{p256, p384, ed, rsa2048} {
		f.Add([]byte(jwkOf(f, k.Public())))
	}
	f.Add([]byte(`{"kty":"EC","crv":"P-256","x":"AA","y":"AA","d":"AA"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		key, err := jose.ParseKey(raw)
		if err != nil {
			require.Zero(t, key)
			return
		}
		print1, err := jose.Thumbprint(key.Public)
		require.NoError(t, err)
		again, err := jose.ParseKey([]byte(jwkOf(t, key.Public)))
		require.NoError(t, err)
		print2, err := jose.Thumbprint(again.Public)
		require.NoError(t, err)
		require.Equal(t, print1, print2)
	})
}
