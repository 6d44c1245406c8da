package goidc

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzMinted checks that what is taken for an outside credential is no token that says that the provider minted it.
func FuzzMinted(f *testing.F) {
	const issuer = "https://auth.example.com"
	encode := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for _, seed := range []string{
		`{"iss":"https://auth.example.com","grant_id":"g"}`, `{"iss":"https://auth.example.com"}`, `{"iss":1,"grant_id":"g"}`,
		`{"iss":"https://other.example.com","grant_id":"g"}`, `{"iss":"https://auth.example.com","grant_id":null}`, `[]`, ``,
	} {
		f.Add(encode(seed))
	}
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, token string) {
		got := minted(issuer, token)
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			require.False(t, got)
			return
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		var claims map[string]any
		d := json.NewDecoder(strings.NewReader(string(payload)))
		d.UseNumber()
		if err != nil || d.Decode(&claims) != nil || d.More() {
			return
		}
		_, granted := claims["grant_id"]
		if claims["iss"] == issuer && granted {
			require.True(t, got || !json.Valid(payload))
		} else {
			require.False(t, got)
		}
	})
}
