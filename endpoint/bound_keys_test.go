package endpoint_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

// keyring is the keys that clients have registered: as large, as slow and as many as a registration can have.
type keyring struct {
	honest *ecdsa.PrivateKey // of every client with a set that has room for it
	sets   map[string]json.RawMessage
}

// keysOnce makes the keys once for all tests: some are slow to make.
var keysOnce = sync.OnceValue(func() keyring {
	k := keyring{honest: newECDSA(elliptic.P256()), sets: map[string]json.RawMessage{}}
	own := jose.JSONWebKey{Key: k.honest.Public(), KeyID: "honest", Algorithm: "ES256"}
	add := func(client string, keys ...jose.JSONWebKey) {
		k.sets[client], _ = json.Marshal(jose.JSONWebKeySet{Keys: append(keys, own)})
	}
	add("honest")
	add("remote")
	add("rsa-4096", jose.JSONWebKey{Key: modulus(4096, 65537), KeyID: "k"})
	add("rsa-8192", jose.JSONWebKey{Key: modulus(8192, 65537), KeyID: "k"})
	add("rsa-exponent", jose.JSONWebKey{Key: modulus(8192, 1<<16+1), KeyID: "k"})
	add("es384", jose.JSONWebKey{Key: newECDSA(elliptic.P384()).Public(), KeyID: "k"})
	add("es512", jose.JSONWebKey{Key: newECDSA(elliptic.P521()).Public(), KeyID: "k"})
	add("two-rsa", unnamed(2, modulus(8192, 65537))...)
	add("three-es512", unnamed(3, newECDSA(elliptic.P521()).Public())...)
	add("many-rsa", unnamed(63, modulus(8192, 65537))...)
	add("many-es384", unnamed(63, newECDSA(elliptic.P384()).Public())...)
	return k
})

// modulus returns a public key that verifies nothing and costs as much as a real one.
func modulus(bits, e int) *rsa.PublicKey {
	n, _ := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), uint(bits)))
	return &rsa.PublicKey{N: n.SetBit(n.SetBit(n, bits-1, 1), 0, 1), E: e}
}

func newECDSA(curve elliptic.Curve) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// unnamed returns n keys without an id: a token that names none may be signed with any of them.
func unnamed(n int, key any) []jose.JSONWebKey {
	out := make([]jose.JSONWebKey, n)
	for i := range out {
		out[i].Key = key
	}
	return out
}

// RoundTrip serves the key set of the client "remote", and counts how often it is asked for.
func (b *bounded) RoundTrip(*http.Request) (*http.Response, error) {
	b.fetches.Add(1)
	body := io.NopCloser(bytes.NewReader(b.keys.sets["remote"]))
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: body}, nil
}

var b64 = base64.RawURLEncoding

// assertionOf is an assertion of a client that is good for the next minute, with further claims as JSON members, signed
// with its honest key.
func (b *bounded) assertionOf(client, more string) string {
	now := b.clock.Now().Unix()
	input := b64.EncodeToString([]byte(`{"alg":"ES256","kid":"honest"}`)) + "." + b64.EncodeToString(fmt.Appendf(nil,
		`{"iss":%q,"sub":%q,"aud":%q,"iat":%d,"exp":%d,"jti":%q%s}`, client, client, issuer, now, now+60, rand.Text(), more))
	sum := sha256.Sum256([]byte(input))
	r, s, err := ecdsa.Sign(rand.Reader, b.keys.honest, sum[:])
	if err != nil {
		panic(err)
	}
	return input + "." + b64.EncodeToString(append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...))
}

// forged is an assertion of a client with the header, a payload and a signature of so many bytes that verifies nothing.
func forged(header, client, more string, signature int) string {
	payload := fmt.Sprintf(`{"iss":%q,"sub":%q,"aud":%q,"iat":1772366400,"exp":1772366460,"jti":"j"%s}`, client, client, issuer, more)
	sig := bytes.Repeat([]byte{1}, signature)
	return strings.Join([]string{b64.EncodeToString([]byte(header)), b64.EncodeToString([]byte(payload)), b64.EncodeToString(sig)}, ".")
}
