package endpoint_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/endpoint"
)

func TestAnswersShowWhatIsThere(t *testing.T) {
	for text, want := range map[string]string{
		"plain ~ text":           `"plain ~ text"`,
		"pay \u202egnp.exe":      `"pay \u202egnp.exe"`,
		"a\u2066b\u2069\u200f":   `"a\u2066b\u2069\u200f"`,
		"zero\u200bwidth\ufeff":  `"zero\u200bwidth\ufeff"`,
		"\x1b[2Jgone":            `"\u001b[2Jgone"`,
		"c1 \u009b31m and \x7f":  `"c1 \u009b31m and \u007f"`,
		"line\nfeed\u2028\u0085": `"line\nfeed\u2028\u0085"`,
		"cyrillic \u0430":        `"cyrillic \u0430"`,
		"\U0001f600\U000e0041":   `"\ud83d\ude00\udb40\udc41"`,
		"not \xff UTF-8":         `"not \ufffd UTF-8"`,
		`quote " and \`:          `"quote \" and \\"`,
	} {
		raw, err := endpoint.Marshal(text)
		require.NoError(t, err)
		require.Equal(t, want, string(raw))
		raw, err = endpoint.Marshal(map[string]any{"raw": json.RawMessage(`{"context": "` + "\u202e" + `"}`), text: text})
		require.NoError(t, err)
		requireASCII(t, string(raw))
		require.Contains(t, string(raw), `{"context":"\u202e"}`, "also in JSON that somebody else wrote")
	}
}

// requireASCII requires that an answer has nothing that a terminal shows as something else.
func requireASCII(t *testing.T, raw string) {
	t.Helper()
	for i := range len(raw) {
		require.True(t, raw[i] >= 0x20 && raw[i] <= 0x7e, "byte %d is %#x", i, raw[i])
	}
}

// decode keeps numbers as they are written: not every one that is JSON fits a float64.
func decode(raw []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	return d.Decode(v)
}

// FuzzMarshal requires that an answer means the same as what encoding/json makes of it, and is printable.
func FuzzMarshal(f *testing.F) {
	f.Add("a\u202eb", []byte(`{"\u202e":"\ud83d\ude00"}`))
	f.Add("\x7f\x9b", []byte("[\"\u2028\U0001f600\xff\", 1.0]"))
	f.Add("a", []byte("1E03333333330333333"))
	f.Fuzz(func(t *testing.T, text string, raw []byte) {
		v := map[string]any{"text": text}
		if json.Valid(raw) {
			v["raw"] = json.RawMessage(raw)
		}
		want, err := json.Marshal(v)
		require.NoError(t, err)
		got, err := endpoint.Marshal(v)
		require.NoError(t, err)
		requireASCII(t, string(got))
		var a, b any
		require.NoError(t, decode(want, &a))
		require.NoError(t, decode(got, &b))
		require.Equal(t, a, b)
	})
}
