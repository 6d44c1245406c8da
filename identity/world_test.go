package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

const (
	boundary = "https://boundary.example"
	idp      = "https://idp.example"
	cluster  = "https://kubernetes.default.svc"
	agentID  = "spiffe://acme.example/agents/support-bot"
	leeway   = 5 * time.Second
)

// m is a JSON object. A nil value in a change removes the member.
type m = map[string]any

// The keys of these tests, made once. rogue belongs to nobody.
var (
	esKey, rogue = ecKey(), ecKey()
	rsKey        = must(rsa.GenerateKey(rand.Reader, 2048))
	edKey        = ed25519.NewKeyFromSeed(must(randomBytes(ed25519.SeedSize)))
	start        = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func randomBytes(n int) ([]byte, error) {
	b := make([]byte, n)
	_, err := rand.Read(b)
	return b, err
}

func ecKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

func newClock() *clock.Mock {
	clk := clock.NewMock()
	clk.Set(start)
	return clk
}

// at is a NumericDate.
func at(d time.Duration) int64 { return start.Add(d).Unix() }

// with returns base with the changes applied.
func with(base m, change m) m {
	out := maps.Clone(base)
	for k, v := range change {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

var b64 = base64.RawURLEncoding

// token signs claims, which are an m or JSON text, by the alg in the header.
func token(t testing.TB, key crypto.Signer, header m, claims any) string {
	t.Helper()
	h, err := json.Marshal(header)
	require.NoError(t, err)
	p, isText := claims.(string)
	if !isText {
		p = string(must(json.Marshal(claims)))
	}
	input := b64.EncodeToString(h) + "." + b64.EncodeToString([]byte(p))
	return input + "." + b64.EncodeToString(sign(t, key, header["alg"], []byte(input)))
}

func sign(t testing.TB, key crypto.Signer, alg any, input []byte) []byte {
	t.Helper()
	sum := sha256.Sum256(input)
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		r, s, err := ecdsa.Sign(rand.Reader, k, sum[:])
		require.NoError(t, err)
		return append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	case *rsa.PrivateKey:
		if alg == "PS256" {
			return must(k.Sign(rand.Reader, sum[:], &rsa.PSSOptions{SaltLength: 32, Hash: crypto.SHA256}))
		}
		return must(k.Sign(rand.Reader, sum[:], crypto.SHA256))
	}
	return ed25519.Sign(key.(ed25519.PrivateKey), input)
}

// published is a key as an issuer publishes it.
type published struct {
	key      crypto.Signer
	kid, use string
}

func jwks(t testing.TB, keys ...published) []byte {
	t.Helper()
	set := gojose.JSONWebKeySet{}
	for _, k := range keys {
		set.Keys = append(set.Keys, gojose.JSONWebKey{Key: k.key.Public(), KeyID: k.kid, Use: k.use})
	}
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	return raw
}

func file(t testing.TB, raw []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

func idpKeys(t testing.TB) string {
	return file(t, jwks(t, published{esKey, "es", "sig"}, published{rsKey, "rs", ""}, published{edKey, "ed", "sig"}))
}

// source makes a source and requires that it can be made.
func source[C any](t testing.TB, make func(C) (*identity.Source, error), cfg C) *identity.Source {
	t.Helper()
	s, err := make(cfg)
	require.NoError(t, err)
	return s
}

// accepts requires that s accepts the credential.
func accepts(t testing.TB, s tokenboundary.IdentitySource, cred tokenboundary.Credential) tokenboundary.Principal {
	t.Helper()
	p, err := s.Identify(t.Context(), cred)
	require.NoError(t, err)
	return p
}

// refuses requires that s refuses the credential for a reason, and not because it were for another source.
func refuses(t testing.TB, s tokenboundary.IdentitySource, cred tokenboundary.Credential, why string) {
	t.Helper()
	p, err := s.Identify(t.Context(), cred)
	require.ErrorContains(t, err, why)
	require.NotErrorIs(t, err, tokenboundary.ErrNotMine)
	require.Zero(t, p)
	if len(cred.Value) > 3 {
		require.NotContains(t, err.Error(), cred.Value)
	}
}

// passes requires that s leaves the credential to other sources.
func passes(t testing.TB, s tokenboundary.IdentitySource, cred tokenboundary.Credential) {
	t.Helper()
	p, err := s.Identify(t.Context(), cred)
	require.ErrorIs(t, err, tokenboundary.ErrNotMine)
	require.Zero(t, p)
}
