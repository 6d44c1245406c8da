package tokenboundary_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
)

// TestPayloadIsTheStandardEncoding: AppendJSON writes every claim, as the members of the type say.
func TestPayloadIsTheStandardEncoding(t *testing.T) {
	full := tb.Claims{
		Issuer: "https://boundary.example", Subject: "é\"\\", Audience: tb.Audience{"urn:a", "urn:b"}, ExpiresAt: 2, IssuedAt: 1, ID: "id",
		ClientID: "client", Scope: "a b", Act: &tb.Act{Subject: "x", Issuer: "i", Act: &tb.Act{Subject: "y"}},
		Details: []json.RawMessage{json.RawMessage(`{"a":1}`), json.RawMessage(`{}`)}, Grant: "grant", Lineage: []string{"l1", "l2"},
		Task: &tb.TaskClaim{ID: "task", Purpose: "p"}, SessionID: "sid", AuthTime: -1, ACR: "aal2", AMR: []string{"pwd", "otp"},
		Confirm: &tb.Confirm{Thumbprint: "jkt"}, Recheck: 300, Key: "not a claim",
	}
	one := full
	one.Audience, one.Act, one.Details, one.Lineage = tb.Audience{"urn:a"}, nil, nil, nil
	for _, c := range []tb.Claims{full, one, {Audience: tb.Audience{"urn:a"}}, {Audience: tb.Audience{}}} {
		want, err := json.Marshal(c)
		require.NoError(t, err)
		got, err := c.AppendJSON([]byte("x"))
		require.NoError(t, err)
		require.Equal(t, "x"+string(want), string(got))
	}
	full.ACR = "\xff"
	_, err := full.AppendJSON(nil)
	require.ErrorContains(t, err, "not UTF-8")
}
