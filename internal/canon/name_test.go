package canon

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestNameAcceptsWhatNamesSomething(t *testing.T) {
	for _, ok := range []string{
		"a", "alice@example.com", "spiffe://acme.example/agents/bot", "José 7", "日本", "a:b", "\U0001F916",
		strings.Repeat("n", MaxName),
	} {
		require.NoError(t, Name(ok), ok)
	}
}

func TestNameRefuses(t *testing.T) {
	for reason, list := range map[string][]string{
		"empty name":                   {""},
		"name too long":                {strings.Repeat("n", MaxName+1)},
		"name is not UTF-8":            {"\xff", "a\xc0\xaf", "\xed\xa0\x80"},
		"name has a control character": {"\x00", "a\n", "a\tb", "\x1b[31m", "\x7f", "\u0085"},
	} {
		for _, s := range list {
			require.EqualError(t, Name(s), reason, "%q", s)
		}
	}
}

// readKey reads back the parts of a key; its success on every key is what makes Key injective.
func readKey(key string) (parts []string, ok bool) {
	for key != "" {
		length, rest, found := strings.Cut(key, ":")
		n, err := strconv.Atoi(length)
		if !found || err != nil || n < 0 || n > len(rest) || strconv.Itoa(n) != length {
			return nil, false
		}
		parts, key = append(parts, rest[:n]), rest[n:]
	}
	return parts, true
}

func TestKeyIsInjective(t *testing.T) {
	require.Empty(t, Key())
	require.Equal(t, "1:a2:bc", Key("a", "bc"))
	rng := rand.New(rand.NewPCG(1, 2))
	const alphabet = "0123:/ab\x00"
	seen := map[string][]string{}
	for range 20_000 {
		parts := make([]string, rng.IntN(4))
		for i := range parts {
			b := make([]byte, rng.IntN(4))
			for j := range b {
				b[j] = alphabet[rng.IntN(len(alphabet))]
			}
			parts[i] = string(b)
		}
		key := Key(parts...)
		if before, found := seen[key]; found {
			require.Equal(t, before, parts)
		}
		seen[key] = parts
		back, ok := readKey(key)
		require.True(t, ok, "%q", key)
		require.Len(t, back, len(parts))
		for i := range parts {
			require.Equal(t, parts[i], back[i])
		}
	}
}

func TestKeySeparatesWhatJoiningWouldNot(t *testing.T) {
	for _, pair := range [][2][]string{
		{{"a", "b"}, {"ab"}}, {{"a", ""}, {"a"}}, {{"", "a"}, {"a", ""}}, {{"1:a"}, {"a"}}, {{"a1:b"}, {"a", "b"}}, {{""}, {}},
	} {
		require.NotEqual(t, Key(pair[0]...), Key(pair[1]...), "%q", pair)
	}
}

func FuzzName(f *testing.F) {
	for _, s := range []string{"", "alice", "a\nb", "\xff", "é", "\u202e", strings.Repeat("x", MaxName+1)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		ok := s != "" && len(s) <= MaxName && utf8.ValidString(s)
		for _, r := range s {
			ok = ok && !unicode.IsControl(r)
		}
		require.Equal(t, ok, Name(s) == nil)
		back, read := readKey(Key(s, s))
		require.True(t, read)
		require.Equal(t, []string{s, s}, back)
	})
}
