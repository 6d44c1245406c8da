package config

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// value is a node of the document and the key under which a person finds it.
type value struct {
	node *yaml.Node
	key  string
}

// at returns the value of a key in v.
func (v value) at(key string, node *yaml.Node) value {
	if v.key != "" {
		key = v.key + "." + key
	}
	return value{node, key}
}

// element returns an element of v, which is a list.
func (v value) element(i int) value {
	return value{v.node.Content[i], v.key + "[" + strconv.Itoa(i) + "]"}
}

// reader turns values into what they mean. It keeps the first problem; after that it only returns zero values.
type reader struct {
	file, dir string
	err       error
}

func (r *reader) place(v value) Place { return Place{r.file, v.node.Line, v.key} }

func (r *reader) fail(v value, format string, args ...any) {
	if r.err == nil {
		r.err = r.place(v).Errorf(format, args...)
	}
}

// fields are the known keys of a mapping and what reads each.
type fields map[string]func(value)

// String lists the keys.
func (f fields) String() string {
	if len(f) == 0 {
		return "none is known"
	}
	return "known are " + strings.Join(slices.Sorted(maps.Keys(f)), ", ")
}

// object reads a mapping: known keys only, all required ones. It returns the values by key.
func (r *reader) object(v value, known fields, required ...string) map[string]value {
	found := map[string]value{}
	if v.node.Kind != yaml.MappingNode {
		r.fail(v, "must be a mapping")
		return found
	}
	for k, node := range yamldoc.Pairs(v.node) {
		e := v.at(k.Value, node)
		read, ok := known[k.Value]
		if !ok {
			r.fail(v.at(k.Value, k), "unknown key; %s", known)
			return found
		}
		found[k.Value] = value{k, e.key}
		if r.err == nil && read != nil {
			read(e)
		}
	}
	for _, k := range required {
		if _, ok := found[k]; !ok {
			r.fail(v.at(k, v.node), "is required")
		}
	}
	return found
}

// one reads a mapping that must have exactly one of the known keys.
func (r *reader) one(v value, what string, known fields) {
	if v.node.Kind == yaml.MappingNode && len(v.node.Content) != 2 {
		r.fail(v, "exactly one %s is required: %s", what, strings.Join(slices.Sorted(maps.Keys(known)), ", "))
		return
	}
	r.object(v, known)
}

// list reads a sequence.
func (r *reader) list(v value, read func(value)) {
	if v.node.Kind != yaml.SequenceNode {
		r.fail(v, "must be a list")
		return
	}
	for i := range v.node.Content {
		if r.err == nil {
			read(v.element(i))
		}
	}
}

// names reads a list of names without repetition.
func (r *reader) names(into *[]string) func(value) {
	return func(v value) {
		r.list(v, func(e value) {
			s := r.name(e)
			if slices.Contains(*into, s) {
				r.fail(e, "is listed twice")
			}
			*into = append(*into, s)
		})
	}
}

// text reads a string that is not empty.
func (r *reader) text(v value) string {
	switch {
	case !yamldoc.Is(v.node, "!!str"):
		r.fail(v, "must be a string")
	case v.node.Value == "":
		r.fail(v, "is empty")
	default:
		return v.node.Value
	}
	return ""
}

// name reads an identifier.
func (r *reader) name(v value) string {
	s := r.text(v)
	if s != "" {
		if err := canon.Name(s); err != nil {
			r.fail(v, "%w", err)
		}
	}
	return s
}

// choice reads one of some words.
func (r *reader) choice(v value, words ...string) string {
	s := r.text(v)
	if s != "" && !slices.Contains(words, s) {
		r.fail(v, "must be one of %s", strings.Join(words, ", "))
	}
	return s
}

// duration reads a duration of at least least.
func (r *reader) duration(v value, least time.Duration) time.Duration {
	d, ok := yamldoc.Duration(v.node)
	switch {
	case !ok:
		r.fail(v, "must be a duration such as 90s or 5m")
	case d < least && least > 0:
		r.fail(v, "must be at least %s", least)
	case d < 0:
		r.fail(v, "must not be negative")
	}
	return d
}

// into returns a reader of a field that stores what read returns.
func into[T any](target *T, read func(value) T) func(value) {
	return func(v value) { *target = read(v) }
}
