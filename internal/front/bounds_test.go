package front_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/front"
)

// maxAllocated is how many bytes one check of a text may allocate, whatever the text.
const maxAllocated = 1 << 19

// room is how long a payload can be at most beside a short header and a signature.
const room = (canon.MaxToken - 160) * 3 / 4

// fill repeats s until a text of at most n bytes stands between before and after.
func fill(before, s, after string, n int) string {
	return before + strings.Repeat(s, (n-len(before)-len(after))/len(s)) + after
}

// members is an object of n bytes at most with as many members as it can have, and last as the last one.
func members(n int, last string) string {
	var b strings.Builder
	b.WriteByte('{')
	for i := 0; b.Len() < n-len(last)-20; i++ {
		fmt.Fprintf(&b, `"%x":0,`, i)
	}
	return b.String() + last + "}"
}

// deepest is an object that is nested as deeply as is allowed, with inner at the bottom.
func deepest(inner string) string {
	return strings.Repeat(`{"":`, canon.MaxNesting-1) + inner + strings.Repeat("}", canon.MaxNesting-1)
}

// hostile are payloads that are as long as they can be, each costly for a reader of JSON in its own way.
var hostile = map[string]string{
	"open arrays":         fill(`{"a":`, "[", "", room),
	"open objects":        fill("", `{"":`, "", room),
	"one level too many":  strings.Repeat(`{"":`, canon.MaxNesting+1) + fill("", " ", "", room-300) + "0" + strings.Repeat("}", canon.MaxNesting+1),
	"tiny members":        members(room, `"":0`),
	"duplicate at end":    members(room, `"0":0`),
	"numbers":             fill(`{"":[`, "0,", "0]}", room),
	"objects":             fill(`{"":[`, "{},", "0]}", room),
	"arrays":              fill(`{"":[`, "[],", "0]}", room),
	"empty strings":       fill(`{"":[`, `"",`, "0]}", room),
	"deep numbers":        deepest(fill("[", "0,", "0]", room-5*canon.MaxNesting)),
	"deep strings":        deepest(fill("[", `"",`, "0]", room-5*canon.MaxNesting)),
	"deep text":           deepest(fill(`"`, "a", `"`, room-5*canon.MaxNesting)),
	"deep members":        deepest(members(room-5*canon.MaxNesting, `"":0`)),
	"text":                fill(`{"":"`, "a", `"}`, room),
	"escapes":             fill(`{"":"`, `\u0001`, `"}`, room),
	"surrogates":          fill(`{"":"`, `\ud83d\ude00`, `"}`, room),
	"half surrogates":     fill(`{"":"`, `\ud83d`, `"}`, room),
	"line separators":     fill(`{"":"`, "\u2028", `"}`, room),
	"name of escapes":     fill(`{"`, `\u0001`, `":0}`, room),
	"one number":          fill(`{"":`, "9", "}", room),
	"exponent":            fill(`{"":1e`, "9", "}", room),
	"white space":         fill("{", " ", "}", room),
	"open string":         fill(`{"":"`, `\"`, "", room),
	"no JSON":             fill("", "{", "", room),
	"not UTF-8":           fill(`{"":"`, "\xff", `"}`, room),
	"not UTF-8 at end":    fill(`{"":"`, "a", "\xff\"}", room),
	"ordinary, many auds": fill(`{"aud":[`, `"https://crm.example.com/",`, `""]}`, room),
}

// allocated is how many bytes one call of f allocates, measured over several.
func allocated(f func()) uint64 {
	const calls = 8
	f()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / calls
}

func TestNoPayloadCostsMoreThanItsBound(t *testing.T) {
	for name, payload := range hostile {
		t.Run(name, func(t *testing.T) {
			raw := compact(`{"alg":"ES256"}`, payload)
			require.LessOrEqual(t, len(raw), canon.MaxToken)
			require.Greater(t, len(raw), canon.MaxToken*9/10, "as long as it can be")
			require.LessOrEqual(t, allocated(func() { _, _ = front.Parse(raw) }), uint64(maxAllocated))
		})
	}
}

// The same texts as headers are refused by their length; at the length that a header can have they cost less.
func TestNoHeaderCostsMoreThanItsBound(t *testing.T) {
	for name, header := range hostile {
		t.Run(name, func(t *testing.T) {
			_, err := front.Parse(compact(header, payload))
			require.ErrorContains(t, err, "header is too long")
			raw := compact(header[:2300], payload)
			_, err = front.Parse(raw)
			require.ErrorContains(t, err, "header")
			require.NotContains(t, err.Error(), "too long")
			require.LessOrEqual(t, allocated(func() { _, _ = front.Parse(raw) }), uint64(maxAllocated/8))
		})
	}
}

// What has not the form of a token costs nothing that grows with it.
func TestFormIsCheckedWithoutWork(t *testing.T) {
	for name, raw := range map[string]string{
		"longer than a token": strings.Repeat("A.", 10*canon.MaxToken),
		"dots":                strings.Repeat(".", canon.MaxToken),
		"no dots":             strings.Repeat("A", canon.MaxToken),
		"five segments":       strings.Repeat(strings.Repeat("A", 3000)+".", 4) + "A",
		"last byte":           strings.Repeat("A", canon.MaxToken-1) + "=",
		"JSON":                `{"payload":"` + strings.Repeat("A", canon.MaxToken-20) + `"}`,
		"long header":         strings.Repeat("A", 4000) + "." + strings.Repeat("A", 8000) + ".AAAA",
		"long signature":      "AAAA." + strings.Repeat("A", 8000) + "." + strings.Repeat("A", 1367),
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, allocated(func() { _, _ = front.Parse(raw) }), uint64(512))
			require.LessOrEqual(t, testing.AllocsPerRun(10, func() { _, _ = front.Parse(raw) }), 5.0)
		})
	}
}
