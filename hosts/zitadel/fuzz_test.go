package zitadel

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// FuzzGoverned checks that what is taken for an outside credential is no token that says that it was minted for a decision.
func FuzzGoverned(f *testing.F) {
	const issuer = "https://auth.example.com"
	encode := func(payload string) string {
		return "e30." + base64.RawURLEncoding.EncodeToString([]byte(payload)) + ".c2ln"
	}
	for _, seed := range []string{
		`{"iss":"https://auth.example.com","decision_id":"d"}`, `{"iss":"https://auth.example.com"}`, `{"iss":1,"decision_id":"d"}`,
		`{"iss":"https://other.example.com","decision_id":"d"}`, `{"iss":"https://auth.example.com","decision_id":null}`, `[]`, ``,
	} {
		f.Add(encode(seed))
	}
	f.Add("a.b")
	f.Fuzz(func(t *testing.T, token string) {
		got := governed(issuer, token)
		parts := strings.Split(token, ".")
		if len(parts) != 3 {
			require.False(t, got)
			return
		}
		payload, err := base64.RawURLEncoding.DecodeString(parts[1])
		if err != nil || !json.Valid(payload) {
			require.False(t, got)
			return
		}
		var claims map[string]any
		d := json.NewDecoder(strings.NewReader(string(payload)))
		d.UseNumber()
		if d.Decode(&claims) != nil {
			require.False(t, got)
			return
		}
		_, decided := claims["decision_id"]
		require.Equal(t, claims["iss"] == issuer && decided, got)
	})
}

// FuzzFamilyOf checks that the scopes of a grant name the family that they were marked with, or none.
func FuzzFamilyOf(f *testing.F) {
	f.Add("read " + markOf(lineage.IDOf([]byte("a"))))
	f.Add("read write")
	f.Add(mark + "no-id")
	f.Fuzz(func(t *testing.T, scope string) {
		scopes := strings.Fields(scope)
		family, ok := familyOf(scopes)
		require.Equal(t, strings.Contains(" "+strings.Join(scopes, " "), " "+mark), ok)
		if !family.IsZero() {
			require.Contains(t, scopes, markOf(family))
		}
	})
}
