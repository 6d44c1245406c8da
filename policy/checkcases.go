package policy

import (
	"maps"
	"slices"

	"cel.dev/cel-go/common/types"
)

// state is what is known of the request in one case in which a condition comes out as it should: constraints by the value
// they are about. A state that lacks something is true of more requests, never of fewer.
type state map[string]constraint

// cases are states of which at least one is true wherever a condition comes out as it should. None: it never does.
type cases []state

// Limits on how far conditions are analysed. Beyond them less is known, and nothing is wrong.
const (
	maxCases    = 64  // of one condition
	maxProducts = 256 // states combined by one operator
	maxFacts    = 64  // values that one state knows something of
)

// anything is the cases of what may always come out so, and nothing those of what never does.
func anything() cases { return cases{state{}} }
func nothing() cases  { return nil }

// or returns the cases in which one of the two comes out so.
func (c cases) or(o cases) cases {
	if len(c)+len(o) > maxCases {
		return anything()
	}
	return slices.Concat(c, o)
}

// and returns the cases in which both come out so.
func (c cases) and(o cases) cases {
	if len(c)*len(o) > maxProducts {
		if len(c) > len(o) {
			return o
		}
		return c
	}
	var out cases
	for _, a := range c {
		for _, b := range o {
			if s, ok := a.with(b); ok {
				out = append(out, s)
			}
		}
	}
	switch {
	case len(out) <= maxCases:
		return out
	case len(c) <= len(o):
		return c
	}
	return o
}

// with returns what is known where both states are; false where both cannot be.
func (s state) with(o state) (state, bool) {
	if len(s) < len(o) {
		s, o = o, s
	}
	out := maps.Clone(s)
	for key, c := range o {
		known, ok := out[key]
		if !ok && len(out) >= maxFacts {
			continue
		}
		met := known.meet(c)
		if met.impossible() {
			return nil, false
		}
		out[key] = met
	}
	return out, true
}

// never reports whether no case of c can be where one of the other states is.
func (c cases) never(others ...state) bool {
	return !slices.ContainsFunc(c, func(s state) bool {
		return len(others) == 0 || slices.ContainsFunc(others, func(o state) bool { return s.fits(o) })
	})
}

// fits is with for who only wants to know whether both can be.
func (s state) fits(o state) bool {
	if len(s) > len(o) {
		s, o = o, s
	}
	for key, c := range s {
		if other, ok := o[key]; ok && c.meet(other).impossible() {
			return false
		}
	}
	return true
}

// mentions reports whether a case says something of one of the values.
func (c cases) mentions(keys ...string) bool {
	return slices.ContainsFunc(c, func(s state) bool {
		return slices.ContainsFunc(keys, func(k string) bool { _, ok := s[k]; return ok })
	})
}

// fact returns the one case in which a value is as the constraint says.
func fact(key string, c constraint) cases {
	if c.impossible() {
		return nothing()
	}
	return cases{state{key: c}}
}

func truth(key string, want bool) cases { return fact(key, oneOf(types.Bool(want))) }
