package hostile

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
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

const (
	boundary = "https://boundary.example"
	idp      = "https://idp.example"
	cluster  = "https://kubernetes.default.svc"
	resource = "https://crm.example.com/"
	tokenURL = boundary + "/token"
)

var (
	start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	b64   = base64.RawURLEncoding

	// The keys of these tests, made once.
	p256, p384 = ecKey(elliptic.P256()), ecKey(elliptic.P384())
	rsaKey     = must(rsa.GenerateKey(rand.Reader, 2048))
	edKey      = ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func ecKey(c elliptic.Curve) *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(c, rand.Reader)) }

func keyFor(alg string) crypto.Signer {
	return map[string]crypto.Signer{"ES256": p256, "ES384": p384, "EdDSA": edKey, "RS256": rsaKey, "PS256": rsaKey}[alg]
}

// newClock returns a clock that stands still.
func newClock() *clock.Mock {
	clk := clock.NewMock()
	clk.Set(start)
	return clk
}

// forge makes the token of a header and a payload, whatever they are, with a good signature by alg.
func forge(alg, header, payload string) string {
	input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
	return input + "." + b64.EncodeToString(sign(alg, []byte(input)))
}

func sign(alg string, input []byte) []byte {
	sum := sha256.Sum256(input)
	switch key := keyFor(alg).(type) {
	case *ecdsa.PrivateKey:
		digest := sum[:]
		if alg == "ES384" {
			long := sha512.Sum384(input)
			digest = long[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		size := (key.Curve.Params().BitSize + 7) / 8
		return must(append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...), err)
	case *rsa.PrivateKey:
		if alg == "PS256" {
			opts := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
			return must(key.Sign(rand.Reader, sum[:], opts))
		}
		return must(key.Sign(rand.Reader, sum[:], crypto.SHA256))
	}
	return ed25519.Sign(edKey, input)
}

// jwks is a file with the public keys of these tests; their ids are the names of the algorithms.
func jwks(t testing.TB, use string, algs ...string) string {
	t.Helper()
	var keys []jose.Key
	for _, alg := range algs {
		keys = append(keys, jose.Key{ID: alg, Alg: alg, Use: use, Public: keyFor(alg).Public()})
	}
	raw, err := jose.Marshal(keys)
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "jwks.json")
	require.NoError(t, os.WriteFile(path, raw, 0o600))
	return path
}

// object writes members in the order in which they are given: name, value, name, value.
func object(members ...any) string {
	out := "{"
	for i := 0; i < len(members); i += 2 {
		if i > 0 {
			out += ","
		}
		out += string(must(json.Marshal(members[i]))) + ":" + string(must(json.Marshal(members[i+1])))
	}
	return out + "}"
}

// at is a NumericDate.
func at(d time.Duration) int64 { return start.Add(d).Unix() }
