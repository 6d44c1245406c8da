package canon

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every byte at every place of texts of every length near that of a word.
func TestSimple(t *testing.T) {
	plain := func(c byte) bool { return c >= ' ' && c < 0x80 && c != '"' && c != '\\' }
	for length := range 20 {
		whole := strings.Repeat("a", length)
		require.Equal(t, length, simple(whole), "positive control")
		for at := range length {
			for c := range 256 {
				text := whole[:at] + string([]byte{byte(c)}) + whole[at+1:]
				want := length
				if !plain(byte(c)) {
					want = at
				}
				if got := simple(text); got != want {
					t.Fatalf("%q: %d instead of %d", text, got, want)
				}
			}
		}
	}
}

// One that is not simple does not hide, nor invent, another.
func TestSimpleNextToOthers(t *testing.T) {
	odd := []byte{0, 1, 0x1f, ' ', '!', '"', '#', '[', '\\', ']', '~', 0x7f, 0x80, 0xe2, 0xff}
	for _, a := range odd {
		for _, b := range odd {
			text := "abc" + string([]byte{a, b}) + "xyzabcdef"
			want := strings.IndexFunc(text, func(r rune) bool { return r < ' ' || r > 0x7f || r == '"' || r == '\\' })
			if want < 0 {
				want = len(text)
			}
			require.Equal(t, want, simple(text), "%q", text)
		}
	}
}
