package canon

import "encoding/json"

// The functions of this file take apart what is in the form of JSON already, and copy nothing.

// Elements returns the elements of an array; false where raw is no array.
func Elements(raw []byte) (out []json.RawMessage, isArray bool) {
	if len(raw) == 0 || raw[0] != '[' {
		return nil, false
	}
	for rest := raw[1:]; rest[0] != ']'; {
		var element json.RawMessage
		element, rest = cut(rest)
		out = append(out, element)
	}
	return out, true
}

// Field returns the value of an object's member with the name, which needs no escape; nil where there is none, or raw is no
// object.
func Field(raw []byte, name string) json.RawMessage {
	if len(raw) == 0 || raw[0] != '{' {
		return nil
	}
	for rest := raw[1:]; rest[0] != '}'; {
		var key, value json.RawMessage
		key, rest = cut(rest)
		value, rest = cut(rest)
		if string(key[1:len(key)-1]) == name {
			return value
		}
	}
	return nil
}

// cut returns the value that text begins with, and what comes behind it and the comma or colon that follows.
func cut(text []byte) (value json.RawMessage, rest []byte) {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
		case depth == 0 && (c == ',' || c == ':'):
			return text[:i:i], text[i+1:]
		case depth == 0 && (c == '}' || c == ']'):
			return text[:i:i], text[i:]
		case c == '}' || c == ']':
			depth--
		}
	}
	return text, []byte{']'} // never of a text in canonical form
}
