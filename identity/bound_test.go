package identity_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/identity"
)

// padded is a good assertion of "bot", of about so many bytes, by esKey.
func padded(t *testing.T, header m, size int) tokenboundary.Credential {
	t.Helper()
	claims := m{"iss": "bot", "sub": "bot", "aud": boundary, "iat": at(0), "exp": at(60e9), "jti": "j", "pad": ""}
	short := token(t, esKey, header, claims)
	claims["pad"] = strings.Repeat("x", max(0, size-len(short))*3/4)
	return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: token(t, esKey, header, claims)}
}

// registered is the source of one client, "bot", with the keys.
func registered(t *testing.T, keys ...crypto.PublicKey) *identity.Source {
	t.Helper()
	var set gojose.JSONWebKeySet
	for _, k := range keys {
		set.Keys = append(set.Keys, gojose.JSONWebKey{Key: k})
	}
	raw, err := json.Marshal(set)
	require.NoError(t, err)
	return source(t, identity.Clients, identity.ClientsConfig{
		Issuer: boundary, Clock: newClock(), Clients: []identity.ClientAuth{{ID: "bot", JWKSFile: file(t, raw)}},
	})
}

func TestAnAssertionIsBoundedInSize(t *testing.T) {
	s := registered(t, esKey.Public())
	header := m{"alg": "ES256"}
	longest := padded(t, header, 16<<10)
	require.InDelta(t, 16<<10, len(longest.Value), 3)
	accepts(t, s, longest)
	refuses(t, s, padded(t, header, 16<<10+8), "assertion is too long")
}

// TestAnAssertionWithoutAKidIsTriedWithFewKeys: a stranger can send one, so the work is bounded by what the keys cost. One
// that names its key is verified whatever else is registered.
func TestAnAssertionWithoutAKidIsTriedWithFewKeys(t *testing.T) {
	p256 := func() crypto.PublicKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)).Public() }
	cred := padded(t, m{"alg": "ES256"}, 0)
	accepts(t, registered(t, p256(), p256(), esKey.Public()), cred)
	refuses(t, registered(t, p256(), p256(), p256(), esKey.Public()), cred, "names no key, and too many fit")
	accepts(t, registered(t, modulus(8192), modulus(8192), modulus(8192), esKey.Public()), cred)

	byRSA := tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: token(t, rsKey, m{"alg": "RS256"}, m{
		"iss": "bot", "sub": "bot", "aud": boundary, "iat": at(0), "exp": at(60e9), "jti": "j",
	})}
	accepts(t, registered(t, modulus(8192), rsKey.Public()), byRSA)
	refuses(t, registered(t, modulus(8192), modulus(8192), rsKey.Public()), byRSA, "names no key, and too many fit")
}

// modulus returns a public RSA key of which nobody has the private one.
func modulus(bits int) *rsa.PublicKey {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	return &rsa.PublicKey{N: n.SetBit(n.SetBit(n, bits-1, 1), 0, 1), E: 65537}
}
