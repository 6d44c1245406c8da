package canon

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzWriter holds that a Writer writes what the standard encoder writes, and that a text has no other spelling when it is
// read.
func FuzzWriter(f *testing.F) {
	for _, s := range []string{"", "a", `"\`, "\n\t\x00\x1f", "<&>", "\u2028\u2029", "\ufffd", "\xff", "日本\U0001F916\x7f"} {
		f.Add(s, `"`+s+`"`, []byte(s), int64(-1), uint64(1<<63))
	}
	for _, token := range []string{`"\u0061"`, `"\/"`, `"\ud83e\udd16"`, `"\ud800"`, `"\u000a"`, `"\n"`, `"\u003c"`, `"\u2028"`, `"\u007f"`, `"a"b`} {
		f.Add(token, token, []byte{}, int64(0), uint64(0))
	}
	f.Fuzz(func(t *testing.T, s, token string, binary []byte, n int64, m uint64) {
		r := NewReader(token)
		if said := r.Written(); r.Done() {
			require.Equal(t, token, string(encoded(t, said)), "one spelling")
		}

		at := time.Unix(n%(1<<37), n%1e9).UTC()
		value := struct {
			Text   string         `json:"text"`
			Texts  []string       `json:"texts,omitempty"`
			Number int64          `json:"number,omitempty"`
			Count  uint64         `json:"count"`
			True   bool           `json:"true,omitempty"`
			Time   time.Time      `json:"time"`
			Binary []byte         `json:"binary"`
			Table  map[string]any `json:"table"`
		}{s, []string{s, "x"}, n, m, n > 0, at, append([]byte{}, binary...), map[string]any{s: map[string]any{}}}
		w := NewWriter([]byte("before"))
		w.Open("")
		w.Text("text", value.Text)
		w.OptionalTexts("texts", value.Texts)
		w.OptionalInt("number", value.Number)
		w.Uint("count", value.Count)
		w.OptionalTrue("true", value.True)
		w.Time("time", value.Time)
		w.Binary("binary", value.Binary)
		w.Open("table")
		w.Key(s)
		w.Open("")
		w.Close()
		w.Close()
		w.Close()
		got, err := w.Bytes()
		if err != nil {
			require.True(t, !utf8.ValidString(s) || at.Year() < 0 || at.Year() > 9999)
			return
		}
		require.Equal(t, "before"+string(encoded(t, value)), string(got))
		back := NewReader(string(encoded(t, s)))
		require.Equal(t, s, back.Written())
		require.True(t, back.Done())
	})
}

// encoded is v as the standard library writes it, without the escapes for HTML.
func encoded(t *testing.T, v any) []byte {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n"))
}
