package front_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/front"
)

// FuzzHeader changes what is inside of the encoding. It holds that what passes says what its JSON says, has no member but
// those that are known, and is a token or a proof and never both.
func FuzzHeader(f *testing.F) {
	for _, h := range []string{
		header, proofHeader, `{"alg":"ES256","kid":"\u006b","x5t":"a","x5t#S256":"b"}`, `{"alg":"none"}`, `{"alg":"ES256","alg":"none"}`,
		`{"ALG":"ES256","alg":"EdDSA"}`, `{"alg":"RS256","crit":["b64"],"b64":false}`, `{"alg":"ES256","typ":"APPLICATION/jwt"}`,
		`{"typ":"dpop+jwt","alg":"ES256","jwk":null}`, `{"typ":"dpop+jwt","alg":"ES256","jwk":{},"kid":"k"}`,
	} {
		f.Add(h, payload)
	}
	f.Add(header, proofClaims)
	f.Add(header, `[{"a":1,"\u0061":2}]`)
	f.Fuzz(func(t *testing.T, header, payload string) {
		raw := compact(header, payload)
		tok, err := front.Parse(raw)
		proof, key, noProof := front.ParseProof(raw)
		require.True(t, err != nil || noProof != nil, "a token and a proof")
		if err != nil && noProof != nil {
			require.Zero(t, tok)
			require.Zero(t, proof)
			return
		}
		if err != nil {
			tok = proof
		}
		var said map[string]any
		require.NoError(t, json.Unmarshal([]byte(header), &said))
		require.Equal(t, said["alg"], tok.Alg)
		require.Contains(t, front.Algorithms(), tok.Alg)
		typ, _ := said["typ"].(string)
		require.Equal(t, strings.TrimPrefix(strings.ToLower(typ), "application/"), tok.Typ)
		kid, _ := said["kid"].(string)
		require.Equal(t, kid, tok.Kid)
		if noProof == nil {
			require.Equal(t, "dpop+jwt", said["typ"])
			require.Len(t, said, 3)
			var jwk any
			require.NoError(t, json.Unmarshal(key, &jwk))
			require.Equal(t, said["jwk"], jwk)
		} else {
			for _, known := range []string{"alg", "typ", "kid", "x5t", "x5t#S256"} {
				delete(said, known)
			}
			require.Empty(t, said)
		}
		require.Equal(t, payload, string(tok.Payload))
		var claims map[string]any
		require.NoError(t, json.Unmarshal(tok.Payload, &claims))
		require.NotNil(t, claims)
	})
}
