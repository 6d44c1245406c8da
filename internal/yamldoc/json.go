package yamldoc

import (
	"regexp"
	"strconv"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// JSON reads a value of any shape as the JSON it looks like, and returns that in canonical form, of at most so many
// bytes. What YAML has beside JSON is refused where it would change what a value is: no, 0x10 and .inf are no JSON. A time
// is the text that it is written as.
func (r *Reader) JSON(v Value, most int) []byte {
	out := r.json(nil, v)
	if r.Bad != nil {
		return nil
	}
	if len(out) > most {
		r.Fail(v, "more than %d bytes", most)
		return nil
	}
	out, err := canon.JSON(out)
	if err != nil {
		r.Fail(v, "%v", err)
	}
	return out
}

var numeral = regexp.MustCompile(`^[-+]?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]+)?$`)

func (r *Reader) json(out []byte, v Value) []byte {
	switch n := v.Node; {
	case r.Bad != nil:
	case v.Mapping():
		out = append(out, '{')
		for k, e := range Pairs(n) {
			out = separated(out, '{')
			out = append(r.string(out, v, k.Value), ':')
			out = r.json(out, v.At(k.Value, e))
		}
		return append(out, '}')
	case v.List():
		out = append(out, '[')
		for i, e := range n.Content {
			out = r.json(separated(out, '['), Value{e, v.Key + "[" + strconv.Itoa(i) + "]"})
		}
		return append(out, ']')
	case v.Null():
		return append(out, "null"...)
	case n.Style == 0 && numeral.MatchString(n.Value): // also one that YAML takes for a text, being too large
		return r.number(out, v)
	case Is(n, "!!str"), Is(n, "!!timestamp"):
		return r.string(out, v, n.Value)
	case isBool(n):
		return append(out, n.Value...)
	case Is(n, "!!int"), Is(n, "!!float"):
		return r.number(out, v)
	default:
		r.Fail(v, "is no JSON (quote it if it is a string)")
	}
	return out
}

// separated puts a comma between the entries of what was opened.
func separated(out []byte, open byte) []byte {
	if out[len(out)-1] != open {
		out = append(out, ',')
	}
	return out
}

func (r *Reader) string(out []byte, v Value, s string) []byte {
	next, err := canon.AppendString(out, s)
	if err != nil {
		r.Fail(v, "%v", err)
		return out
	}
	return next
}

func (r *Reader) number(out []byte, v Value) []byte {
	text := v.Node.Value
	if _, err := canon.JSON([]byte(text)); err != nil {
		r.Fail(v, "is no number of JSON (quote it if it is a string)")
	}
	return append(out, text...)
}
