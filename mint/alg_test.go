package mint

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/asn1"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

func TestEveryAlgorithmRoundTrips(t *testing.T) {
	for _, alg := range algorithms {
		t.Run(alg, func(t *testing.T) {
			w := newWorld(t)
			m := w.open(func(c *Config) { c.Alg = alg })
			raw := w.token(m)

			header, payload := parts(t, raw)
			require.Equal(t, fmt.Sprintf(`{"alg":%q,"kid":%q,"typ":"at+jwt"}`, alg, w.key(m)), header)
			got, err := m.Verify(t.Context(), raw)
			require.NoError(t, err)
			require.Equal(t, claims(w.key(m)), got)

			jwks, err := m.JWKS(t.Context())
			require.NoError(t, err)
			var set gojose.JSONWebKeySet
			require.NoError(t, json.Unmarshal(jwks, &set))
			jws, err := gojose.ParseSignedCompact(raw, []gojose.SignatureAlgorithm{gojose.SignatureAlgorithm(alg)})
			require.NoError(t, err)
			require.Len(t, set.Key(w.key(m)), 1)
			independent, err := jws.Verify(set.Key(w.key(m))[0])
			require.NoError(t, err, "go-jose agrees")
			require.Equal(t, payload, string(independent))
		})
	}
}

func TestKeyIDIsThumbprint(t *testing.T) {
	w := newWorld(t)
	m := w.open()
	jwks, err := m.JWKS(t.Context())
	require.NoError(t, err)
	var set gojose.JSONWebKeySet
	require.NoError(t, json.Unmarshal(jwks, &set))
	sum, err := set.Keys[0].Thumbprint(crypto.SHA256)
	require.NoError(t, err)
	require.Equal(t, base64url.EncodeToString(sum), w.key(m))
	require.Equal(t, "sig", set.Keys[0].Use)
}

func rsaKey(t *testing.T, bits int) *rsa.PrivateKey {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, bits)
	require.NoError(t, err)
	return k
}

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PrivateKey {
	t.Helper()
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return k
}

func edKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, k, err := ed25519.GenerateKey(rand.Reader)
	require.NoError(t, err)
	return k
}

// kms is a signer whose secret is elsewhere, with switches for what such services get wrong.
type kms struct {
	crypto.Signer
	sign func(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error)
}

func (k kms) Sign(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if k.sign == nil {
		return k.Signer.Sign(r, digest, opts)
	}
	return k.sign(r, digest, opts)
}

func TestSignerThatDoesNotFitIsRefused(t *testing.T) {
	t.Setenv("GODEBUG", "rsa1024min=0")
	p256key, other := ecKey(t, elliptic.P256()), ecKey(t, elliptic.P256())
	for name, c := range map[string]struct {
		alg    string
		signer crypto.Signer
		want   string // empty: accepted
	}{
		"P-256 for ES256":      {ES256, kms{Signer: p256key}, ""},
		"default algorithm":    {"", kms{Signer: p256key}, ""},
		"Ed25519 for EdDSA":    {EdDSA, kms{Signer: edKey(t)}, ""},
		"RSA for RS256":        {RS256, kms{Signer: rsaKey(t, 2048)}, ""},
		"RSA for PS256":        {PS256, kms{Signer: rsaKey(t, 2048)}, ""},
		"P-384 for ES256":      {ES256, ecKey(t, elliptic.P384()), "not one for ES256"},
		"Ed25519 for ES256":    {ES256, edKey(t), "not one for ES256"},
		"P-256 for EdDSA":      {EdDSA, p256key, "not one for EdDSA"},
		"P-256 for RS256":      {RS256, p256key, "not one for RS256"},
		"RSA for ES256":        {ES256, rsaKey(t, 2048), "not one for ES256"},
		"short RSA":            {RS256, rsaKey(t, 1024), "2048 to 4096 bits"},
		"unknown algorithm":    {"HS256", p256key, "Config.Alg"},
		"another key's secret": {ES256, kms{p256key, other.Sign}, "no usable signature"},
		"raw instead of ASN.1": {ES256, kms{p256key, func(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
			return make([]byte, 64), nil
		}}, "no usable signature"},
		"broken": {ES256, kms{p256key, func(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
			return nil, errDown
		}}, "store is down"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cfg := w.config()
			cfg.Dir, cfg.Alg, cfg.Signer = "", c.alg, c.signer
			m, err := Open(t.Context(), cfg)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			w.verifies(m, w.token(m))
		})
	}
}

func TestSignerThatFailsLater(t *testing.T) {
	w := newWorld(t)
	broken := false
	k := ecKey(t, elliptic.P256())
	m := w.open(func(c *Config) {
		c.Dir, c.Signer = "", kms{k, func(r io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
			if broken {
				return nil, errDown
			}
			return k.Sign(r, digest, opts)
		}}
	})
	w.token(m)
	broken = true
	raw, err := m.Mint(t.Context(), claims(w.key(m)))
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	require.ErrorIs(t, err, errDown)
	require.Empty(t, raw)
}

func TestRawSignature(t *testing.T) {
	der := func(r, s *big.Int) []byte {
		out, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
		require.NoError(t, err)
		return out
	}
	raw, err := rawSignature(der(big.NewInt(1), big.NewInt(2)))
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("00", 31)+"01"+strings.Repeat("00", 31)+"02", fmt.Sprintf("%x", raw), "padded")
	long := new(big.Int).Lsh(big.NewInt(1), 256)
	for name, bad := range map[string][]byte{
		"empty":    nil,
		"zero":     der(big.NewInt(0), big.NewInt(1)),
		"negative": der(big.NewInt(1), big.NewInt(-1)),
		"long":     der(big.NewInt(1), long),
		"trailing": append(der(big.NewInt(1), big.NewInt(2)), 0),
	} {
		_, err := rawSignature(bad)
		require.ErrorIs(t, err, errSigner, name)
	}
}
