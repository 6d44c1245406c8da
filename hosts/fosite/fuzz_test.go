package fosite

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

const someID = "LPg6tQ6DXq1hSRVGCiHe6ACfG5n1t2lt8TaHCDSnwlo"

func tokenOf(payload string) string {
	return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
}

func TestSaysDecided(t *testing.T) {
	for payload, want := range map[string]bool{
		`{"jti":"` + someID + `","txn":"` + someID + `"}`: true,
		`{"jti":"` + someID + `"}`:                        false,
		`{"jti":"b0a1","txn":"` + someID + `"}`:           false,
		`{"jti":1,"txn":"x"}`:                             false,
		`[]`:                                              false,
		``:                                                false,
	} {
		require.Equal(t, want, saysDecided(tokenOf(payload)), payload)
	}
	require.False(t, saysDecided("a.b"))
	require.False(t, saysDecided("a.!.c"))
}

// FuzzSaysDecided checks that no token with the claims of a decision is taken for an outside credential.
func FuzzSaysDecided(f *testing.F) {
	f.Add(tokenOf(`{"jti":"` + someID + `","txn":"` + someID + `"}`))
	f.Add(tokenOf(`{"jti":"` + someID + `"}`))
	f.Add(tokenOf(`{"jti":1e400,"txn":null}`))
	f.Add("ory_at_a.b")
	f.Fuzz(func(t *testing.T, token string) {
		got := saysDecided(token)
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			require.False(t, got)
			return
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		var claims map[string]any
		d := json.NewDecoder(strings.NewReader(string(payload)))
		d.UseNumber()
		if err != nil || d.Decode(&claims) != nil || d.More() || !json.Valid(payload) {
			require.False(t, got)
			return
		}
		id, _ := claims["jti"].(string)
		_, bad := lineage.ParseID(id)
		_, rooted := claims["txn"]
		require.Equal(t, bad == nil && rooted, got)
	})
}
