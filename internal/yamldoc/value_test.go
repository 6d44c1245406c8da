package yamldoc

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var some = Limits{Bytes: 1 << 16, Depth: 40, Nodes: 1000}

func value(t *testing.T, text string) Value {
	t.Helper()
	n, bad := Parse([]byte(text), some)
	require.Nil(t, bad, text)
	return Value{Node: n}
}

// TestReaderReads holds for every kind of value that the right one is read and the others are refused.
func TestReaderReads(t *testing.T) {
	read := map[string]func(*Reader, Value) any{
		"text":     func(r *Reader, v Value) any { return r.Text(v) },
		"name":     func(r *Reader, v Value) any { return r.Name(v) },
		"names":    func(r *Reader, v Value) any { return r.Names(v, 2) },
		"choice":   func(r *Reader, v Value) any { return r.Choice(v, "a", "b") },
		"duration": func(r *Reader, v Value) any { return r.Duration(v, false) },
		"orNone":   func(r *Reader, v Value) any { return r.Duration(v, true) },
		"instant":  func(r *Reader, v Value) any { return r.Instant(v) },
		"int":      func(r *Reader, v Value) any { return r.Int(v, 9) },
		"bool":     func(r *Reader, v Value) any { return r.Bool(v) },
		"json":     func(r *Reader, v Value) any { return string(r.JSON(v, 40)) },
	}
	for _, c := range []struct {
		kind, text string
		want       any
	}{
		{"text", "a b", "a b"}, {"name", "a", "a"}, {"names", "a", []string{"a"}}, {"names", "[a, b]", []string{"a", "b"}},
		{"names", "[]", []string{}}, {"choice", "b", "b"}, {"duration", "90s", 90 * time.Second}, {"orNone", "0", time.Duration(0)},
		{"orNone", "0s", time.Duration(0)}, {"orNone", "5m", 5 * time.Minute}, {"int", "9", 9}, {"int", "0", 0}, {"bool", "true", true},
		{"instant", "2026-03-02T13:00:00+01:00", time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)},
		{"instant", `"2026-03-02T12:00:00Z"`, time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)},
		{"json", "{b: [1, 2.5], a: {c: null, d: true}}", `{"a":{"c":null,"d":true},"b":[1,2.5]}`}, {"json", `"1"`, `"1"`},
		{"json", "2026-03-02", `"2026-03-02"`}, {"json", `"a\nb"`, `"a\u000ab"`}, {"json", "[[], {}, '']", `[[],{},""]`},
	} {
		r := &Reader{}
		require.Equal(t, c.want, read[c.kind](r, value(t, c.text)), c.text)
		require.Nil(t, r.Bad, c.text)
	}
	for _, c := range []struct{ kind, text, want string }{
		{"text", "''", "must be a string"}, {"text", "1", "must be a string"}, {"text", "[a]", "must be a string"}, {"text", "null", "must be a string"},
		{"name", `"a\u0007"`, "control character"}, {"names", "[a, b, c]", "more than 2 entries"}, {"names", "[a, a]", "stands twice"},
		{"names", "{a: b}", "must be a string"}, {"choice", "c", "must be one of a, b"}, {"duration", "0s", "must be a duration"},
		{"duration", "5", "must be a duration"}, {"duration", "-1s", "must be a duration"}, {"orNone", "-1s", "must be a duration"},
		{"orNone", "''", "must be a duration"}, {"instant", "2026-03-02", "must be a time"}, {"instant", "0001-01-01T00:00:00Z", "must be a time"},
		{"int", "10", "between 0 and 9"}, {"int", "-1", "between 0 and 9"}, {"int", "0x1", "between"}, {"int", `"1"`, "between"},
		{"bool", "yes", "must be true or false"}, {"bool", "True", "must be true or false"}, {"bool", `"true"`, "must be true or false"},
		{"json", "0x10", "no number of JSON"}, {"json", "+1", "no number"}, {"json", "01", "no number"}, {"json", ".nan", "no number"},
		{"json", "1e999", "no number"}, {"json", "True", "is no JSON"}, {"json", "{a: " + `"\uFFFD"` + "}", "surrogate"},
		{"json", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "more than 40 bytes"},
	} {
		r := &Reader{}
		read[c.kind](r, value(t, c.text))
		require.NotNil(t, r.Bad, c.text)
		require.Contains(t, r.Bad.Message, c.want, c.text)
		require.Equal(t, 1, r.Bad.Line)
	}
}

func TestReaderKeepsTheFirstProblemAndItsPlace(t *testing.T) {
	r := &Reader{}
	var got []string
	found := r.Object(value(t, "a: 1\nb:\n- x\n- {c: 2}\nd: null\n"), Fields{
		"a": func(v Value) { got = append(got, v.Key) },
		"b": func(v Value) {
			r.List(v, 5, func(e Value) {
				got = append(got, e.Key)
				if e.Mapping() {
					r.Object(e, Fields{"c": func(v Value) { r.Fail(v, "is wrong") }})
				}
			})
		},
		"d": func(v Value) { got = append(got, v.Key) },
	}.Optional())
	require.Len(t, found, 3)
	require.True(t, found["d"].Null())
	require.Equal(t, []string{"a", "b[0]", "b[1]"}, got)
	require.Equal(t, &Problem{Line: 4, Key: "b[1].c", Message: "is wrong"}, r.Bad)
	r.Object(value(t, "e: 1"), Fields{})
	require.Equal(t, "is wrong", r.Bad.Message)

	r = &Reader{}
	r.Object(value(t, "a: {b: 1}"), Fields{"a": func(v Value) { r.Object(v, Fields{"c": nil, "d": nil}) }})
	require.Equal(t, &Problem{Line: 1, Key: "a.b", Message: "unknown key; known are c, d"}, r.Bad)
	r = &Reader{}
	r.Object(value(t, "[a]"), Fields{})
	require.Equal(t, "must be a mapping", r.Bad.Message)
}

func TestMerge(t *testing.T) {
	for _, c := range []struct{ base, over, want string }{
		{"{a: 1, b: 2}", "{b: 3, c: 4}", `{"a":1,"b":3,"c":4}`},
		{"{a: {b: 1, c: 2}}", "{a: {c: {d: 3}}}", `{"a":{"b":1,"c":{"d":3}}}`},
		{"{a: [1, 2]}", "{a: [3]}", `{"a":[3]}`},
		{"{a: {b: 1}}", "{a: null}", `{"a":null}`},
		{"{a: 1}", "{a: {b: 1}}", `{"a":{"b":1}}`},
		{"{a: 1}", "{}", `{"a":1}`},
	} {
		base, over := value(t, c.base), value(t, c.over)
		r := &Reader{}
		require.Equal(t, c.want, string(r.JSON(Merge(base, over), 1000)))
		require.Equal(t, r.JSON(value(t, c.base), 1000), r.JSON(base, 1000), "what is merged is left as it was")
	}
	v := value(t, "{a: 1}")
	require.Equal(t, v, Merge(v, Value{}))
	require.Equal(t, v, Merge(Value{}, v))
	require.Nil(t, Merge(Value{}, Value{}).Node)
}
