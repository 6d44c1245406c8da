package policy

import (
	"regexp/syntax"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
)

// estimator tells the cost estimate how large the inputs can be. Each bound is enforced when a value is boxed.
type estimator struct{}

// EstimateSize implements cost.Estimator.
func (estimator) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	most := fallback(n.Type())
	if path := n.Path(); len(path) > 0 {
		if i, ok := slotOf[path[0]]; ok {
			most = pathSize(variables[i], path, n.Type())
		}
	}
	size := cost.RangedSizeEstimate(0, uint64(most))
	return &size
}

func pathSize(v variable, path []string, t *types.Type) int {
	switch {
	case len(path) == 1:
		return v.most
	case v.elem > 0:
		return v.elem
	}
	return fallback(t)
}

// fallback is the largest size of a value that is not a variable: a part of a dynamic one, or made from one by a
// conversion, which never makes it larger.
func fallback(t *types.Type) int {
	switch t.Kind() {
	case types.ListKind, types.MapKind:
		return maxDynItems
	case types.StringKind, types.DynKind, types.AnyKind:
		return maxDynText
	}
	return 1
}

// EstimateCallCost implements cost.Estimator for the two functions whose standard estimate does not fit.
func (e estimator) EstimateCallCost(function, _ string, target *cost.AstNode, args []cost.AstNode) *cost.CallEstimate {
	switch function {
	case subsetFunction:
		n := e.size(args[0]).Max + e.size(args[1]).Max
		return cost.NewCallEstimate(cost.Estimate{Min: 1, Max: 1 + 4*n}, nil)
	case "matches":
		text, pattern := target, args[0]
		if target == nil {
			text, pattern = &args[0], args[1]
		}
		n := e.size(*text).Max
		return cost.NewCallEstimate(cost.Estimate{Min: 1, Max: 1 + n*uint64(instructions(pattern.Expr()))/4}, nil)
	}
	return nil
}

func (e estimator) size(n cost.AstNode) cost.SizeEstimate {
	if s := n.ComputedSize(); s != nil {
		return *s
	}
	return *e.EstimateSize(n)
}

// instructions returns the length of the compiled pattern; that of the longest one allowed where it is not a literal.
func instructions(pattern ast.Expr) int {
	if pattern.Kind() == ast.LiteralKind {
		if s, ok := pattern.AsLiteral().Value().(string); ok {
			if n, err := compiled(s); err == nil {
				return n
			}
		}
	}
	return maxProgram
}

// compiled returns how many instructions a pattern compiles to.
func compiled(pattern string) (int, error) {
	re, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		return 0, err
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		return 0, err
	}
	return len(prog.Inst), nil
}
