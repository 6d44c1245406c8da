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
	"slices"
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

// TestRawSignatureReadsNothingElse changes, drops and doubles every byte: what is still read says what it says to the
// standard library.
func TestRawSignatureReadsNothingElse(t *testing.T) {
	high := new(big.Int).Lsh(big.NewInt(0x81), 248)
	der, err := asn1.Marshal(struct{ R, S *big.Int }{high, big.NewInt(0x0102)})
	require.NoError(t, err)
	accepted := 0
	try := func(der []byte) {
		raw, err := rawSignature(der)
		if err != nil {
			require.ErrorIs(t, err, errSigner)
			return
		}
		accepted++
		var sig struct{ R, S *big.Int }
		rest, err := asn1.Unmarshal(der, &sig)
		require.NoError(t, err, "%x", der)
		require.Empty(t, rest, "%x", der)
		require.Equal(t, sig.R.FillBytes(make([]byte, p256)), raw[:p256], "%x", der)
		require.Equal(t, sig.S.FillBytes(make([]byte, p256)), raw[p256:], "%x", der)
	}
	try(der)
	for i := range der {
		for bit := range 8 {
			changed := slices.Clone(der)
			changed[i] ^= 1 << bit
			try(changed)
		}
		try(der[:i])
		try(slices.Delete(slices.Clone(der), i, i+1))
		try(slices.Insert(slices.Clone(der), i, der[i]))
	}
	require.Greater(t, accepted, 200, "control: the numbers may change")
}

// TestWhatIsSignedIsTheSigners: a signer that gave up may still read what it was given when the next token is made.
func TestWhatIsSignedIsTheSigners(t *testing.T) {
	for alg, k := range map[string]crypto.Signer{ES256: ecKey(t, elliptic.P256()), EdDSA: edKey(t), RS256: rsaKey(t, 2048)} {
		t.Run(alg, func(t *testing.T) {
			var given, was [][]byte
			w := newWorld(t)
			m := w.open(func(c *Config) {
				c.Dir, c.Alg, c.Signer = "", alg, kms{k, func(r io.Reader, input []byte, opts crypto.SignerOpts) ([]byte, error) {
					given, was = append(given, input), append(was, slices.Clone(input))
					return k.Sign(r, input, opts)
				}}
			})
			for i := range 3 {
				c := claims(w.key(m))
				c.IssuedAt -= int64(i)
				_, err := m.Mint(t.Context(), c)
				require.NoError(t, err)
			}
			require.Equal(t, was, given)
			require.Len(t, given, 4, "control: one to show that it signs, and each token")
		})
	}
}
