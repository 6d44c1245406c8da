package lineage

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestIDTextForm(t *testing.T) {
	id := IDOf([]byte("an envelope"))
	s := id.String()
	require.Len(t, s, 43)
	require.Equal(t, base64.RawURLEncoding.EncodeToString(id[:]), s)
	back, err := ParseID(s)
	require.NoError(t, err)
	require.Equal(t, id, back)

	raw, err := json.Marshal(map[string]ID{"id": id, "none": {}})
	require.NoError(t, err)
	require.JSONEq(t, `{"id":"`+s+`","none":""}`, string(raw))
	var read map[string]ID
	require.NoError(t, json.Unmarshal(raw, &read))
	require.Equal(t, map[string]ID{"id": id, "none": {}}, read)
}

func TestZeroIDNamesNothing(t *testing.T) {
	require.True(t, ID{}.IsZero())
	require.Empty(t, ID{}.String())
	require.False(t, IDOf(nil).IsZero())
	_, err := ParseID("")
	require.ErrorIs(t, err, errID, "a caller that forgot the id is told")
	_, err = ParseID(strings.Repeat("A", 43))
	require.ErrorIs(t, err, errID, "the zero id has no second spelling")
	id := IDOf(nil)
	require.NoError(t, id.UnmarshalText(nil))
	require.True(t, id.IsZero())
}

func TestIDHasOneSpelling(t *testing.T) {
	id := ID{31: 0x10, 0: 0xfb, 1: 0xff} // "-_8AAA…AAE": both letters that differ between the alphabets, zero low bits
	s := id.String()
	last := s[len(s)-1:]
	ends0 := ID{0: 1}.String() // its last byte is zero, so that its text without the last letter decodes to the rest of it
	for name, bad := range map[string]string{
		"padding":               s + "=",
		"standard alphabet":     strings.NewReplacer("-", "+", "_", "/").Replace(s),
		"a stray low bit":       strings.TrimSuffix(s, last) + string(rune(last[0]+1)),
		"short":                 s[1:],
		"long":                  s + "A",
		"white space":           " " + s[1:],
		"a line break":          s + "\n",
		"a line break inside":   s[:20] + "\n" + s[20:],
		"a line break for A":    ends0[:42] + "\n",
		"two line breaks for A": ends0[:41] + "\r\n",
		"hex":                   strings.Repeat("0f", 32),
		"not ASCII":             "é" + s[2:],
	} {
		got, err := ParseID(bad)
		require.ErrorIs(t, err, errID, name)
		require.True(t, got.IsZero(), name)
	}
	for _, good := range []string{s, ends0} {
		got, err := ParseID(good)
		require.NoError(t, err)
		require.Equal(t, good, got.String())
	}
}

func TestUnmarshalTextLeavesTheIDOnError(t *testing.T) {
	id := IDOf(nil)
	require.Error(t, id.UnmarshalText([]byte("not an id")))
	require.Equal(t, IDOf(nil), id)
}

func FuzzParseID(f *testing.F) {
	f.Add("")
	f.Add(IDOf(nil).String())
	f.Add(ID{0: 1}.String()[:42] + "\n")
	f.Add(strings.Repeat("A", 43))
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseID(s); err == nil {
			require.Equal(t, s, id.String())
			require.False(t, id.IsZero())
		}
	})
}
