package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// noValue stands for what a request does not have.
const noValue = "absent"

// jsonText returns a value as JSON, for people: in one line, and short.
func jsonText(v ref.Val) string {
	if types.IsUnknownOrError(v) {
		return noValue
	}
	return dataText(native(v))
}

func dataText(v any) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return noValue
	}
	return bounded(b.String())
}

// native returns the plain data that a value was made from; times and durations as conditions write them.
func native(v ref.Val) any {
	switch v := v.(type) {
	case types.Null:
		return nil
	case types.Timestamp:
		return v.UTC().Format(time.RFC3339Nano)
	case types.Duration:
		return v.Duration.String()
	case types.Double:
		return number(float64(v))
	case party:
		return v.Party
	case traits.Mapper:
		out := map[string]any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			key := it.Next()
			out[fmt.Sprint(key.Value())] = native(v.Get(key))
		}
		return out
	case traits.Lister:
		out := []any{}
		for it := v.Iterator(); it.HasNext() == types.True; {
			out = append(out, native(it.Next()))
		}
		return out
	}
	return v.Value()
}

// number returns what JSON can say of a number.
func number(f float64) any {
	if _, err := json.Marshal(f); err != nil {
		return fmt.Sprint(f)
	}
	return f
}
