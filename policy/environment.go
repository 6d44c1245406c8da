package policy

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/env"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// functions are all of the standard library that expressions can use. What can grow its input (replace, join, format),
// build values (map, filter, bytes) or switch off the type check (dyn, type) is left out.
var functions = []string{
	operators.Conditional, operators.LogicalAnd, operators.LogicalOr, operators.LogicalNot, operators.NotStrictlyFalse,
	operators.Equals, operators.NotEquals, operators.Less, operators.LessEquals, operators.Greater, operators.GreaterEquals,
	operators.Add, operators.Subtract, operators.Multiply, operators.Divide, operators.Modulo, operators.Negate,
	operators.Index, operators.In,
	"size", "startsWith", "endsWith", "contains", "matches", "int", "double", "string", "duration", "timestamp",
	"getFullYear", "getMonth", "getDayOfYear", "getDayOfMonth", "getDate", "getDayOfWeek", "getHours", "getMinutes",
	"getSeconds",
}

// subsetFunction is the name of the list check: unlike all(), it is false for an empty list.
const subsetFunction = "subset"

// environment returns the one environment in which all expressions are checked and planned.
var environment = sync.OnceValues(func() (*cel.Env, error) {
	// The evaluator labels an error that it passes on. Labelled here, the one it shares is never written to again.
	types.LabelErrNode(-1, types.NoSuchOverloadErr())
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, err
	}
	std := env.NewLibrarySubset()
	std.IncludeMacros = []string{"has", "all", "exists", "exists_one"}
	for _, f := range functions {
		std.AddIncludedFunctions(env.NewFunction(f))
	}
	opts := []cel.EnvOption{
		cel.CustomTypeProvider(provider{registry}),
		cel.StdLib(cel.StdLibSubset(std)),
		cel.ParserRecursionLimit(maxExprDepth),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserErrorRecoveryLimit(4),
		cel.ExpressionNodeLimit(maxExprNodes),
		cel.Function(subsetFunction, cel.Overload("subset_list_list", []*cel.Type{stringList, stringList}, cel.BoolType,
			cel.BinaryBinding(subset))),
	}
	for _, v := range variables {
		opts = append(opts, cel.VariableWithDoc(v.name, v.typ, v.doc))
	}
	return cel.NewCustomEnv(opts...)
})

// subset reports whether a is not empty and each of its entries is in b.
func subset(a, b ref.Val) ref.Val {
	part, ok := a.(traits.Lister)
	whole, ok2 := b.(traits.Lister)
	if !ok || !ok2 {
		return types.NewErr("subset: not a list")
	}
	held := make(map[types.String]bool, 8)
	for it := whole.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("subset: an entry is not a string")
		}
		held[s] = true
	}
	some, all := false, true
	for it := part.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return types.NewErr("subset: an entry is not a string")
		}
		some, all = true, all && held[s]
	}
	return types.Bool(some && all)
}
