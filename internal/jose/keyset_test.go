package jose_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/jose"
)

func TestParseKeySetSkipsWhatCannotVerify(t *testing.T) {
	set := keySet(t,
		jwk(t, p256.Public(), m{"kid": "a", "alg": "ES256", "use": "sig", "x5c": []string{"not a certificate"}, "x5t": "?"}),
		jwk(t, ed.Public(), m{"kid": "b"}),
		m{"kty": "AKP", "kid": "post-quantum", "pub": "AAAA"},
		m{"kty": "OKP", "crv": "X25519", "kid": "agreement", "x": "AAAA"},
		m{"kty": "EC", "crv": "secp256k1", "kid": "koblitz", "x": "AAAA", "y": "AAAA"},
		jwk(t, rsa2048.Public(), m{"kid": "encrypts", "alg": "RSA-OAEP"}),
		jwk(t, rsa2048.Public(), m{"kid": "wraps", "key_ops": []string{"wrapKey"}}),
		jwk(t, rsa2048.Public(), m{"kid": "checks", "key_ops": []string{"verify"}, "use": "enc"}),
	)
	require.Equal(t, 3, set.Len())
	require.True(t, set.Has("a") && set.Has("b") && set.Has("checks"))
	require.False(t, set.Has("encrypts") || set.Has("post-quantum") || set.Has(""))
	require.Empty(t, set.Find("checks", "RS256", "sig"), "a key for encryption")
}

func TestParseKeySetRefuses(t *testing.T) {
	a := func(set m) m { return jwk(t, p256.Public(), set) }
	weak := must(rsa.GenerateKey(rand.Reader, 1024)) //nolint:gosec // the point of the test
	e := func(v string) m { return jwk(t, rsa2048.Public(), m{"e": v}) }
	many := make([]m, jose.MaxKeys+1)
	for i := range many {
		many[i] = a(m{"kid": strconv.Itoa(i)})
	}
	require.Equal(t, jose.MaxKeys, keySet(t, many[1:]...).Len(), "positive control")
	cases := map[string]struct {
		raw []byte
		why string
	}{
		"private EC":        {document(t, jwk(t, p256, nil)), "private key"},
		"private Ed25519":   {document(t, jwk(t, ed, nil)), "private key"},
		"private RSA":       {document(t, jwk(t, rsa2048, nil)), "private key"},
		"private of new":    {document(t, m{"kty": "AKP", "priv": "AAAA"}), "private key"},
		"symmetric":         {document(t, m{"kty": "oct", "k": "c2VjcmV0"}), "private key"},
		"symmetric, empty":  {document(t, m{"kty": "oct"}), "symmetric"},
		"weak RSA":          {document(t, jwk(t, weak.Public(), nil)), "shorter than 2048"},
		"huge RSA":          {document(t, m{"kty": "RSA", "e": "AQAB", "n": b64.EncodeToString([]byte(strings.Repeat("\xff", 1026)))}), "modulus"},
		"exponent 1":        {document(t, e("AQ")), "impossible"},
		"exponent even":     {document(t, e("AQAA")), "impossible"},
		"exponent huge":     {document(t, e("_____w")), "impossible"},
		"exponent too long": {document(t, e("AQAAAAE")), "exponent"},
		"twice one kid":     {document(t, a(m{"kid": "k"}), jwk(t, ed.Public(), m{"kid": "k"})), "not unique"},
		"kid of skipped":    {document(t, m{"kty": "AKP", "kid": "k"}, a(m{"kid": "k"})), "not unique"},
		"kid number":        {document(t, a(m{"kid": 1})), "not a string"},
		"kid control":       {document(t, a(m{"kid": "a\nb"})), "control"},
		"no kty":            {document(t, a(m{"kty": nil})), "no key type"},
		"point off curve":   {document(t, a(m{"y": b64.EncodeToString(make([]byte, 32))})), "not on the curve"},
		"short coordinate":  {document(t, a(m{"x": "AAAA"})), "coordinate"},
		"padded coordinate": {document(t, a(m{"x": "AAAA="})), "coordinate"},
		"curve of another":  {document(t, a(m{"crv": "P-384"})), "coordinate"},
		"short Ed25519":     {document(t, m{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}), "wrong form"},
		"key_ops string":    {document(t, a(m{"key_ops": "verify"})), "key_ops"},
		"too many keys":     {document(t, many...), "too many"},
		"too long":          {append(document(t, a(nil)), make([]byte, jose.MaxKeySet)...), "too long"},
		"no keys":           {[]byte(`{}`), "no array"},
		"keys null":         {[]byte(`{"keys":null}`), "no array"},
		"keys object":       {[]byte(`{"keys":{}}`), "no array"},
		"case variant":      {[]byte(`{"Keys":[]}`), "no array"},
		"a single key":      {must(json.Marshal(a(nil))), "no array"},
		"key no object":     {[]byte(`{"keys":["k"]}`), "not a JSON object"},
		"twice keys":        {[]byte(`{"keys":[],"keys":[]}`), "duplicate"},
		"twice kty":         {[]byte(`{"keys":[{"kty":"oct","kty":"EC"}]}`), "duplicate"},
		"trailing data":     {[]byte(`{"keys":[]} x`), "syntax"},
		"no JSON":           {[]byte(`<html>`), "syntax"},
		"nothing":           {nil, "syntax"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			set, err := jose.ParseKeySet(c.raw)
			require.ErrorContains(t, err, c.why)
			require.Zero(t, set.Len())
		})
	}
}

