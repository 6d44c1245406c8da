package lineage

import (
	"errors"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The kinds of selector. What the first five name never comes back, so cutting it is absolute. What the others name
// lives on, so cutting it kills what was issued before a moment.
const (
	SelectToken   = "token"   // one record and all that came from it
	SelectTask    = "task"    // a task, by its id
	SelectGrant   = "grant"   // a root grant, by its id
	SelectSession = "session" // an identity provider's session
	SelectKey     = "key"     // a signing key, by its kid

	SelectSubject    = "subject"
	SelectActor      = "actor" // any actor of the chain
	SelectClient     = "client"
	SelectConnection = "connection"
	SelectPath       = "path" // a policy path and all below it
)

// Selector names a set of live records by something they carry. Its text form is "kind:value", split at the first
// colon. The zero Selector selects nothing.
type Selector struct{ Kind, Value string }

var errSelector = errors.New("lineage: not a selector")

// ParseSelector reads "kind:value". An unknown kind, an empty value, and an id that is not one are refused.
func ParseSelector(s string) (Selector, error) {
	kind, value, _ := strings.Cut(s, ":")
	sel := Selector{kind, value}
	return sel, sel.check()
}

func (s Selector) check() error {
	ok := false
	switch s.Kind {
	case SelectToken, SelectTask, SelectGrant:
		_, err := ParseID(s.Value)
		ok = err == nil
	case SelectPath:
		ok = canon.Name(s.Value) == nil && validPath(s.Value)
	case SelectSession, SelectKey, SelectSubject, SelectActor, SelectClient, SelectConnection:
		ok = canon.Name(s.Value) == nil
	}
	if !ok {
		return errSelector
	}
	return nil
}

// validPath reports whether p is a policy path: the root, or segments that each follow a slash.
func validPath(p string) bool {
	return p == "/" || strings.HasPrefix(p, "/") && !strings.HasSuffix(p, "/") && !strings.Contains(p, "//")
}

// Absolute reports whether cutting the selector kills all that carries it, whenever it was issued.
func (s Selector) Absolute() bool {
	switch s.Kind {
	case SelectToken, SelectTask, SelectGrant, SelectSession, SelectKey:
		return true
	}
	return false
}

// String returns "kind:value".
func (s Selector) String() string { return s.Kind + ":" + s.Value }

// MarshalText implements encoding.TextMarshaler.
func (s Selector) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler with the rules of ParseSelector.
func (s *Selector) UnmarshalText(text []byte) error {
	sel, err := ParseSelector(string(text))
	if err != nil {
		return err
	}
	*s = sel
	return nil
}

// PathSelectors returns a selector for the policy path and for each of its prefixes, "/" first.
func PathSelectors(path string) []Selector {
	out := append(make([]Selector, 0, 1+strings.Count(path, "/")), Selector{SelectPath, "/"})
	for i := 1; i < len(path); i++ {
		if path[i] == '/' {
			out = append(out, Selector{SelectPath, path[:i]})
		}
	}
	if len(path) > 1 {
		out = append(out, Selector{SelectPath, path})
	}
	return out
}

// Union returns the sorted set of all selectors in the lists. It is quick where they are sorted.
func Union(lists ...[]Selector) (out []Selector) {
	for i, list := range lists {
		if !ascending(list, compareSelectors) {
			list = sorted(slices.Clone(list))
		}
		if i == 0 {
			out = slices.Clip(list)
		} else {
			out = merged(out, list)
		}
	}
	return out
}

// sorted sorts a list in place, without repeats.
func sorted(list []Selector) []Selector {
	slices.SortFunc(list, compareSelectors)
	return slices.Compact(list)
}

// merged returns the union of two sorted sets. It shares nothing with either.
func merged(a, b []Selector) []Selector {
	var room [48]Selector // most of the two are the same
	out := room[:0]
	few := 4*len(a) < len(b)
	for _, s := range a {
		at := 0
		if few {
			at, _ = slices.BinarySearchFunc(b, s, compareSelectors)
		} else {
			for at < len(b) && compareSelectors(b[at], s) < 0 {
				at++
			}
		}
		out, b = append(out, b[:at]...), b[at:]
		if len(b) == 0 || b[0] != s {
			out = append(out, s)
		}
	}
	return slices.Clone(append(out, b...))
}

func compareSelectors(a, b Selector) int {
	if a.Kind != b.Kind {
		return strings.Compare(a.Kind, b.Kind)
	}
	return strings.Compare(a.Value, b.Value)
}
