package endpoint

import (
	"encoding/json"
	"fmt"
	"slices"
	"unicode/utf16"
)

// read reads the members of an object into the variables that into has for them. A member that it does not know is
// refused: it may have been meant to bound what is asked for.
func read(members map[string]json.RawMessage, into map[string]any) error {
	for name, raw := range members {
		variable, known := into[name]
		switch {
		case !known:
			return bad("an unknown member")
		case string(raw) == "null", json.Unmarshal(raw, variable) != nil:
			return bad(name + " is malformed")
		}
	}
	return nil
}

// marshal returns v as JSON in which everything but printable ASCII is escaped. What somebody reads and decides by shows
// then exactly what is there: no character in it reorders or hides others, or means something to a terminal.
func marshal(v any) ([]byte, error) {
	body, err := json.Marshal(v)
	return printable(body), err
}

// printable escapes everything but printable ASCII in JSON.
func printable(body []byte) []byte {
	if !slices.ContainsFunc(body, func(c byte) bool { return unprintable(rune(c)) }) {
		return body
	}
	out := make([]byte, 0, 2*len(body))
	for _, r := range string(body) { // outside of strings there is nothing to escape
		switch {
		case !unprintable(r):
			out = append(out, byte(r))
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

func unprintable(r rune) bool { return r < 0x20 || r > 0x7e }
