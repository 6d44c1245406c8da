package policy

import (
	"regexp"
	"slices"
	"strings"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// constraint is what is known of one value where a condition is true: of a variable, or of an expression over variables,
// which has one value during an evaluation. The zero value says nothing. A constraint is not changed once it is made.
type constraint struct {
	closed bool      // the value is one of these, and no other
	one    []ref.Val // it is one of these
	not    []ref.Val // it is none of these

	low, high         ref.Val // it is not less, or not greater, than these; nil: no bound
	lowOpen, highOpen bool    // nor equal to them

	tests []test // of a text

	// Of a list of texts:
	within []string // it is not empty and has only these; nil: may have any
	some   []string // it has at least one of these; nil: need not
	has    []string
	lacks  []string
}

// test is one function of a text with a literal argument, and what it comes to.
type test struct {
	passes func(text string) bool
	want   bool
}

// maxKnown bounds the lists of a constraint. What is beyond it is forgotten: less is known then, and nothing is wrong.
const maxKnown = 256

func oneOf(values ...ref.Val) constraint { return constraint{closed: true, one: values} }

func oneOfTexts(list ...string) constraint { return oneOf(textVals(list...)...) }

func textVals(list ...string) []ref.Val {
	out := make([]ref.Val, len(list))
	for i, s := range list {
		out[i] = types.String(s)
	}
	return out
}

func noneOf(values ...ref.Val) constraint { return constraint{not: values} }

// meet returns what is known where both are.
func (c constraint) meet(o constraint) constraint {
	out := c
	switch {
	case c.closed && o.closed:
		out.one = slices.DeleteFunc(slices.Clone(c.one), func(v ref.Val) bool { return !isIn(v, o.one) })
	case o.closed:
		out.closed, out.one = true, o.one
	}
	if o.low != nil && (c.low == nil || less(c.low, o.low) || same(c.low, o.low) && o.lowOpen) {
		out.low, out.lowOpen = o.low, o.lowOpen
	}
	if o.high != nil && (c.high == nil || less(o.high, c.high) || same(c.high, o.high) && o.highOpen) {
		out.high, out.highOpen = o.high, o.highOpen
	}
	if o.within != nil {
		out.within = o.within
		if c.within != nil {
			out.within = shared(c.within, o.within)
		}
	}
	if c.some == nil {
		out.some = o.some
	}
	out.not, out.tests = joined(c.not, o.not), joined(c.tests, o.tests)
	out.has, out.lacks = joined(c.has, o.has), joined(c.lacks, o.lacks)
	return out
}

// joined returns both lists, in memory of its own where both have something, as far as a constraint goes.
func joined[T any](a, b []T) []T {
	switch {
	case len(b) == 0 || len(a)+len(b) > maxKnown:
		return a
	case len(a) == 0:
		return b
	}
	return slices.Concat(a, b)
}

// shared returns what is in both lists; not nil.
func shared(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return !slices.Contains(b, s) })
}

// impossible reports whether no value can be as c says. It is sure of that when it reports true.
func (c constraint) impossible() bool {
	if c.closed {
		return !slices.ContainsFunc(c.one, c.admits)
	}
	if c.low != nil && c.high != nil {
		if less(c.high, c.low) {
			return true
		}
		if same(c.low, c.high) && (c.lowOpen || c.highOpen || isIn(c.low, c.not)) {
			return true
		}
	}
	return c.noList()
}

// noList reports whether no list can be as c says.
func (c constraint) noList() bool {
	lacks := func(s string) bool { return slices.Contains(c.lacks, s) }
	cannot := func(s string) bool { return lacks(s) || c.within != nil && !slices.Contains(c.within, s) }
	switch {
	case slices.ContainsFunc(c.has, cannot):
		return true
	case c.within != nil && !slices.ContainsFunc(c.within, func(s string) bool { return !lacks(s) }):
		return true
	}
	return c.some != nil && !slices.ContainsFunc(c.some, func(s string) bool { return !cannot(s) })
}

// admits reports whether the value can be as c says.
func (c constraint) admits(v ref.Val) bool {
	switch {
	case isIn(v, c.not):
		return false
	case c.low != nil && (less(v, c.low) || c.lowOpen && same(v, c.low)):
		return false
	case c.high != nil && (less(c.high, v) || c.highOpen && same(v, c.high)):
		return false
	}
	s, ok := v.(types.String)
	return !ok || !slices.ContainsFunc(c.tests, func(t test) bool { return t.passes(string(s)) != t.want })
}

// testOf returns what a function of a text with this argument does; nil where it is none.
func testOf(function, arg string) func(string) bool {
	switch function {
	case "startsWith":
		return func(s string) bool { return strings.HasPrefix(s, arg) }
	case "endsWith":
		return func(s string) bool { return strings.HasSuffix(s, arg) }
	case "contains":
		return func(s string) bool { return strings.Contains(s, arg) }
	case "matches":
		if re, err := regexp.Compile(arg); err == nil {
			return re.MatchString
		}
	}
	return nil
}

// same and less are those of conditions. What cannot be compared is neither.
func same(a, b ref.Val) bool { return a.Equal(b) == types.True }

func less(a, b ref.Val) bool {
	c, ok := a.(traits.Comparer)
	return ok && c.Compare(b) == types.IntNegOne
}

func isIn(v ref.Val, list []ref.Val) bool {
	return slices.ContainsFunc(list, func(x ref.Val) bool { return same(v, x) })
}
