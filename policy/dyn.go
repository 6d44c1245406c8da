package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/interpreter"
)

// The evaluator calls values of different types unequal. For a dynamic value that would make a wrong type pass as an
// answer: with tenant_frozen set to the text "true", `env.tenant_frozen != true` would hold. So what is compared with a
// dynamic value must have a known type, and at run time the dynamic value must be of that type, or evaluation fails.

// dynType is what a dynamic operand has to be: a value of the kind, or a list of such values.
type dynType struct {
	kind scalar
	list bool
}

type scalar uint8

const (
	notScalar scalar = iota
	aBool
	aNumber
	aString
	aTime
	aDuration
	aNull
)

func scalarOf(t *types.Type) scalar {
	switch t.Kind() {
	case types.BoolKind:
		return aBool
	case types.IntKind, types.UintKind, types.DoubleKind:
		return aNumber
	case types.StringKind:
		return aString
	case types.TimestampKind:
		return aTime
	case types.DurationKind:
		return aDuration
	case types.NullTypeKind:
		return aNull
	}
	return notScalar
}

func scalarKind(v ref.Val) scalar {
	switch v.(type) {
	case types.Bool:
		return aBool
	case types.Int, types.Uint, types.Double:
		return aNumber
	case types.String:
		return aString
	case types.Timestamp:
		return aTime
	case types.Duration:
		return aDuration
	case types.Null:
		return aNull
	}
	return notScalar
}

func isDyn(t *types.Type) bool { return t.Kind() == types.DynKind || t.Kind() == types.AnyKind }

// holdsDyn reports whether a type has a dynamic part.
func holdsDyn(t *types.Type) bool {
	if isDyn(t) {
		return true
	}
	for _, p := range t.Parameters() {
		if holdsDyn(p) {
			return true
		}
	}
	return false
}

func (in *inspection) want(e ast.Expr, t dynType) {
	if in.expect == nil {
		in.expect = map[int64]dynType{}
	}
	in.expect[e.ID()] = t
}

func (in *inspection) comparison(a, b ast.Expr) {
	ta, tb := in.checked.GetType(a.ID()), in.checked.GetType(b.ID())
	if !isDyn(ta) {
		a, b, ta, tb = b, a, tb, ta
	}
	if !holdsDyn(ta) && !holdsDyn(tb) {
		return
	}
	kind := scalarOf(tb)
	if !isDyn(ta) || kind == notScalar {
		in.fail(a, "a dynamic value can only be compared with a value of a known simple type")
		return
	}
	if kind != aNull {
		in.want(a, dynType{kind: kind})
	}
}

func (in *inspection) membership(elem, set ast.Expr) {
	te, ts := in.checked.GetType(elem.ID()), in.checked.GetType(set.ID())
	if !holdsDyn(te) && !holdsDyn(ts) {
		return
	}
	const must = "in: the entry or the entries must be of a known simple type"
	switch {
	case isDyn(te):
		if ts.Kind() != types.ListKind && ts.Kind() != types.MapKind || scalarOf(ts.Parameters()[0]) == notScalar {
			in.fail(elem, must)
			return
		}
		in.want(elem, dynType{kind: scalarOf(ts.Parameters()[0])})
	case scalarOf(te) == notScalar:
		in.fail(elem, must)
	case isDyn(ts):
		in.want(set, dynType{kind: scalarOf(te), list: true})
	case ts.Kind() == types.MapKind && !holdsDyn(ts.Parameters()[0]):
	default:
		in.fail(elem, must)
	}
}

// strict returns the plan option that enforces the expectations.
func (in *inspection) strict() cel.ProgramOption {
	return cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
		t, ok := in.expect[i.ID()]
		if !ok {
			return i, nil
		}
		switch n := i.(type) {
		case *strictAttribute, *strictValue:
			return i, nil
		case interpreter.InterpretableAttribute:
			return &strictAttribute{n, t}, nil
		}
		return &strictValue{i, t}, nil
	})
}

type strictAttribute struct {
	interpreter.InterpretableAttribute
	want dynType
}

// Exec implements interpreter.InterpretableV2.
func (s *strictAttribute) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return s.want.check(s.InterpretableAttribute.Exec(f))
}

// Eval implements interpreter.Interpretable.
func (s *strictAttribute) Eval(a interpreter.Activation) ref.Val {
	return s.want.check(s.InterpretableAttribute.Eval(a))
}

type strictValue struct {
	interpreter.InterpretableV2
	want dynType
}

// Exec implements interpreter.InterpretableV2.
func (s *strictValue) Exec(f *interpreter.ExecutionFrame) ref.Val {
	return s.want.check(s.InterpretableV2.Exec(f))
}

// Eval implements interpreter.Interpretable.
func (s *strictValue) Eval(a interpreter.Activation) ref.Val {
	return s.want.check(s.InterpretableV2.Eval(a))
}

// check returns v, or an error where it is not what it has to be.
func (t dynType) check(v ref.Val) ref.Val {
	if types.IsUnknownOrError(v) {
		return v
	}
	if !t.list {
		if scalarKind(v) != t.kind {
			return types.NewErr("a dynamic value is of the wrong type")
		}
		return v
	}
	switch l := v.(type) {
	case traits.Mapper: // in asks for a key, and keys are strings
		if t.kind == aString {
			return v
		}
	case traits.Lister:
		for it := l.Iterator(); it.HasNext() == types.True; {
			if scalarKind(it.Next()) != t.kind {
				return types.NewErr("an entry of a dynamic list is of the wrong type")
			}
		}
		return v
	}
	return types.NewErr("a dynamic value is not a list")
}
