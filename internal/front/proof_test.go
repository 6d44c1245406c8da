package front_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

const (
	jwk         = `{"kty":"EC","crv":"P-256","x":"eA","y":"eQ"}`
	proofHeader = `{"typ":"dpop+jwt","alg":"ES256","jwk":` + jwk + `}`
	proofClaims = `{"jti":"j1","htm":"POST"}`
)

func TestParseProofAcceptsTheCanonicalForm(t *testing.T) {
	raw := compact(proofHeader, proofClaims)
	tok, key, err := front.ParseProof(raw)
	require.NoError(t, err)
	require.JSONEq(t, jwk, string(key))
	require.Equal(t, front.Token{
		Alg: "ES256", Typ: "dpop+jwt", Payload: []byte(proofClaims),
		Claims:       canon.Members{{Name: "htm", Value: json.RawMessage(`"POST"`)}, {Name: "jti", Value: json.RawMessage(`"j1"`)}},
		SigningInput: []byte(raw[:strings.LastIndexByte(raw, '.')]), Signature: []byte("sig!"), Raw: raw,
	}, tok)
	for _, alg := range front.Algorithms() {
		_, _, err := front.ParseProof(compact(strings.Replace(proofHeader, "ES256", alg, 1), proofClaims))
		require.NoError(t, err, alg)
	}
}

func TestParseProofRefuses(t *testing.T) {
	good := compact(proofHeader, proofClaims)
	_, _, err := front.ParseProof(good)
	require.NoError(t, err, "positive control")
	edit := func(old, new string) string {
		require.Contains(t, proofHeader, old)
		return compact(strings.Replace(proofHeader, old, new, 1), proofClaims)
	}
	cases := map[string]struct{ raw, why string }{
		"empty":             {"", "fewer than three"},
		"two proofs":        {good + "," + good, "compact form"},
		"two, spaced":       {good + ", " + good, "compact form"},
		"two in one":        {good + "." + good, "more than three"},
		"unsigned":          {good[:strings.LastIndexByte(good, '.')+1], "fewer than three"},
		"trailing bits":     {good[:len(good)-1] + "R", "not canonical"},
		"too long":          {compact(proofHeader, `{"jti":"`+strings.Repeat("j", front.MaxProof)+`"}`), "too long"},
		"no key":            {edit(`,"jwk":`+jwk, ""), "no key"},
		"key in capitals":   {edit(`"jwk"`, `"JWK"`), "no key"},
		"two keys":          {edit(`"jwk"`, `"jwk":{},"jwk"`), "duplicate"},
		"two keys, escaped": {edit(`"jwk"`, `"\u006awk":{},"jwk"`), "duplicate"},
		"no typ":            {edit(`"typ":"dpop+jwt",`, ""), "typ is not dpop+jwt"},
		"typ JWT":           {edit("dpop+jwt", "JWT"), "typ is not dpop+jwt"},
		"typ at+jwt":        {edit("dpop+jwt", "at+jwt"), "typ is not dpop+jwt"},
		"typ in capitals":   {edit("dpop+jwt", "DPoP+JWT"), "typ is not dpop+jwt"},
		"typ, full":         {edit("dpop+jwt", "application/dpop+jwt"), "typ is not dpop+jwt"},
		"typ list":          {edit(`"dpop+jwt"`, `["dpop+jwt"]`), "typ is not dpop+jwt"},
		"no alg":            {edit(`"alg":"ES256",`, ""), "not allowed"},
		"alg none":          {edit("ES256", "none"), "algorithm is not allowed"},
		"alg HS256":         {edit("ES256", "HS256"), "algorithm is not allowed"},
		"alg null":          {edit(`"ES256"`, "null"), "not a string"},
		"alg only by case":  {edit(`"alg"`, `"ALG"`), "not allowed"},
		"payload duplicate": {compact(proofHeader, `{"htm":"POST","htm":"GET"}`), "duplicate"},
		"payload array":     {compact(proofHeader, `[]`), "not a JSON object"},
		"header no object":  {compact(`"dpop+jwt"`, proofClaims), "not a JSON object"},
	}
	for _, member := range []string{"kid", "x5t", "x5t#S256", "crit", "jku", "x5c", "x5u", "zip", "b64", "cty", "nonce", "Jwk"} {
		cases["header "+member] = struct{ raw, why string }{edit(`"jwk"`, `"`+member+`":"a","jwk"`), "member that is not allowed"}
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			tok, key, err := front.ParseProof(c.raw)
			require.ErrorContains(t, err, c.why)
			require.Zero(t, tok)
			require.Nil(t, key)
		})
	}
}

// A token that brings its own key is a proof and nothing else; a proof is nothing else either.
func TestNoTextIsATokenAndAProof(t *testing.T) {
	_, err := front.Parse(compact(proofHeader, proofClaims))
	require.ErrorContains(t, err, "not a string")
	_, _, err = front.ParseProof(compact(header, payload))
	require.ErrorContains(t, err, "no key")
}

// FuzzParseProof holds that whatever passes has one spelling, and is no token of another kind.
func FuzzParseProof(f *testing.F) {
	f.Add(compact(proofHeader, proofClaims))
	f.Add(compact(header, payload))
	f.Add(compact(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":null}`, `{}`))
	f.Add(compact(`{"typ":"dpop+jwt","alg":"EdDSA","jwk":"k"}`, `{"htu":"https://a.example/"}`))
	f.Fuzz(func(t *testing.T, raw string) {
		tok, key, err := front.ParseProof(raw)
		if err != nil {
			require.Zero(t, tok)
			require.Nil(t, key)
			return
		}
		require.Equal(t, raw, string(tok.SigningInput)+"."+b64.EncodeToString(tok.Signature))
		require.Equal(t, "dpop+jwt", tok.Typ)
		require.Empty(t, tok.Kid)
		_, err = canon.JSON(key)
		require.NoError(t, err)
		_, err = front.Parse(raw)
		require.Error(t, err)
	})
}