func TestFind(t *testing.T) {
	set := keySet(t,
		jwk(t, p256.Public(), m{"kid": "es", "use": "sig"}),
		jwk(t, p256b.Public(), nil),
		jwk(t, p384.Public(), m{"kid": "es384"}),
		jwk(t, rsa2048.Public(), m{"kid": "ps", "alg": "PS256"}),
		jwk(t, p521.Public(), m{"kid": "svid", "use": "jwt-svid"}),
	)
	ids := func(kid, alg, use string) (out []string) {
		for _, k := range set.Find(kid, alg, use) {
			out = append(out, k.ID)
		}
		return out
	}
	require.Equal(t, []string{"es"}, ids("es", "ES256", "sig"))
	require.Equal(t, []string{"es", ""}, ids("", "ES256", "sig"), "without a kid, all that fit")
	require.Equal(t, []string{"ps"}, ids("", "PS256", "sig"))
	require.Equal(t, []string{"svid"}, ids("svid", "ES512", "jwt-svid"))
	require.Empty(t, ids("svid", "ES512", "sig"), "of another use")
	require.Empty(t, ids("es384", "ES384", "jwt-svid"), "of no stated use")
	require.Empty(t, ids("es", "ES384", "sig"), "of another curve")
	require.Empty(t, ids("ps", "RS256", "sig"), "for another algorithm")
	require.Empty(t, ids("absent", "ES256", "sig"))
	require.Empty(t, ids("es", "", "sig"))
	require.Empty(t, ids("es", "ES256", ""))
	require.Empty(t, jose.KeySet{}.Find("", "ES256", "sig"), "the zero set has no key")
}

func TestMarshalIsReadBack(t *testing.T) {
	keys := []jose.Key{
		{ID: "a", Alg: "ES256", Use: "sig", Public: p256.Public()},
		{ID: "b", Alg: "EdDSA", Use: "sig", Public: ed.Public()},
		{ID: "c", Alg: "RS256", Use: "sig", Public: rsa2048.Public()},
	}
	raw, err := jose.Marshal(keys)
	require.NoError(t, err)
	require.NotContains(t, string(raw), `"d"`)
	set, err := jose.ParseKeySet(raw)
	require.NoError(t, err)
	for _, k := range keys {
		require.Equal(t, []jose.Key{k}, set.Find(k.ID, k.Alg, "sig"))
	}
	raw, err = jose.Marshal(nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"keys":[]}`, string(raw))
	for _, bad := range []jose.Key{
		{ID: "a"}, {ID: "a", Public: p256}, {ID: "a", Public: ed}, {ID: "a", Public: []byte("secret")},
		{ID: "a", Public: ed25519.PublicKey("short")}, {ID: "a", Public: (*rsa.PublicKey)(nil)},
		{ID: "a", Alg: "ES384", Public: p256.Public()},
	} {
		_, err := jose.Marshal([]jose.Key{bad})
		require.Error(t, err)
	}
	_, err = jose.Marshal([]jose.Key{keys[0], {ID: "a", Public: ed.Public()}})
	require.Error(t, err, "two keys of one id")
}

func TestThumbprint(t *testing.T) {
	set, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"RSA","e":"AQAB","alg":"RS256","kid":"2011-04-29","n":` +
		`"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3` +
		`oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHz` +
		`u6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8a` +
		`wapJzKnqDKgw"}]}`))
	require.NoError(t, err)
	print, err := jose.Thumbprint(set.Find("2011-04-29", "RS256", "sig")[0].Public)
	require.NoError(t, err)
	require.Equal(t, "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs", print, "RFC 7638, section 3.1")
	_, err = jose.Thumbprint(p256)
	require.Error(t, err, "a private key")
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, raw []byte) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, raw, 0o600))
		return path
	}
	src, err := jose.File(write("good.json", document(t, jwk(t, p256.Public(), m{"kid": "k"}))))
	require.NoError(t, err)
	set, err := src.Keys(t.Context(), "another")
	require.NoError(t, err)
	require.Equal(t, 1, set.Len())

	private := write("private.json", document(t, jwk(t, p256, m{"kid": "k"})))
	_, err = jose.File(private)
	require.ErrorContains(t, err, "private.json")
	require.ErrorContains(t, err, "private key")
	require.NotContains(t, err.Error(), jwk(t, p256, nil)["d"])
	_, err = jose.File(write("empty.json", []byte(`{"keys":[]}`)))
	require.ErrorContains(t, err, "no usable key")
	_, err = jose.File(write("long.json", make([]byte, jose.MaxKeySet+1)))
	require.ErrorContains(t, err, "too long")
	_, err = jose.File(filepath.Join(dir, "absent.json"))
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = jose.File(dir)
	require.ErrorContains(t, err, "not a regular file")
}

// FuzzParseKeySet holds that whatever is accepted is bounded and can be written and read back.
func FuzzParseKeySet(f *testing.F) {
	f.Add(document(f, jwk(f, p256.Public(), m{"kid": "a"}), jwk(f, ed.Public(), m{"kid": "b", "alg": "Ed25519"})))
	f.Add(document(f, jwk(f, rsa2048.Public(), m{"use": "jwt-svid"}), jwk(f, p521.Public(), nil)))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":"AA"}],"spiffe_sequence":1}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","n":"AQ","e":"AQAB"}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := jose.ParseKeySet(raw)
		if err != nil {
			require.Zero(t, set.Len())
			return
		}
		require.LessOrEqual(t, set.Len(), jose.MaxKeys)
		for _, alg := range []string{"ES256", "EdDSA", "RS256"} {
			for _, k := range set.Find("", alg, "sig") {
				out, err := jose.Marshal([]jose.Key{k})
				require.NoError(t, err)
				again, err := jose.ParseKeySet(out)
				require.NoError(t, err)
				require.Equal(t, []jose.Key{k}, again.Find(k.ID, alg, "sig"))
			}
		}
	})
}
