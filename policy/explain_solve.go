package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// solver finds what would make a condition true or false, judged by what its parts come to now.
type solver struct {
	*trace
	search *search
	pool   pool
}

// solve returns options to make e come to what is wanted: one without edits where it does already.
func (s *solver) solve(e ast.Expr, want bool) []option {
	wanted := OutcomeFalse
	if want {
		wanted = OutcomeTrue
	}
	if out, _ := s.outcome(e); out == wanted {
		return []option{nil}
	}
	operator, operands := logic(e)
	switch {
	case operator == "":
		return smallest(s.atom(e, want))
	case (operator == operators.LogicalAnd) == want: // each of them
		lists := make([][]option, len(operands))
		for i, x := range operands {
			lists[i] = s.solve(x, want)
		}
		return s.search.combine(lists...)
	}
	var out []option // any of them
	for _, x := range operands {
		out = append(out, s.solve(x, want)...)
	}
	return smallest(out)
}

func (s *solver) atom(e ast.Expr, want bool) []option {
	if path := pathOf(e); path != nil {
		return s.flag(e, path, want)
	}
	if e.Kind() != ast.CallKind {
		return nil
	}
	call := e.AsCall()
	args := arguments(call)
	var out []option
	switch fn := call.FunctionName(); fn {
	case operators.LogicalNot:
		return s.solve(args[0], !want)
	case operators.Conditional:
		return append(s.search.combine(s.solve(args[0], true), s.solve(args[1], want)), s.search.combine(s.solve(args[0], false), s.solve(args[2], want))...)
	case operators.Equals, operators.NotEquals:
		out = s.equal(args[0], args[1], want == (fn == operators.Equals))
	case operators.In:
		out = s.in(args[0], args[1], want)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		out = s.compare(fn, args[0], args[1], want)
	case subsetFunction:
		out = s.subset(args[0], args[1], want)
	case "startsWith", "endsWith", "contains":
		out = s.equal(args[0], args[1], want)
	}
	if s.readsClock(e) {
		out = append(out, single(edit{path: []string{"now"}, value: s.read([]string{"now"}), wait: true})...)
	}
	return out
}

// readsClock reports whether e looks at a part of the time, such as the hour.
func (s *solver) readsClock(e ast.Expr) bool {
	if e.Kind() != ast.CallKind {
		return false
	}
	call := e.AsCall()
	if strings.HasPrefix(call.FunctionName(), "get") && call.IsMemberFunction() {
		return slices.Equal(pathOf(call.Target()), []string{"now"})
	}
	return slices.ContainsFunc(arguments(call), s.readsClock)
}

// flag is about a variable of type bool, or has().
func (s *solver) flag(e ast.Expr, path []string, want bool) []option {
	switch {
	case !asksFor(e):
		return to(path, types.Bool(want))
	case want:
		return single(edit{path: path, value: types.True, any: true})
	}
	return single(edit{path: path})
}

// to returns the option to give the variable the value; none where nothing can.
func to(path []string, v ref.Val) []option { return single(edit{path: path, value: v}) }

func single(e edit) []option {
	if _, ok := changeables[e.path[0]]; ok {
		return []option{{e}}
	}
	return nil
}

// equal makes one of two expressions what the other is, or something else.
func (s *solver) equal(a, b ast.Expr, want bool) []option {
	var out []option
	for _, pair := range [][2]ast.Expr{{a, b}, {b, a}} {
		path := pathOf(pair[0])
		v, known := s.value(pair[1])
		switch {
		case path == nil || !known || types.IsUnknownOrError(v):
		case want:
			out = append(out, to(path, v)...)
		default:
			out = append(out, s.different(path, v, func(x ref.Val) bool { return same(x, v) })...)
		}
	}
	return out
}

// different makes the variable something that is not excluded: what other conditions ask of it, or else anything but what
// it must not be.
func (s *solver) different(path []string, but ref.Val, excluded func(ref.Val) bool) []option {
	var out []option
	for _, v := range s.pool[strings.Join(path, ".")] {
		if !excluded(v) {
			out = append(out, to(path, v)...)
		}
	}
	one := but
	if l, ok := but.(traits.Lister); ok && l.Size() != types.IntZero {
		one = l.Get(types.IntZero)
	}
	switch v := one.(type) {
	case types.Bool:
		return append(out, to(path, !v)...)
	case types.String:
		return append(out, single(edit{path: path, value: "something else than " + v, but: but})...)
	case types.Int:
		return append(out, single(edit{path: path, value: v + 1<<20, but: but})...)
	case types.Double:
		return append(out, single(edit{path: path, value: v + 1<<20, but: but})...)
	}
	return out
}

// in makes an entry one of a list, or none of it.
func (s *solver) in(elem, set ast.Expr, want bool) []option {
	var out []option
	held, known := s.value(set)
	list, isList := held.(traits.Lister)
	if path := pathOf(elem); path != nil && known && isList {
		if want {
			for it := list.Iterator(); it.HasNext() == types.True && len(out) < maxOptions; {
				out = append(out, to(path, it.Next())...)
			}
		} else {
			out = s.different(path, held, func(v ref.Val) bool { return list.Contains(v) == types.True })
		}
	}
	path := pathOf(set)
	v, known := s.value(elem)
	word, isWord := v.(types.String)
	if path == nil || !known || !isWord {
		return out
	}
	words, _ := textsOf(s.read(path))
	if want {
		return append(out, toWords(path, append(words, string(word)))...)
	}
	return append(out, toWords(path, slices.DeleteFunc(words, func(w string) bool { return w == string(word) }))...)
}

func toWords(path, list []string) []option {
	return to(path, types.NewStringList(types.DefaultTypeAdapter, list))
}

// subset makes a what of it is in b, or b what is in both.
func (s *solver) subset(a, b ast.Expr, want bool) []option {
	va, _ := s.value(a)
	vb, _ := s.value(b)
	part, ok := textsOf(va)
	whole, ok2 := textsOf(vb)
	if !ok || !ok2 || !want {
		return nil
	}
	var out []option
	if within, path := shared(part, whole), pathOf(a); path != nil && len(within) > 0 {
		out = toWords(path, within)
	}
	if path := pathOf(b); path != nil && len(part) > 0 {
		out = append(out, toWords(path, union(whole, part))...)
	}
	return out
}
