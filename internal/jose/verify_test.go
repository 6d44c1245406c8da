package jose_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/x509"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
	"github.com/tokenboundary/tokenboundary/internal/jose"
)

const payload = `{"sub":"alice"}`

func TestVerifyAcceptsEveryAlgorithm(t *testing.T) {
	for _, alg := range front.Algorithms() {
		t.Run(alg, func(t *testing.T) {
			key := keyFor(alg)
			tok := sign(t, key, alg, `{"alg":"`+alg+`"}`, payload)
			require.NoError(t, jose.Verify(tok, jose.Key{Public: key.Public()}, "ES256", alg))
			require.NoError(t, jose.Verify(tok, jose.Key{Public: key.Public(), Alg: alg}, alg))
			require.ErrorContains(t, jose.Verify(tok, jose.Key{Public: key.Public()}), "algorithm", "no algorithm is allowed by default")

			other := sign(t, key, alg, `{"alg":"`+alg+`"}`, `{"sub":"mallory"}`)
			forged, err := front.Parse(string(tok.SigningInput) + "." + b64.EncodeToString(other.Signature))
			require.NoError(t, err)
			require.ErrorContains(t, jose.Verify(forged, jose.Key{Public: key.Public()}, alg), "does not verify")
		})
	}
}

func TestVerifyRefuses(t *testing.T) {
	es := sign(t, p256, "ES256", `{"alg":"ES256"}`, payload)
	good := jose.Key{Public: p256.Public()}
	require.NoError(t, jose.Verify(es, good, "ES256"), "positive control")
	with := func(change func(*front.Token)) front.Token {
		tok := es
		change(&tok)
		return tok
	}
	resigned := func(sig []byte) front.Token {
		tok, err := front.Parse(string(es.SigningInput) + "." + b64.EncodeToString(sig))
		require.NoError(t, err)
		return tok
	}
	n := p256.Params().N.FillBytes(make([]byte, 32))
	r, s := es.Signature[:32], es.Signature[32:]
	der, err := ecdsa.SignASN1(nil, p256, make([]byte, 32))
	require.NoError(t, err)
	edToken := sign(t, ed, "Ed25519", `{"alg":"Ed25519"}`, payload)
	rsToken := sign(t, rsa2048, "RS256", `{"alg":"RS256"}`, payload)
	cases := map[string]struct {
		tok  front.Token
		key  jose.Key
		algs []string
		why  string
	}{
		"another key":         {es, jose.Key{Public: p256b.Public()}, []string{"ES256"}, "does not verify"},
		"algorithm off list":  {es, good, []string{"RS256"}, "algorithm"},
		"key for another alg": {es, jose.Key{Public: p256.Public(), Alg: "ES384"}, []string{"ES256"}, "algorithm"},
		"another curve":       {es, jose.Key{Public: p384.Public()}, []string{"ES256"}, "algorithm"},
		"another type":        {es, jose.Key{Public: rsa2048.Public()}, []string{"ES256"}, "algorithm"},
		"private key":         {es, jose.Key{Public: p256}, []string{"ES256"}, "algorithm"},
		"no key":              {es, jose.Key{}, []string{"ES256"}, "algorithm"},
		"nil key":             {es, jose.Key{Public: (*ecdsa.PublicKey)(nil)}, []string{"ES256"}, "algorithm"},
		"short Ed25519 key":   {edToken, jose.Key{Public: ed25519.PublicKey("x")}, []string{"Ed25519"}, "algorithm"},
		"zero token":          {front.Token{}, good, []string{"ES256", ""}, "algorithm"},
		"PKCS1 as PSS":        {sign(t, rsa2048, "RS256", `{"alg":"PS256"}`, payload), jose.Key{Public: rsa2048.Public()}, []string{"RS256", "PS256"}, "does not verify"},
		"PSS as PKCS1":        {sign(t, rsa2048, "PS256", `{"alg":"RS256"}`, payload), jose.Key{Public: rsa2048.Public()}, []string{"RS256", "PS256"}, "does not verify"},
		"RSA key of one alg":  {rsToken, jose.Key{Public: rsa2048.Public(), Alg: "PS256"}, []string{"RS256", "PS256"}, "algorithm"},
		"r zero":              {resigned(append(make([]byte, 32), s...)), good, []string{"ES256"}, "does not verify"},
		"s zero":              {resigned(append(append([]byte{}, r...), make([]byte, 32)...)), good, []string{"ES256"}, "does not verify"},
		"all zero":            {resigned(make([]byte, 64)), good, []string{"ES256"}, "does not verify"},
		"r is n":              {resigned(append(append([]byte{}, n...), s...)), good, []string{"ES256"}, "does not verify"},
		"s is n":              {resigned(append(append([]byte{}, r...), n...)), good, []string{"ES256"}, "does not verify"},
		"short":               {resigned(es.Signature[:63]), good, []string{"ES256"}, "does not verify"},
		"long":                {resigned(append(append([]byte{}, es.Signature...), 0)), good, []string{"ES256"}, "does not verify"},
		"DER":                 {resigned(der), good, []string{"ES256"}, "does not verify"},
		"payload exchanged":   {with(func(t *front.Token) { t.Payload = []byte(`{"sub":"mallory"}`) }), good, []string{"ES256"}, "does not verify"},
		"raw exchanged":       {with(func(t *front.Token) { t.Raw = edToken.Raw }), good, []string{"ES256"}, "does not verify"},
		"alg exchanged":       {with(func(t *front.Token) { t.Alg = "ES384" }), jose.Key{Public: p384.Public()}, []string{"ES384"}, "does not verify"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			err := jose.Verify(c.tok, c.key, c.algs...)
			require.ErrorContains(t, err, c.why)
		})
	}
	edOther := edToken
	edOther.Payload = []byte(`{"sub":"mallory"}`)
	require.NoError(t, jose.Verify(edToken, jose.Key{Public: ed.Public()}, "Ed25519"))
	require.ErrorContains(t, jose.Verify(edOther, jose.Key{Public: ed.Public()}, "Ed25519"), "does not verify")
}

