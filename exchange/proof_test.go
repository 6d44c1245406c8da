package exchange_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

const tokenURL = "https://boundary.example/token"

func TestProof(t *testing.T) {
	long := strings.Repeat("p", 16<<10)
	for _, c := range []struct {
		name, why string
		values    []string
		want      string
	}{
		{"none", "", nil, ""},
		{"one", "", []string{"P"}, "P"},
		{"as long as may be", "", []string{long}, long},
		{"too long", "DPoP is too long", []string{long + "p"}, ""},
		{"without a value", "DPoP is malformed", []string{""}, ""},
		{"two", "DPoP must not repeat", []string{"P", "Q"}, ""},
		{"the same twice", "DPoP must not repeat", []string{"P", "P"}, ""},
		{"a second without a value", "DPoP must not repeat", []string{"P", ""}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "http://evil.example/token", nil)
			for _, v := range c.values {
				r.Header.Add("dpop", v)
			}
			proof, err := exchange.Proof(r, tokenURL)
			if c.why != "" {
				requireError(t, err, "invalid_dpop_proof", c.why)
				require.Zero(t, proof)
				return
			}
			require.NoError(t, err)
			if c.want == "" {
				require.True(t, proof.IsZero())
				return
			}
			require.Equal(t, tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: c.want, Method: "POST", URL: tokenURL}, proof)
		})
	}
}

func TestTokenType(t *testing.T) {
	require.Equal(t, "Bearer", exchange.TokenType(""))
	require.Equal(t, "DPoP", exchange.TokenType("thumbprint"))
}
