package policy

import (
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// mirrored is what a comparison becomes with its sides exchanged, opposite what it becomes under a not.
var (
	mirrored = map[string]string{
		operators.Less: operators.Greater, operators.LessEquals: operators.GreaterEquals,
		operators.Greater: operators.Less, operators.GreaterEquals: operators.LessEquals,
	}
	opposite = map[string]string{
		operators.Less: operators.GreaterEquals, operators.LessEquals: operators.Greater,
		operators.Greater: operators.LessEquals, operators.GreaterEquals: operators.Less,
	}
)

// compare makes a comparison come to what is wanted, by a variable on either side.
func (s *solver) compare(operator string, a, b ast.Expr, want bool) []option {
	if !want {
		operator = opposite[operator]
	}
	var out []option
	if v, ok := s.known(b); ok {
		out = s.bring(a, operator, v)
	}
	if v, ok := s.known(a); ok {
		out = append(out, s.bring(b, mirrored[operator], v)...)
	}
	return out
}

// bring makes e stand to the bound as the operator says: e < bound. A sum or a difference is resolved for what is in it.
func (s *solver) bring(e ast.Expr, operator string, bound ref.Val) []option {
	if path := pathOf(e); path != nil {
		if v := s.beside(path, operator, bound); v != nil {
			return to(path, v)
		}
		return nil
	}
	if e.Kind() != ast.CallKind || len(e.AsCall().Args()) != 2 {
		return nil
	}
	a, b := e.AsCall().Args()[0], e.AsCall().Args()[1]
	va, aKnown := s.known(a)
	vb, bKnown := s.known(b)
	var out []option
	switch e.AsCall().FunctionName() {
	case operators.Subtract:
		if v, ok := plus(bound, vb); ok && bKnown { // a - b < bound: a < bound + b
			out = append(out, s.bring(a, operator, v)...)
		}
		if v, ok := minus(va, bound); ok && aKnown { // and b > a - bound
			out = append(out, s.bring(b, mirrored[operator], v)...)
		}
	case operators.Add:
		if v, ok := minus(bound, vb); ok && bKnown {
			out = append(out, s.bring(a, operator, v)...)
		}
		if v, ok := minus(bound, va); ok && aKnown {
			out = append(out, s.bring(b, operator, v)...)
		}
	}
	return out
}

func plus(a, b ref.Val) (ref.Val, bool) {
	x, ok := a.(traits.Adder)
	if !ok || b == nil {
		return nil, false
	}
	v := x.Add(b)
	return v, !types.IsUnknownOrError(v)
}

func minus(a, b ref.Val) (ref.Val, bool) {
	x, ok := a.(traits.Subtractor)
	if !ok || b == nil {
		return nil, false
	}
	v := x.Subtract(b)
	return v, !types.IsUnknownOrError(v)
}

// beside returns the value next to the bound that stands to it as the operator says. Somebody who authenticates again
// does so now.
func (s *solver) beside(path []string, operator string, bound ref.Val) ref.Val {
	later := operator == operators.Greater || operator == operators.GreaterEquals
	if strings.Join(path, ".") == "session.auth_time" && later {
		return s.read([]string{"now"})
	}
	if operator == operators.LessEquals || operator == operators.GreaterEquals {
		return bound
	}
	step := 1
	if !later {
		step = -1
	}
	switch v := bound.(type) {
	case types.Int:
		return v + types.Int(step)
	case types.Double:
		return v + types.Double(step)
	case types.Duration:
		return types.Duration{Duration: v.Duration + time.Duration(step)*time.Second}
	case types.Timestamp:
		return types.Timestamp{Time: v.Time.Add(time.Duration(step) * time.Second)}
	}
	return nil
}

// pool is the literals that the conditions compare each variable with.
type pool map[string][]ref.Val

// gather adds the literals of a condition.
func (p pool) gather(e ast.Expr) {
	if e.Kind() != ast.CallKind {
		return
	}
	call := e.AsCall()
	for _, arg := range call.Args() {
		p.gather(arg)
	}
	fn, args := call.FunctionName(), call.Args()
	if fn != operators.Equals && fn != operators.NotEquals && fn != operators.In {
		return
	}
	for _, pair := range [][2]ast.Expr{{args[0], args[1]}, {args[1], args[0]}} {
		path := pathOf(pair[0])
		if path == nil {
			continue
		}
		list := []ast.Expr{pair[1]}
		if pair[1].Kind() == ast.ListKind {
			list = pair[1].AsList().Elements()
		}
		for _, x := range list {
			p.note(strings.Join(path, "."), x)
		}
	}
}

func (p pool) note(name string, e ast.Expr) {
	const most = 16
	if e.Kind() != ast.LiteralKind || len(p[name]) >= most {
		return
	}
	if v := e.AsLiteral(); !isIn(v, p[name]) {
		p[name] = append(p[name], v)
	}
}
