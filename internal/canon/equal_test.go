package canon

import (
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// jsonSource writes random JSON, most of it well formed.
type jsonSource struct{ *rand.Rand }

func (g jsonSource) pick(list ...string) string { return list[g.IntN(len(list))] }

func (g jsonSource) space() string { return g.pick("", "", "", " ", "\n\t", "\r") }

func (g jsonSource) text() string {
	var b strings.Builder
	for range g.IntN(4) {
		b.WriteString(g.pick("a", "b", "A", "é", "\u2028", "\u2030", "日", "\U0001F916", `\"`, `\\`, `\/`, `\n`, `\b`, `\u0061`, `\u00e9`,
			`\u001F`, `\ud83e\udd16`, `\uD83E`, `\udd16`, "\ufffd", `\ufffd`, "\x01", `\x`, "\xff", "\xe2\x80", "\x7f", ",", "}", "]", ":", "{"))
	}
	return `"` + b.String() + `"`
}

func (g jsonSource) value(depth int) string {
	kind := g.IntN(9)
	if depth > 4 {
		kind %= 6
	}
	switch kind {
	case 0:
		return g.pick("true", "false", "null", "nul", "True")
	case 1, 2:
		return g.pick("0", "-0", "1", "-1.50", "1e5", "1E+5", "2e-07", "9007199254740993", "01", "1.", ".5", "-", "1e", "+1", "0x1")
	case 3, 4, 5:
		return g.text()
	case 6:
		return "[" + g.list(depth, func() string { return "" }) + "]"
	default:
		return "{" + g.list(depth, func() string { return g.text() + g.space() + ":" + g.space() }) + "}"
	}
}

func (g jsonSource) list(depth int, before func() string) string {
	var b strings.Builder
	b.WriteString(g.space())
	for i := range g.IntN(5) {
		if i > 0 {
			b.WriteString(g.pick(",", ",", ",", " , ", ",\n", ",,", ""))
		}
		b.WriteString(before() + g.value(depth+1) + g.space())
	}
	return b.String()
}

// mutate changes a few bytes.
func (g jsonSource) mutate(s string) string {
	b := []byte(s)
	for range g.IntN(3) {
		if len(b) == 0 {
			break
		}
		i := g.IntN(len(b))
		switch g.IntN(3) {
		case 0:
			b[i] ^= 1 << g.IntN(8)
		case 1:
			b = append(b[:i], b[i+1:]...)
		default:
			b = append(b[:i+1], b[i:]...)
		}
	}
	return string(b)
}

func TestJSONIsWhatTheDecoderSays(t *testing.T) {
	g := jsonSource{rand.New(rand.NewPCG(4, 7))}
	accepted, refused := 0, 0
	for range 30_000 {
		raw := []byte(g.mutate(g.space() + g.value(0) + g.space()))
		if agree(t, raw); t.Failed() {
			return
		}
		if _, err := JSON(raw); err == nil {
			accepted++
		} else {
			refused++
		}
	}
	require.Greater(t, accepted, 3_000)
	require.Greater(t, refused, 3_000)
}

// TestJSONOfManyMembers holds that neither the order of members nor their number makes more work than sorting them.
func TestJSONOfManyMembers(t *testing.T) {
	for _, letter := range []string{"a", `\u0061`} {
		var b strings.Builder
		b.WriteString(`{"x":0`)
		for i := range 10_000 {
			b.WriteString(`,"` + letter + strconv.Itoa(i*7_919%10_000) + `":{"b":1,"a":[]}`)
		}
		raw, repeated := []byte(b.String()+"}"), []byte(b.String()+`,"x":1}`)
		agree(t, raw)
		_, err := JSON(raw)
		require.NoError(t, err)
		_, err = JSON(repeated)
		require.ErrorContains(t, err, "duplicate member")
		if letter == "a" {
			require.Less(t, testing.AllocsPerRun(3, func() { JSON(raw) }), 60.0)
		}
	}
}
