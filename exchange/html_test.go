package exchange

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Answers are written as json.Marshal writes them, byte for byte.
func TestAnswersAreEscapedForHTML(t *testing.T) {
	type answer struct {
		Scope   string            `json:"scope"`
		Details []json.RawMessage `json:"authorization_details,omitempty"`
	}
	for _, a := range []answer{
		{Scope: "cases:read contacts:read"},
		{Scope: "<script>"}, {Scope: "a&b"}, {Scope: "a>b"}, {Scope: "\u2028\u2029"}, {Scope: "äöü\u2603😀\\\"\x7f"},
		{Scope: "x", Details: []json.RawMessage{json.RawMessage(`{"type":"</script>"}`), json.RawMessage(`{"type":"\u003c"}`)}},
	} {
		want, err := json.Marshal(a)
		require.NoError(t, err)
		var w canon.Writer
		w.Open("")
		w.Text("scope", a.Scope)
		w.OptionalRaws("authorization_details", a.Details)
		w.Close()
		got, err := forHTML(w.Bytes())
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	var w canon.Writer
	w.Text("", "\xff")
	_, err := forHTML(w.Bytes())
	require.Error(t, err)
}

// A value without an escape is what the general decoder makes of it.
func TestUnescaped(t *testing.T) {
	for text, want := range map[string]string{"": "", "abc-._~": "abc-._~", "a+b": "a b", "a%20b": "a b", "%C3%A4": "ä", "ä": "ä"} {
		got, err := unescaped(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"%", "a%2", "%zz"} {
		_, err := unescaped(text)
		require.Error(t, err, text)
	}
}
