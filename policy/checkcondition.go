package policy

import (
	"math"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
)

// analysis works out from a checked condition in which cases it comes out true, or false. Its answer covers more requests
// than there are, never fewer: a condition with no cases cannot come out so. What fails to evaluate is neither.
type analysis struct{ checked *ast.AST }

// comes returns the cases in which e is cleanly what is wanted.
func (t analysis) comes(e ast.Expr, want bool) cases {
	if v, ok := literal(e); ok {
		return constant(v == types.Bool(want))
	}
	if e.Kind() != ast.CallKind {
		return t.reads(e, truth(t.key(e), want))
	}
	call := e.AsCall()
	args := arguments(call)
	switch fn := call.FunctionName(); fn {
	case operators.LogicalNot:
		return t.comes(args[0], !want)
	case operators.LogicalAnd, operators.LogicalOr:
		a, b := t.comes(args[0], want), t.comes(args[1], want)
		if (fn == operators.LogicalAnd) == want {
			return a.and(b)
		}
		return a.or(b)
	case operators.Conditional:
		return t.comes(args[0], true).and(t.comes(args[1], want)).or(t.comes(args[0], false).and(t.comes(args[2], want)))
	case operators.Equals, operators.NotEquals:
		return t.equal(args[0], args[1], (fn == operators.Equals) == want)
	case operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals:
		return t.ordered(fn, args[0], args[1], want)
	case operators.In:
		return t.in(e, args[0], args[1], want)
	case subsetFunction:
		return t.subset(e, args[0], args[1], want)
	case "startsWith", "endsWith", "contains", "matches":
		return t.text(e, fn, args, want)
	}
	return t.reads(e, truth(t.key(e), want))
}

// reads adds to cases what must be there for e to be read at all.
func (t analysis) reads(e ast.Expr, c cases) cases {
	switch e.Kind() {
	case ast.IdentKind:
		for _, of := range [2]string{"task", "parent"} {
			if name := t.name(e); strings.HasPrefix(name, of+".") && name != of+".present" {
				c = c.and(truth(of+".present", true))
			}
		}
	case ast.SelectKind:
		s := e.AsSelect()
		if !s.IsTestOnly() && t.typeOf(s.Operand()).Kind() == types.MapKind {
			c = c.and(truth(presenceKey(t.key(s.Operand()), s.FieldName()), true))
		}
		c = t.reads(s.Operand(), c)
	case ast.ListKind:
		for _, x := range e.AsList().Elements() {
			c = t.reads(x, c)
		}
	case ast.CallKind:
		switch fn := e.AsCall().FunctionName(); fn {
		case operators.LogicalAnd, operators.LogicalOr, operators.Conditional, operators.NotStrictlyFalse:
			return c // these can do without an operand
		}
		for _, x := range arguments(e.AsCall()) {
			c = t.reads(x, c)
		}
	}
	return c
}

// value returns the case in which e is as the constraint says, within what it can be at all.
func (t analysis) value(e ast.Expr, c constraint) cases {
	return t.reads(e, fact(t.key(e), t.domain(e).meet(c)))
}

func (t analysis) equal(a, b ast.Expr, want bool) cases {
	v, ok := literal(b)
	if !ok {
		a, b = b, a
		if v, ok = literal(b); !ok {
			return t.equalTerms(a, b, want)
		}
	}
	if w, ok := literal(a); ok {
		return constant(same(w, v) == want)
	}
	if w, ok := v.(types.Bool); ok {
		return t.comes(a, bool(w) == want)
	}
	if want {
		return t.value(a, oneOf(v))
	}
	return t.value(a, noneOf(v))
}

func (t analysis) equalTerms(a, b ast.Expr, want bool) cases {
	ka, kb := t.key(a), t.key(b)
	known := truth(equalKey(ka, kb), want)
	if want {
		known = known.and(truth(lessKey(ka, kb), false)).and(truth(lessKey(kb, ka), false))
	}
	return t.reads(b, t.reads(a, known))
}