// The public key's bytes must never serve as the secret of an HMAC: such a token does not even reach Verify.
func TestAlgorithmConfusionEndsAtTheFront(t *testing.T) {
	der, err := x509.MarshalPKIXPublicKey(rsa2048.Public())
	require.NoError(t, err)
	raw := b64.EncodeToString([]byte(`{"alg":"HS256"}`)) + "." + b64.EncodeToString([]byte(payload)) + "." + b64.EncodeToString(der[:32])
	_, err = front.Parse(raw)
	require.ErrorContains(t, err, "algorithm is not allowed")
}

// Both spellings of an ECDSA signature verify, as Verify says; so nothing may be keyed on a token's text.
func TestVerifyAcceptsBothSpellingsOfECDSA(t *testing.T) {
	tok := sign(t, p256, "ES256", `{"alg":"ES256"}`, payload)
	s := new(big.Int).Sub(p256.Params().N, new(big.Int).SetBytes(tok.Signature[32:]))
	mirrored, err := front.Parse(string(tok.SigningInput) + "." +
		b64.EncodeToString(append(append([]byte{}, tok.Signature[:32]...), s.FillBytes(make([]byte, 32))...)))
	require.NoError(t, err)
	require.NotEqual(t, tok.Raw, mirrored.Raw)
	require.NoError(t, jose.Verify(mirrored, jose.Key{Public: p256.Public()}, "ES256"))
	require.Equal(t, tok.Payload, mirrored.Payload)
}

// RFC 7515, appendix A.3.
func TestVerifyVector(t *testing.T) {
	set, err := jose.ParseKeySet([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",` +
		`"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}`))
	require.NoError(t, err)
	tok, err := front.Parse("eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ." +
		"DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
	require.NoError(t, err)
	require.NoError(t, jose.Verify(tok, set.Find("", "ES256", "sig")[0], "ES256"))
}
