package policy

import (
	"fmt"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

func (t analysis) typeOf(e ast.Expr) *types.Type { return t.checked.GetType(e.ID()) }

// name returns the variable that e is; "" where it is none.
func (t analysis) name(e ast.Expr) string {
	if e.Kind() != ast.IdentKind {
		return ""
	}
	if r, ok := t.checked.ReferenceMap()[e.ID()]; ok && r.Name != "" {
		return r.Name
	}
	return e.AsIdent()
}

// key writes e so that two expressions with one key have one value during an evaluation.
func (t analysis) key(e ast.Expr) string {
	switch e.Kind() {
	case ast.IdentKind:
		return t.name(e)
	case ast.LiteralKind:
		v := e.AsLiteral()
		return fmt.Sprintf("%s:%q", v.Type().TypeName(), fmt.Sprint(v.Value()))
	case ast.SelectKind:
		s := e.AsSelect()
		if s.IsTestOnly() {
			return presenceKey(t.key(s.Operand()), s.FieldName())
		}
		return t.key(s.Operand()) + "." + s.FieldName()
	case ast.ListKind:
		return callKey("list", t.keys(e)...)
	case ast.CallKind:
		return callKey(e.AsCall().FunctionName(), t.keys(e)...)
	case ast.ComprehensionKind:
		return callKey("for "+e.AsComprehension().IterVar(), t.keys(e)...)
	}
	return fmt.Sprintf("node %d", e.ID())
}

// keys are those of the parts of e.
func (t analysis) keys(e ast.Expr) []string {
	list := children(e)
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = t.key(x)
	}
	return out
}

func callKey(fn string, args ...string) string { return fn + "(" + strings.Join(args, ",") + ")" }

// presenceKey is the key of has(of.field), which is what "field" in of asks too.
func presenceKey(of, field string) string { return callKey("has", of, fmt.Sprintf("%q", field)) }

// arguments are those of a call, the one it is a member of first.
func arguments(call ast.CallExpr) []ast.Expr {
	if call.IsMemberFunction() {
		return append([]ast.Expr{call.Target()}, call.Args()...)
	}
	return call.Args()
}

// literal returns the value of an expression that has one whatever the request.
func literal(e ast.Expr) (ref.Val, bool) {
	switch e.Kind() {
	case ast.LiteralKind:
		return e.AsLiteral(), true
	case ast.CallKind:
		call := e.AsCall()
		fn := call.FunctionName()
		to := map[string]ref.Type{"timestamp": types.TimestampType, "duration": types.DurationType}[fn]
		if to == nil || len(arguments(call)) != 1 || call.Args()[0].Kind() != ast.LiteralKind {
			return nil, false
		}
		v := call.Args()[0].AsLiteral().ConvertToType(to)
		return v, !types.IsError(v)
	}
	return nil, false
}

// literals returns the entries of a list that are all literal.
func literals(e ast.Expr) ([]ref.Val, bool) {
	if e.Kind() != ast.ListKind {
		return nil, false
	}
	var out []ref.Val
	for _, x := range e.AsList().Elements() {
		v, ok := literal(x)
		if !ok {
			return nil, false
		}
		out = append(out, v)
	}
	return out, true
}

// literalTexts returns the entries of a list that are all literal texts; not nil where it is one.
func literalTexts(e ast.Expr) ([]string, bool) {
	list, ok := literals(e)
	out := make([]string, 0, len(list))
	for _, v := range list {
		s, isText := v.(types.String)
		ok = ok && isText
		out = append(out, string(s))
	}
	return out, ok
}