func constant(holds bool) cases {
	if holds {
		return anything()
	}
	return nothing()
}

// ordered goes through <, <=, > and >=. What cannot be ordered fails to evaluate, so that not less is at least.
func (t analysis) ordered(fn string, a, b ast.Expr, want bool) cases {
	down := fn == operators.Less || fn == operators.LessEquals
	open := fn == operators.Less || fn == operators.Greater
	if !want {
		down, open = !down, !open
	}
	v, right := literal(b)
	if !right {
		w, left := literal(a)
		if !left {
			return t.orderedTerms(a, b, down, open)
		}
		a, v, down = b, w, !down
	} else if _, both := literal(a); both {
		return anything()
	}
	if n, ok := v.(types.Int); ok && open && t.typeOf(a).Kind() == types.IntKind {
		switch {
		case down && n > math.MinInt64:
			v, open = n-1, false
		case !down && n < math.MaxInt64:
			v, open = n+1, false
		}
	}
	if down {
		return t.value(a, constraint{high: v, highOpen: open})
	}
	return t.value(a, constraint{low: v, lowOpen: open})
}

// orderedTerms remembers how two values compare, so that the opposite contradicts it.
func (t analysis) orderedTerms(a, b ast.Expr, down, open bool) cases {
	low, high := t.key(a), t.key(b)
	if !down {
		low, high = high, low
	}
	known := truth(lessKey(high, low), false)
	if open {
		known = known.and(truth(lessKey(low, high), true)).and(truth(equalKey(low, high), false))
	}
	return t.reads(b, t.reads(a, known))
}

func lessKey(a, b string) string { return callKey(operators.Less, a, b) }

func equalKey(a, b string) string { return callKey(operators.Equals, min(a, b), max(a, b)) }

func (t analysis) in(e, elem, set ast.Expr, want bool) cases {
	v, isLiteral := literal(elem)
	if list, ok := literals(set); ok && len(list) == 0 {
		return constant(!want) // elem is not even read
	} else if ok && !isLiteral {
		if want {
			return t.value(elem, oneOf(list...))
		}
		return t.value(elem, noneOf(list...))
	} else if ok {
		return constant(isIn(v, list) == want)
	}
	s, isText := v.(types.String)
	switch kind := t.typeOf(set).Kind(); {
	case isText && kind == types.MapKind:
		return t.reads(set, truth(presenceKey(t.key(set), string(s)), want))
	case isText && kind == types.ListKind && want:
		return t.value(set, constraint{has: []string{string(s)}})
	case isText && kind == types.ListKind:
		return t.value(set, constraint{lacks: []string{string(s)}})
	}
	return t.reads(e, truth(t.key(e), want))
}

func (t analysis) subset(e, a, b ast.Expr, want bool) cases {
	part, isPart := literalTexts(a)
	whole, isWhole := literalTexts(b)
	itself := t.reads(e, truth(t.key(e), want))
	switch {
	case isPart && isWhole:
		return constant((len(part) > 0 && holdsAll(whole, part)) == want)
	case isPart && len(part) == 0 || isWhole && len(whole) == 0:
		return constant(!want)
	case isWhole && want:
		return itself.and(t.value(a, constraint{within: whole}))
	case isPart && want:
		return itself.and(t.value(b, constraint{has: part}))
	}
	return itself
}

// text remembers a test of a text: values that are known otherwise have to pass it.
func (t analysis) text(e ast.Expr, fn string, args []ast.Expr, want bool) cases {
	itself := t.reads(e, truth(t.key(e), want))
	v, _ := literal(args[1])
	if s, ok := v.(types.String); ok {
		if passes := testOf(fn, string(s)); passes != nil {
			return itself.and(t.value(args[0], constraint{tests: []test{{passes, want}}}))
		}
	}
	return itself
}
