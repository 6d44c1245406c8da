package policy

import (
	"fmt"
	"regexp/syntax"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
)

// inspection is what the walk over a checked expression finds.
type inspection struct {
	checked     *ast.AST
	usesTarget  bool              // it reads the resource being decided
	expect      map[int64]dynType // dynamic operands and what they have to be
	err         error
	at          int64 // the node that err is about
	comprehends int   // comprehensions around the current node
}

// inspect refuses what the type checker lets pass and policies may not use.
func inspect(checked *ast.AST) (*inspection, error) {
	in := &inspection{checked: checked}
	in.walk(checked.Expr())
	return in, in.err
}

// fail notes what is wrong with a node, unless something was wrong before.
func (in *inspection) fail(e ast.Expr, format string, args ...any) {
	if in.err == nil {
		in.err, in.at = fmt.Errorf(format, args...), e.ID()
	}
}

func (in *inspection) walk(e ast.Expr) {
	switch e.Kind() {
	case ast.IdentKind:
		in.usesTarget = in.usesTarget || slices.Contains(targetVariables, e.AsIdent())
	case ast.SelectKind, ast.ListKind:
		in.walkAll(children(e))
	case ast.MapKind, ast.StructKind:
		in.fail(e, "maps and objects cannot be constructed")
	case ast.CallKind:
		in.call(e)
	case ast.ComprehensionKind:
		in.comprehension(e)
	}
}

func (in *inspection) walkAll(list []ast.Expr) {
	for _, x := range list {
		in.walk(x)
	}
}

// children returns the parts of an expression; of a call, what it is a member of first.
func children(e ast.Expr) []ast.Expr {
	switch e.Kind() {
	case ast.SelectKind:
		return []ast.Expr{e.AsSelect().Operand()}
	case ast.ListKind:
		return e.AsList().Elements()
	case ast.CallKind:
		return arguments(e.AsCall())
	case ast.ComprehensionKind:
		c := e.AsComprehension()
		return []ast.Expr{c.IterRange(), c.AccuInit(), c.LoopCondition(), c.LoopStep(), c.Result()}
	}
	return nil
}

func (in *inspection) comprehension(e ast.Expr) {
	c := e.AsComprehension()
	in.comprehends++
	if in.comprehends > 1 {
		in.fail(e, "all, exists and exists_one cannot be nested")
	}
	if root := c.IterVar(); slices.ContainsFunc(variables, func(v variable) bool {
		return v.name == root || strings.HasPrefix(v.name, root+".")
	}) {
		in.fail(e, "%q is a variable and cannot name an entry", root)
	}
	in.walkAll(children(e))
	in.comprehends--
}

func (in *inspection) call(e ast.Expr) {
	in.walkAll(children(e))
	args := e.AsCall().Args()
	switch fn := e.AsCall().FunctionName(); {
	case fn == operators.Equals || fn == operators.NotEquals:
		in.comparison(args[0], args[1])
	case fn == operators.In:
		in.membership(args[0], args[1])
	case fn == "matches":
		in.pattern(args[len(args)-1])
	case strings.HasPrefix(fn, "get") && len(args) == 1:
		in.zone(args[0])
	}
}

func (in *inspection) pattern(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		in.fail(e, "matches: the pattern must be a literal")
		return
	}
	s, _ := e.AsLiteral().Value().(string)
	if s == "" || len(s) > maxPattern {
		in.fail(e, "matches: the pattern must have between 1 and %d bytes", maxPattern)
		return
	}
	re, err := syntax.Parse(s, syntax.Perl)
	if err != nil {
		in.fail(e, "matches: %v", err)
		return
	}
	if nested(re, false) {
		in.fail(e, "matches: the pattern repeats a repeat")
		return
	}
	if n, err := compiled(s); err != nil || n > maxProgram {
		in.fail(e, "matches: the pattern is too complex")
	}
}

// nested reports whether the expression repeats something that repeats.
func nested(re *syntax.Regexp, inside bool) bool {
	switch re.Op {
	case syntax.OpStar, syntax.OpPlus, syntax.OpQuest, syntax.OpRepeat:
		if inside {
			return true
		}
		inside = true
	}
	return slices.ContainsFunc(re.Sub, func(sub *syntax.Regexp) bool { return nested(sub, inside) })
}

// zone refuses a time zone that would be found, or not, only when the expression is evaluated.
func (in *inspection) zone(e ast.Expr) {
	if e.Kind() != ast.LiteralKind {
		in.fail(e, "a time zone must be a literal")
		return
	}
	s, _ := e.AsLiteral().Value().(string)
	at := types.Timestamp{Time: time.Unix(0, 0).UTC()}
	got := at.Receive("getHours", "timestamp_to_hours_with_tz", []ref.Val{types.String(s)})
	if s == "" || s == "Local" || types.IsError(got) {
		in.fail(e, "unknown time zone %q", bounded(s))
	}
}
