package canon

import (
	"bytes"
	"encoding/json"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// standard is what the standard encoder writes, without the escapes for HTML.
func standard(t *testing.T, v any) string {
	t.Helper()
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(v))
	return string(bytes.TrimSuffix(buf.Bytes(), []byte("\n")))
}

func written(t *testing.T, f func(*Writer)) string {
	t.Helper()
	w := NewWriter([]byte("before "))
	f(&w)
	out, err := w.Bytes()
	require.NoError(t, err)
	require.Equal(t, "before ", string(out[:7]), "it appends")
	return string(out[7:])
}

// odd are texts of which every character may need an escape, or look as if it did.
var odd = []string{
	"", "plain", "a\"b\\c/d", "<&>", "tab\tline\nnul\x00", "\x7f", "é日\U0001F916", "\u0080\u2028\u2029\ufeff\ufffd", "~}", "{[:,",
}

func TestWriterSpellsTextsAsTheStandardEncoder(t *testing.T) {
	for _, s := range odd {
		require.Equal(t, standard(t, s), written(t, func(w *Writer) { w.Text("", s) }), "%q", s)
		require.Equal(t, standard(t, s+":"+s), written(t, func(w *Writer) { w.Joined("", s, ":", s) }), "%q", s)
		require.Equal(t, standard(t, map[string]int{s: 1}), written(t, func(w *Writer) {
			w.Open("")
			w.Key(s)
			w.Int("", 1)
			w.Close()
		}), "%q", s)
	}
}

func TestWriterWritesWhatTheStandardEncoderWrites(t *testing.T) {
	type inner struct {
		B []byte            `json:"b"`
		T time.Time         `json:"t"`
		Z time.Time         `json:"z,omitzero"`
		M map[string]string `json:"m,omitempty"`
	}
	type outer struct {
		S  string            `json:"s"`
		O  string            `json:"o,omitempty"`
		L  []string          `json:"l"`
		OL []string          `json:"ol,omitempty"`
		I  int64             `json:"i"`
		OI int64             `json:"oi,omitempty"`
		U  uint64            `json:"u"`
		F  bool              `json:"f,omitempty"`
		R  json.RawMessage   `json:"r,omitempty"`
		RL []json.RawMessage `json:"rl,omitempty"`
		In []inner           `json:"in"`
	}
	write := func(w *Writer, v outer) {
		w.Open("")
		w.Text("s", v.S)
		w.OptionalText("o", v.O)
		w.Texts("l", v.L)
		w.OptionalTexts("ol", v.OL)
		w.Int("i", v.I)
		w.OptionalInt("oi", v.OI)
		w.Uint("u", v.U)
		w.OptionalTrue("f", v.F)
		w.OptionalRaw("r", v.R)
		w.OptionalRaws("rl", v.RL)
		w.OpenList("in")
		for _, in := range v.In {
			w.Open("")
			w.Binary("b", in.B)
			w.Time("t", in.T)
			w.OptionalTime("z", in.Z)
			w.Close()
		}
		w.CloseList()
		w.Close()
	}
	at := time.Date(2026, 3, 1, 12, 0, 0, 120_000_000, time.UTC)
	for _, v := range []outer{
		{L: []string{}, In: []inner{}},
		{L: []string{""}, In: []inner{{B: []byte{}}}},
		{S: "a", O: "b", L: odd, OL: odd, I: math.MinInt64, OI: -1, U: math.MaxUint64, F: true, R: json.RawMessage(`{"a":[]}`),
			RL: []json.RawMessage{json.RawMessage(`1`), json.RawMessage(`[]`)}, In: []inner{{B: []byte{0, 255}, T: at, Z: at}, {B: []byte("x"), T: at}}},
	} {
		require.Equal(t, standard(t, v), written(t, func(w *Writer) { write(w, v) }))
	}
}

func TestWriterRefusesWhatWouldComeBackOtherwise(t *testing.T) {
	for name, c := range map[string]struct {
		write func(*Writer)
		why   string
	}{
		"invalid UTF-8":         {func(w *Writer) { w.Text("", "a\xff") }, "not UTF-8"},
		"half a surrogate pair": {func(w *Writer) { w.Text("", "\xed\xa0\x80") }, "not UTF-8"},
		"an invalid name":       {func(w *Writer) { w.Key("\xc3") }, "not UTF-8"},
		"a part":                {func(w *Writer) { w.Joined("", "a", "\xc3", "\xa9") }, "not UTF-8"},
		"a year of five digits": {func(w *Writer) { w.Time("", time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)) }, "year"},
	} {
		w := NewWriter(nil)
		c.write(&w)
		_, err := w.Bytes()
		require.ErrorContains(t, err, c.why, name)
	}
}

// TestWrittenReadsOneSpelling: of every text, what a Writer writes is read, and no other spelling of it.
func TestWrittenReadsOneSpelling(t *testing.T) {
	for _, s := range odd {
		r := NewReader(standard(t, s))
		require.Equal(t, s, r.Written())
		require.True(t, r.Done(), "%q", s)
	}
	for _, other := range []string{`"\u0061"`, `"\/"`, `"\u003c"`, `"\u000a"`, `"\u000A"`, "\"\u2028\"", `"\u00e9"`, `"\ud800"`, `"a`, `a`, `"\x"`} {
		r := NewReader(other)
		r.Written()
		require.False(t, r.Done(), other)
	}
}

func TestNameReadsOnlyTheMemberThatComesNext(t *testing.T) {
	const written = `{"a":{"a":1},"aa":[]}`
	r := NewReader(written)
	require.False(t, r.Name("a"), "an object begins first")
	r.Want("{")
	for _, other := range []string{"", "aa", "b", "A"} {
		require.False(t, r.Name(other), other)
	}
	require.True(t, r.Name("a"))
	r.Want("{")
	require.True(t, r.Name("a"))
	require.Equal(t, "1", r.Number())
	r.Want("}")
	require.False(t, r.Name("a"))
	require.True(t, r.Name("aa"))
	r.Want("[]}")
	require.False(t, r.Name("aa"))
	require.True(t, r.Done())
	for _, spelt := range []string{`{ "a":1}`, `{"a" :1}`, `{,"a":1}`, `{a:1}`, `{"a"`, `{"a"}`, `{"`, `{`} {
		r := NewReader(spelt)
		r.Want("{")
		require.False(t, r.Name("a"), spelt)
	}
	r = NewReader(`{"b":1"a":2}`)
	r.Want(`{"b":1`)
	require.False(t, r.Name("a"), "without a comma")
}

func TestElements(t *testing.T) {
	for list, n := range map[string]int{
		`["a"]`: 1, `["a","b","c"]`: 3, `["a,","b\",\"c"]`: 2, `[{"a":["b","c"]},{"d":1}]`: 1, `[{"a":1},{"b":2}]`: 2,
	} {
		r := NewReader(list)
		r.Want("[")
		require.Equal(t, n, r.Elements(), list)
	}
}
