package canon

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var jsonForms = map[string]string{
	`{}`:            `{}`,
	`[]`:            `[]`,
	` null `:        `null`,
	`true`:          `true`,
	"\t[1 , 2]\n":   `[1,2]`,
	`{"b":1,"a":2}`: `{"a":2,"b":1}`,
	`{"b":{"d":1,"c":2},"a":[{"y":1,"x":2}]}`: `{"a":[{"x":2,"y":1}],"b":{"c":2,"d":1}}`,
	`{"":0,"A":1,"a":2,"B":3}`:                `{"":0,"A":1,"B":3,"a":2}`,
	`"\u0041\/\u00e9"`:                        `"A/é"`,
	`"\n\u001f\""`:                            `"\u000a\u001f\""`,
	`"\\\b\f\t\r"`:                            `"\\\u0008\u000c\u0009\u000d"`,
	`"\ud83e\udd16"`:                          `"🤖"`,
	`"<&>\u2028\u007f"`:                       "\"<&>\\u2028\x7f\"",
	`[1.0,1,-0,1E5,1e+5]`:                     `[1.0,1,-0,1E5,1e+5]`,
	`9007199254740993`:                        `9007199254740993`,
	`1.7976931348623157e308`:                  `1.7976931348623157e308`,
	`1e-999`:                                  `1e-999`,
	"1" + strings.Repeat("0", 308):            "1" + strings.Repeat("0", 308),
}

var jsonRefused = map[string][]string{
	"duplicate member": {
		`{"a":1,"a":1}`, `{"a":1,"b":2,"a":3}`, `{"a":1,"\u0061":2}`, `{"x":{"a":1,"a":2}}`, `[[{"a":1,"a":2}]]`,
		`{"a":{},"a":{}}`, `{"":1,"":2}`,
	},
	"unpaired surrogate": {
		`"\ud800"`, `"\udc00"`, `"a\ud83e"`, `"\udd16\ud83e"`, `{"\ud800":1}`, `[{"a":"\udfff"}]`, `"\ufffd"`, "\"\ufffd\"",
	},
	"number too large": {`1e999`, `-1E309`, `{"a":[4e471111]}`, `1e+00000309`, "1" + strings.Repeat("0", 309)},
	"not UTF-8":        {"\"\xff\"", "\"\xed\xa0\x80\"", "\"\xc0\xaf\"", "\xef\xbb"},
	"syntax": {
		``, ` `, `{`, `}`, `[1,]`, `{"a":1,}`, `{"a"}`, `{a:1}`, `'a'`, `01`, `+1`, `.5`, `1.`, `NaN`, `Infinity`, `nul`, `tru`,
		`"a`, `"\x"`, `"\u12"`, "\"\n\"", "\"\x00\"", "\ufeff{}", `/**/1`, `{"a":1 "b":2}`, `[1 2]`,
		`{}{}`, `1 2`, `{} x`, `[]]`, `null,`, `"a""b"`, "1\x00", // trailing data
	},
}

func TestJSONHasOneForm(t *testing.T) {
	for in, want := range jsonForms {
		got, err := JSON([]byte(in))
		require.NoError(t, err, in)
		require.Equal(t, want, string(got))
		again, err := JSON(got)
		require.NoError(t, err)
		require.Equal(t, want, string(again), "a canonical form is its own canonical form")
	}
}

func TestJSONRefuses(t *testing.T) {
	for reason, list := range jsonRefused {
		for _, in := range list {
			got, err := JSON([]byte(in))
			require.ErrorIs(t, err, errJSON, "%q", in)
			require.ErrorContains(t, err, reason, "%q", in)
			require.Nil(t, got)
		}
	}
}

func TestJSONNestingIsBounded(t *testing.T) {
	nest := func(open, inner, shut string, n int) []byte {
		return []byte(strings.Repeat(open, n) + inner + strings.Repeat(shut, n))
	}
	for _, form := range [][3]string{{"[", "", "]"}, {"[", "1", "]"}, {`{"a":`, "1", "}"}, {`[{"a":`, "1", "}]"}} {
		levels := strings.Count(form[0], "[") + strings.Count(form[0], "{")
		_, err := JSON(nest(form[0], form[1], form[2], MaxNesting/levels))
		require.NoError(t, err, form)
		_, err = JSON(nest(form[0], form[1], form[2], MaxNesting/levels+1))
		require.ErrorContains(t, err, "nested too deeply", form)
	}
	_, err := JSON(nest("[", "", "]", 100_000))
	require.ErrorIs(t, err, errJSON)
}

