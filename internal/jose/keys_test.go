package jose_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

var b64 = base64.RawURLEncoding

// The keys of these tests, made once.
var (
	p256, p256b, p384, p521 = ec(elliptic.P256()), ec(elliptic.P256()), ec(elliptic.P384()), ec(elliptic.P521())
	rsa2048                 = must(rsa.GenerateKey(rand.Reader, 2048))
	ed                      = edKey()
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ec(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func edKey() ed25519.PrivateKey {
	_, priv, err := ed25519.GenerateKey(rand.Reader)
	return must(priv, err)
}

func keyFor(alg string) crypto.Signer {
	return map[string]crypto.Signer{
		"ES256": p256, "ES384": p384, "ES512": p521, "EdDSA": ed, "Ed25519": ed,
		"RS256": rsa2048, "RS384": rsa2048, "RS512": rsa2048, "PS256": rsa2048, "PS384": rsa2048, "PS512": rsa2048,
	}[alg]
}

// sign makes a token by key. The header's alg is header; the signature is made by alg.
func sign(t testing.TB, key crypto.Signer, alg, header, payload string) front.Token {
	t.Helper()
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	tok, err := front.Parse(input + "." + b64.EncodeToString(signature(t, key, alg, []byte(input))))
	require.NoError(t, err)
	return tok
}

func signature(t testing.TB, key crypto.Signer, alg string, input []byte) []byte {
	t.Helper()
	if alg == "Ed25519" || alg == "EdDSA" {
		return ed25519.Sign(key.(ed25519.PrivateKey), input)
	}
	hash, digest := crypto.SHA256, sha256.Sum256(input)
	sum := digest[:]
	switch alg[2:] {
	case "384":
		d := sha512.Sum384(input)
		hash, sum = crypto.SHA384, d[:]
	case "512":
		d := sha512.Sum512(input)
		hash, sum = crypto.SHA512, d[:]
	}
	switch alg[:2] {
	case "ES":
		k := key.(*ecdsa.PrivateKey)
		r, s, err := ecdsa.Sign(rand.Reader, k, sum)
		require.NoError(t, err)
		size := (k.Curve.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
	case "PS":
		opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: hash}
		return must(key.Sign(rand.Reader, sum, opts))
	}
	return must(key.Sign(rand.Reader, sum, hash))
}

// jwk returns the members of a public or private key's JWK.
func jwk(t testing.TB, key any, set map[string]any) map[string]any {
	t.Helper()
	raw, err := (&gojose.JSONWebKey{Key: key}).MarshalJSON()
	require.NoError(t, err)
	out := map[string]any{}
	require.NoError(t, json.Unmarshal(raw, &out))
	for k, v := range set {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

func document(t testing.TB, keys ...map[string]any) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"keys": keys})
	require.NoError(t, err)
	return raw
}

type m = map[string]any

func keySet(t testing.TB, keys ...map[string]any) jose.KeySet {
	t.Helper()
	set, err := jose.ParseKeySet(document(t, keys...))
	require.NoError(t, err)
	return set
}
