package yamldoc

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Value is a node of a document and the key under which a person finds it.
type Value struct {
	Node *yaml.Node
	Key  string
}

// At returns the value that stands under a key of v.
func (v Value) At(key string, node *yaml.Node) Value {
	if v.Key != "" {
		key = v.Key + "." + key
	}
	return Value{node, key}
}

// Null reports whether v is there and says nothing.
func (v Value) Null() bool { return Is(v.Node, "!!null") }

// Mapping reports whether v is there and has keys, or could have.
func (v Value) Mapping() bool { return v.Node != nil && v.Node.Kind == yaml.MappingNode }

// List reports whether v is there and is a list.
func (v Value) List() bool { return v.Node != nil && v.Node.Kind == yaml.SequenceNode }

// Merge returns what over says, and what base says beside it. Mappings are merged key by key, at every level; everything
// else replaces what stands there. Either may be the zero Value, which says nothing.
func Merge(base, over Value) Value {
	switch {
	case over.Node == nil:
		return base
	case !base.Mapping() || !over.Mapping():
		return over
	}
	left := make(map[string]Value, len(over.Node.Content)/2)
	for k, n := range Pairs(over.Node) {
		left[k.Value] = Value{Node: n}
	}
	out := *over.Node
	out.Content = make([]*yaml.Node, 0, len(base.Node.Content)+len(over.Node.Content))
	for k, n := range Pairs(base.Node) {
		out.Content = append(out.Content, k, Merge(Value{Node: n}, left[k.Value]).Node)
		delete(left, k.Value)
	}
	for k, n := range Pairs(over.Node) {
		if _, ok := left[k.Value]; ok {
			out.Content = append(out.Content, k, n)
		}
	}
	return Value{Node: &out, Key: over.Key}
}

// Fields are the known keys of a mapping and what reads each.
type Fields map[string]func(Value)

// Optional returns the fields such that a null is as if nothing stood there.
func (f Fields) Optional() Fields {
	for key, read := range f {
		f[key] = func(v Value) {
			if !v.Null() {
				read(v)
			}
		}
	}
	return f
}

// Reader takes typed values out of a document that Parse returned. It keeps the first problem; after that it returns
// zero values.
type Reader struct{ Bad *Problem }

// Fail notes what is wrong with a value.
func (r *Reader) Fail(v Value, format string, args ...any) {
	if r.Bad == nil {
		r.Bad = &Problem{Line: v.Node.Line, Key: v.Key, Message: fmt.Sprintf(format, args...)}
	}
}

// Object reads a mapping, which may only have known keys, and returns what stands under each.
func (r *Reader) Object(v Value, known Fields) map[string]Value {
	found := map[string]Value{}
	if !v.Mapping() {
		r.Fail(v, "must be a mapping")
		return found
	}
	for k, node := range Pairs(v.Node) {
		read, ok := known[k.Value]
		if !ok {
			r.Fail(v.At(k.Value, k), "unknown key; known are %s", strings.Join(slices.Sorted(maps.Keys(known)), ", "))
			return found
		}
		e := v.At(k.Value, node)
		found[k.Value] = e
		if r.Bad == nil && read != nil {
			read(e)
		}
	}
	return found
}

// List reads a sequence of at most so many elements.
func (r *Reader) List(v Value, most int, read func(Value)) {
	switch {
	case !v.List():
		r.Fail(v, "must be a list")
	case len(v.Node.Content) > most:
		r.Fail(v, "more than %d entries", most)
	default:
		for i, n := range v.Node.Content {
			if r.Bad == nil {
				read(Value{n, v.Key + "[" + strconv.Itoa(i) + "]"})
			}
		}
	}
}

// Names reads a list of names, or the one that may stand for a list, without repeats.
func (r *Reader) Names(v Value, most int) []string {
	if !v.List() {
		return []string{r.Name(v)}
	}
	out := []string{}
	r.List(v, most, func(e Value) {
		s := r.Name(e)
		if slices.Contains(out, s) {
			r.Fail(e, "stands twice")
		}
		out = append(out, s)
	})
	return out
}

// Text reads a string that is not empty.
func (r *Reader) Text(v Value) string {
	if !Is(v.Node, "!!str") || v.Node.Value == "" {
		r.Fail(v, "must be a string that is not empty (quote it if it looks like something else)")
		return ""
	}
	return v.Node.Value
}

// Name reads a string that can name something.
func (r *Reader) Name(v Value) string {
	s := r.Text(v)
	if s != "" {
		if err := canon.Name(s); err != nil {
			r.Fail(v, "%v", err)
		}
	}
	return s
}

// Choice reads one of some words.
func (r *Reader) Choice(v Value, words ...string) string {
	s := r.Text(v)
	if s != "" && !slices.Contains(words, s) {
		r.Fail(v, "must be one of %s", strings.Join(words, ", "))
	}
	return s
}

// Duration reads a duration that is longer than nothing, or none where that has a meaning.
func (r *Reader) Duration(v Value, orNone bool) time.Duration {
	d, ok := Duration(v.Node)
	if zero := Is(v.Node, "!!int") && v.Node.Value == "0"; orNone && (zero || ok && d == 0) {
		return 0
	}
	if !ok || d <= 0 {
		r.Fail(v, "must be a duration such as 90s or 5m")
	}
	return d
}

// Instant reads a time as RFC 3339 writes it.
func (r *Reader) Instant(v Value) time.Time {
	t, err := time.Parse(time.RFC3339, v.Node.Value)
	if err != nil || !Is(v.Node, "!!str") && !Is(v.Node, "!!timestamp") || t.Year() < 1970 || t.Year() > 9999 {
		r.Fail(v, "must be a time such as 2026-03-02T12:00:00Z")
		return time.Time{}
	}
	return t.UTC()
}

// Int reads a whole number between 0 and most.
func (r *Reader) Int(v Value, most int) int {
	n, err := strconv.Atoi(v.Node.Value)
	if !Is(v.Node, "!!int") || err != nil || strconv.Itoa(n) != v.Node.Value || n < 0 || n > most {
		r.Fail(v, "must be a whole number between 0 and %d", most)
		return 0
	}
	return n
}

// Bool reads true or false, spelt exactly so.
func (r *Reader) Bool(v Value) bool {
	if !isBool(v.Node) {
		r.Fail(v, "must be true or false")
	}
	return v.Node.Value == "true"
}

func isBool(n *yaml.Node) bool { return Is(n, "!!bool") && (n.Value == "true" || n.Value == "false") }
