package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

var errJSON = errors.New("not acceptable JSON")

// JSON returns the canonical bytes of one JSON value: members sorted by name, no white space, strings with the
// fewest escapes, numbers as they were written. Duplicate members, invalid or unpaired UTF-8, trailing data and more
// than MaxNesting levels of objects and arrays are refused.
//
// Two values with equal canonical bytes are equal. The reverse does not hold for numbers (1.0 and 1 differ), which
// errs on the side of refusal wherever canonical bytes are compared.
func JSON(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: not UTF-8", errJSON)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return appendValue(make([]byte, 0, len(raw)), dec, 0)
}

// Object reads one JSON object and returns its members in the form of JSON, under their exact names; a decoder into a
// struct would match names in any case and take the last of several. It refuses what JSON refuses.
func Object(raw []byte) (map[string]json.RawMessage, error) {
	canonical, err := JSON(raw)
	if err != nil {
		return nil, err
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(canonical, &members); err != nil || members == nil {
		return nil, errors.New("not a JSON object")
	}
	return members, nil
}

func appendValue(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	tok, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	switch v := tok.(type) {
	case json.Delim:
		if depth == MaxNesting {
			return nil, fmt.Errorf("%w: nested too deeply", errJSON)
		}
		if v == '{' {
			return appendObject(out, dec, depth)
		}
		return appendArray(out, dec, depth)
	case string:
		return AppendString(out, v)
	case json.Number:
		return append(out, v.String()...), nil
	case bool:
		return fmt.Appendf(out, "%t", v), nil
	default:
		return append(out, "null"...), nil
	}
}

func appendArray(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	out = append(out, '[')
	for n := 0; dec.More(); n++ {
		if n > 0 {
			out = append(out, ',')
		}
		var err error
		if out, err = appendValue(out, dec, depth+1); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	return append(out, ']'), nil
}

func appendObject(out []byte, dec *json.Decoder, depth int) ([]byte, error) {
	type member struct {
		name  string
		value []byte
	}
	var members []member
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: syntax", errJSON)
		}
		name, _ := tok.(string)
		value, err := appendValue(nil, dec, depth+1)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	slices.SortFunc(members, func(a, b member) int { return strings.Compare(a.name, b.name) })
	out = append(out, '{')
	for i, m := range members {
		if i > 0 {
			if m.name == members[i-1].name {
				return nil, fmt.Errorf("%w: duplicate member", errJSON)
			}
			out = append(out, ',')
		}
		var err error
		if out, err = AppendString(out, m.name); err != nil {
			return nil, err
		}
		out = append(append(out, ':'), m.value...)
	}
	return append(out, '}'), nil
}

// AppendString appends s as a canonical JSON string. A replacement character is refused: a decoder puts it where the
// input had half a surrogate pair, so two inputs would share one form. U+2028 and U+2029 are escaped, because some
// encoders rewrite them inside JSON that they were given ready-made.
func AppendString(out []byte, s string) ([]byte, error) {
	if strings.ContainsRune(s, utf8.RuneError) {
		return nil, fmt.Errorf("%w: unpaired surrogate", errJSON)
	}
	out = append(out, '"')
	for _, c := range s {
		switch {
		case c == '"' || c == '\\':
			out = append(out, '\\', byte(c))
		case c < 0x20 || c == '\u2028' || c == '\u2029':
			out = fmt.Appendf(out, `\u%04x`, c)
		default:
			out = utf8.AppendRune(out, c)
		}
	}
	return append(out, '"'), nil
}
