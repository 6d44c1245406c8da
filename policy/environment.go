package policy

import (
	"slices"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/decls"
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
		cel.CustomTypeAdapter(plain{}),
		cel.StdLib(cel.StdLibSubset(std)),
		cel.ParserRecursionLimit(maxExprDepth),
		cel.ParserExpressionSizeLimit(maxExpression),
		cel.ParserErrorRecoveryLimit(4),
		cel.ExpressionNodeLimit(maxExprNodes),
		cel.Function(subsetFunction, decls.DisableTypeGuards(true), // subset looks at its arguments itself
			cel.Overload("subset_list_list", []*cel.Type{stringList, stringList}, cel.BoolType, cel.BinaryBinding(subset))),
	}
	for _, v := range variables {
		opts = append(opts, cel.VariableWithDoc(v.name, v.typ, v.doc))
	}
	return cel.NewCustomEnv(opts...)
})

// subset reports whether a is not empty and each of its entries is in b.
func subset(a, b ref.Val) ref.Val {
	part, ok := entries(a)
	whole, ok2 := entries(b)
	if !ok || !ok2 {
		return decls.MaybeNoSuchOverload(subsetFunction, a, b)
	}
	return types.Bool(len(part) > 0 && holdsAll(whole, part))
}

// entries returns the strings of a list; false where it is something else.
func entries(v ref.Val) ([]string, bool) {
	if l, ok := v.(*words); ok {
		return l.list, true
	}
	l, ok := v.(traits.Lister)
	if !ok {
		return nil, false
	}
	var out []string
	for it := l.Iterator(); it.HasNext() == types.True; {
		s, ok := it.Next().(types.String)
		if !ok {
			return nil, false
		}
		out = append(out, string(s))
	}
	return out, true
}

// holdsAll reports whether each entry of part is in whole.
func holdsAll(whole, part []string) bool {
	if len(whole) <= 16 { // looking through so few costs less than to hash them
		return !slices.ContainsFunc(part, func(s string) bool { return !slices.Contains(whole, s) })
	}
	held := make(map[string]struct{}, len(whole))
	for _, s := range whole {
		held[s] = struct{}{}
	}
	return !slices.ContainsFunc(part, func(s string) bool { _, ok := held[s]; return !ok })
}
