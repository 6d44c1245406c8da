package canon

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// byDecoder is JSON made of the standard library's decoder: slow, and short enough to be seen right.
func byDecoder(raw []byte) ([]byte, error) {
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: not UTF-8", errJSON)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	return valueByDecoder(dec, 0)
}

func valueByDecoder(dec *json.Decoder, depth int) ([]byte, error) {
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
			return objectByDecoder(dec, depth)
		}
		return arrayByDecoder(dec, depth)
	case string:
		return stringByRune(v)
	case json.Number:
		if _, err := v.Float64(); err != nil {
			return nil, fmt.Errorf("%w: number too large", errJSON)
		}
		return []byte(v.String()), nil
	case bool:
		return fmt.Append(nil, v), nil
	default:
		return []byte("null"), nil
	}
}

func arrayByDecoder(dec *json.Decoder, depth int) ([]byte, error) {
	var list [][]byte
	for dec.More() {
		value, err := valueByDecoder(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	return fmt.Appendf(nil, "[%s]", bytes.Join(list, []byte(","))), nil
}

func objectByDecoder(dec *json.Decoder, depth int) ([]byte, error) {
	members := map[string][]byte{}
	var names []string
	for dec.More() {
		tok, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: syntax", errJSON)
		}
		name, _ := tok.(string)
		if members[name], err = valueByDecoder(dec, depth+1); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("%w: syntax", errJSON)
	}
	if len(names) != len(members) {
		return nil, fmt.Errorf("%w: duplicate member", errJSON)
	}
	slices.Sort(names)
	var list [][]byte
	for _, name := range names {
		key, err := stringByRune(name)
		if err != nil {
			return nil, err
		}
		list = append(list, fmt.Appendf(key, ":%s", members[name]))
	}
	return fmt.Appendf(nil, "{%s}", bytes.Join(list, []byte(","))), nil
}

func stringByRune(s string) ([]byte, error) {
	if strings.ContainsRune(s, utf8.RuneError) {
		return nil, fmt.Errorf("%w: unpaired surrogate", errJSON)
	}
	out := []byte{'"'}
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