func TestObject(t *testing.T) {
	got, err := Object([]byte(` {"b": [1, {"d":0, "c":1.0}], "B":null, "\u0061":"\u0041"}`))
	require.NoError(t, err)
	require.Equal(t, Members{
		{"B", json.RawMessage(`null`)}, {"a", json.RawMessage(`"A"`)}, {"b", json.RawMessage(`[1,{"c":1.0,"d":0}]`)},
	}, got)
	require.Equal(t, `"A"`, string(got.Get("a")))
	require.Nil(t, got.Get("A"))
	got, err = Object([]byte(`{}`))
	require.NoError(t, err)
	require.NotNil(t, got)
	for in, why := range map[string]string{
		``: "syntax", `[]`: "not a JSON object", `null`: "not a JSON object", `"a"`: "not a JSON object", `1`: "not a JSON object",
		`{}{}`: "syntax", `{"canary":1,"canary":2}`: "duplicate", `{"a":[{"b":1,"b":2}]}`: "duplicate", "{\"a\":\"\xff\"}": "UTF-8",
		`{"a":"\ud800"}`: "surrogate",
	} {
		got, err := Object([]byte(in))
		require.ErrorContains(t, err, why, in)
		require.NotContains(t, err.Error(), "canary")
		require.Nil(t, got)
	}
}

func TestAppendString(t *testing.T) {
	got, err := AppendString([]byte("x"), "a\"b\x01")
	require.NoError(t, err)
	require.Equal(t, `x"a\"b\u0001"`, string(got))
	_, err = AppendString(nil, "\xff")
	require.ErrorIs(t, err, errJSON, "a decoder would put a replacement character there")
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{`"a"`: "a", `""`: "", `"\u0061\n\ud83e\udd16"`: "a\n\U0001F916", "\"\u2028\"": "\u2028"} {
		got, ok := Text([]byte(in))
		require.True(t, ok, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{``, `"`, `a`, `1`, `null`, `["a"]`, `"a" `, ` "a"`, `"a"b`, "\"\xff\"", "\"\n\"", `"\x"`, `"\ud83`} {
		_, ok := Text([]byte(in))
		require.False(t, ok, in)
	}
}

// TestReader reads what is known to the last byte, and holds that a reader that has failed reads nothing more.
func TestReader(t *testing.T) {
	r := NewReader(`{"a":-1.5e+3,"b":"\u0061", {"d":1,"c":[ ]}}`)
	r.Want(`{"a":`)
	require.Equal(t, "-1.5e+3", r.Number())
	r.Want(`,"b":`)
	at := r.Offset()
	s, isPlain := r.Text()
	require.Equal(t, "a", s)
	require.False(t, isPlain)
	require.Equal(t, `"\u0061"`, r.From(at))
	require.False(t, r.Take(`,"c":`))
	r.Want(",")
	require.Equal(t, `{"c":[],"d":1}`, string(r.Value()))
	require.False(t, r.Done())
	r.Want("}")
	require.True(t, r.Done())
	require.NoError(t, r.Err())

	r.Want("}")
	r.Fail(errUTF8)
	require.Equal(t, errSyntax, r.Err(), "the first is kept")
	require.False(t, r.Done())
	require.False(t, r.Take("}"))
	require.Empty(t, r.Number())
	require.Nil(t, r.Value())

	r = NewReader("\"\xff\"")
	s, _ = r.Text()
	require.Empty(t, s)
	require.Equal(t, errUTF8, r.Err())
}

func addJSON(f *testing.F) {
	for in := range jsonForms {
		f.Add([]byte(in))
	}
	for _, list := range jsonRefused {
		for _, in := range list {
			f.Add([]byte(in))
		}
	}
}

// FuzzJSON compares the reader with the standard library's decoder.
func FuzzJSON(f *testing.F) {
	addJSON(f)
	f.Fuzz(agree)
}

// agree holds JSON, Object and Text to what byDecoder says of the same bytes.
func agree(t *testing.T, in []byte) {
	want, refused := byDecoder(in)
	got, err := JSON(in)
	require.Equal(t, refused == nil, err == nil, "%q: %v, %v", in, refused, err)
	members, noObject := Object(in)
	if err != nil {
		require.Nil(t, got)
		require.Nil(t, members)
		require.ErrorIs(t, err, errJSON)
		require.Equal(t, err, noObject)
		return
	}
	require.Equal(t, string(want), string(got), "%q", in)
	require.LessOrEqual(t, len(got), 3*len(in), "escapes of one character are at most three times as long")
	again, err := JSON(got)
	require.NoError(t, err)
	require.Equal(t, string(got), string(again), "a canonical form is its own canonical form")
	require.Equal(t, got[0] == '{', noObject == nil)
	var byName map[string]json.RawMessage
	if noObject == nil {
		require.NoError(t, json.Unmarshal(want, &byName))
	}
	require.Len(t, members, len(byName))
	for name, value := range byName {
		require.Equal(t, value, members.Get(name))
	}
	var said string
	_, isText := Text(got)
	require.Equal(t, got[0] == '"', isText)
	if isText {
		require.NoError(t, json.Unmarshal(got, &said))
		s, _ := Text(got)
		require.Equal(t, said, s)
	}
}
