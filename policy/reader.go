package policy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// reader takes typed values out of one parsed document and collects what is wrong with it.
type reader struct {
	file     string
	rule     string // the rule being read, for messages
	problems []Problem
}

func (r *reader) fail(n *yaml.Node, format string, args ...any) {
	if len(r.problems) <= maxProblems {
		r.problems = append(r.problems, Problem{
			File: r.file, Line: n.Line, Column: n.Column, Rule: r.rule, Message: bounded(fmt.Sprintf(format, args...)),
		})
	}
}

// fields returns the members of a mapping, which may only have the allowed names.
func (r *reader) fields(n *yaml.Node, what string, allowed ...string) map[string]*yaml.Node {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "%s: must be a mapping", what)
		return nil
	}
	out := make(map[string]*yaml.Node, len(n.Content)/2)
	for key, value := range yamldoc.Pairs(n) {
		if !slices.Contains(allowed, key.Value) {
			r.fail(key, "%s: unknown key %q", what, bounded(key.Value))
			continue
		}
		out[key.Value] = value
	}
	return out
}

// items returns the entries of a list, which may not be empty.
func (r *reader) items(n *yaml.Node, what string) []*yaml.Node { return r.list(n, what, maxList) }

// list is items for lists of up to so many entries.
func (r *reader) list(n *yaml.Node, what string, most int) []*yaml.Node {
	switch {
	case n.Kind != yaml.SequenceNode || len(n.Content) == 0:
		r.fail(n, "%s: must be a list that is not empty", what)
		return nil
	case len(n.Content) > most:
		r.fail(n, "%s: more than %d entries", what, most)
		return nil
	}
	return n.Content
}

// text returns a string; "" where it is not one.
func (r *reader) text(n *yaml.Node, what string) string {
	if !yamldoc.Is(n, "!!str") || n.Value == "" {
		r.fail(n, "%s: must be a string that is not empty (quote it if it looks like something else)", what)
		return ""
	}
	return n.Value
}

// name returns a string that can name something in a record or a request; "" where it is not one.
func (r *reader) name(n *yaml.Node, what string) string {
	s := r.text(n, what)
	if s == "" {
		return ""
	}
	if err := canon.Name(s); err != nil {
		r.fail(n, "%s: %v", what, err)
		return ""
	}
	return s
}

// texts returns a list of strings, each of which check accepts, without repeats.
func (r *reader) texts(n *yaml.Node, what string, check func(string) error) []string {
	var out []string
	for _, item := range r.items(n, what) {
		if s := r.text(item, what); s != "" {
			if err := check(s); err != nil {
				r.fail(item, "%s: %v", what, err)
				continue
			}
			if slices.Contains(out, s) {
				r.fail(item, "%s: %q twice", what, bounded(s))
				continue
			}
			out = append(out, s)
		}
	}
	return out
}

// duration returns a positive duration of whole seconds up to MaxLifetime; zero where it is not one.
func (r *reader) duration(n *yaml.Node, what string) time.Duration {
	d, ok := yamldoc.Duration(n)
	if !ok {
		r.fail(n, "%s: must be a duration such as 5m", what)
		return 0
	}
	if d < time.Second || d > MaxLifetime || d%time.Second != 0 {
		r.fail(n, "%s: must be whole seconds between 1s and %s", what, MaxLifetime)
		return 0
	}
	return d
}

// recheck returns for how long a decision may be relied on: a duration, or for no more than one use.
func (r *reader) recheck(n *yaml.Node, what string) time.Duration {
	if n.Kind == yaml.ScalarNode && yamldoc.Is(n, "!!str") && n.Value == everyUse {
		return oneUse
	}
	return r.duration(n, what)
}

// number returns a whole number between 0 and most.
func (r *reader) number(n *yaml.Node, what string, most int) int {
	v, err := strconv.Atoi(n.Value)
	if !yamldoc.Is(n, "!!int") || err != nil || strconv.Itoa(v) != n.Value {
		r.fail(n, "%s: must be a whole number", what)
		return 0
	}
	if v < 0 || v > most {
		r.fail(n, "%s: must be between 0 and %d", what, most)
		return 0
	}
	return v
}

// flag returns true or false, spelt exactly so.
func (r *reader) flag(n *yaml.Node, what string) bool {
	if !yamldoc.Is(n, "!!bool") || (n.Value != "true" && n.Value != "false") {
		r.fail(n, "%s: must be true or false", what)
		return false
	}
	return n.Value == "true"
}

// validName reports whether s can name a directory, a document or a rule: [A-Za-z0-9][A-Za-z0-9._-]*.
func validName(s string) bool {
	if s == "" || len(s) > maxRuleName || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return true
}
