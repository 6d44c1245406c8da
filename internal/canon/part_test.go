package canon

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPartsAreWhatTheStandardDecoderFinds(t *testing.T) {
	arrays, objects := 0, 0
	for _, text := range []string{
		`[]`, `[1]`, `[[],{}]`, `["]",",\"",{"a":[1,{"b":"}"}]},null]`, `{}`, `{"a":1}`, `{"a":{"type":"no"},"b":"\",\"type\":1","type":["x",{}]}`,
		`{"type":"x"}`, `{"typ":1,"type\u0000":2}`, `"a,b"`, `1`, `null`, `{"":0}`,
	} {
		raw, err := JSON([]byte(text))
		require.NoError(t, err, text)
		var list []json.RawMessage
		got, isArray := Elements(raw)
		require.Equal(t, raw[0] == '[' && json.Unmarshal(raw, &list) == nil, isArray, text)
		if isArray {
			arrays++
			require.ElementsMatch(t, list, got, text)
		}
		var members map[string]json.RawMessage
		if raw[0] == '{' {
			objects++
			require.NoError(t, json.Unmarshal(raw, &members))
		}
		for _, name := range []string{"type", "a", "b", "", "typ"} {
			want, there := members[name]
			value := Field(raw, name)
			require.Equal(t, there, value != nil, "%s %q", text, name)
			require.Equal(t, string(want), string(value), "%s %q", text, name)
		}
	}
	require.Positive(t, min(arrays, objects))
}
