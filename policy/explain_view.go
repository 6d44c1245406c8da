package policy

import (
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// views look into conditions. A set keeps only the plans of its conditions, so each is parsed again when it is first
// looked into, and planned so that every part of it is evaluated and remembered.
type views struct {
	env   *cel.Env
	made  map[*program]*view
	texts map[string]string // of the values of the request, by name
	left  int               // bytes of values and parts that may still be told
	looks int               // times that a condition may still be looked into
}

const (
	maxExplained = 1 << 20
	maxViews     = 4096
	maxLooks     = 50_000
)

// lookingEnvironment is the environment in which all conditions are checked, and keeps what it takes to write a part down.
var lookingEnvironment = sync.OnceValues(func() (*cel.Env, error) {
	env, err := environment()
	if err != nil {
		return nil, err
	}
	return env.Extend(cel.EnableMacroCallTracking())
})

func newViews() (*views, error) {
	env, err := lookingEnvironment()
	return &views{
		env: env, made: map[*program]*view{}, texts: map[string]string{}, left: maxExplained, looks: maxLooks,
	}, err
}

// view is a condition that can be looked into.
type view struct {
	plan cel.Program
	root ast.Expr
	info *ast.SourceInfo
}

// of returns the view of a condition; nil where it cannot be looked into.
func (v *views) of(p *program) *view {
	made, ok := v.made[p]
	if !ok && len(v.made) < maxViews {
		made = v.open(p.text)
		v.made[p] = made
	}
	return made
}

func (v *views) open(text string) *view {
	checked, err := check(v.env, text)
	if err != nil {
		return nil
	}
	in, err := inspect(checked.NativeRep())
	if err != nil {
		return nil
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptExhaustiveEval)}
	if len(in.expect) > 0 {
		opts = append(opts, in.strict())
	}
	plan, err := v.env.Program(checked, opts...)
	if err != nil {
		return nil
	}
	return &view{plan, checked.NativeRep().Expr(), checked.NativeRep().SourceInfo()}
}

// see evaluates every part of a condition.
func (v *views) see(p *program, vars *slots) *trace {
	v.looks--
	view := v.of(p)
	if view == nil || v.looks < 0 {
		return nil
	}
	_, details, _ := view.plan.Eval(cel.Activation(vars)) // an error is what one of the parts came to
	if details == nil || details.State() == nil {
		return nil
	}
	return &trace{view, vars, details.State()}
}

// spend takes what a step tells from what may be told. A step that tells too much tells nothing.
func (v *views) spend(step *Step) {
	for _, value := range step.Values {
		v.left -= len(value.Name) + len(value.JSON)
	}
	v.left -= shown(step.Parts)
	if v.left < 0 {
		step.Values, step.Parts = nil, nil
	}
}

func shown(parts []Part) int {
	n := 0
	for _, p := range parts {
		n += len(p.Text) + len(p.Why) + shown(p.Parts)
	}
	return n
}

// trace is what the parts of a condition came to.
type trace struct {
	*view
	vars  *slots
	state interpreter.EvalState
}

// logic returns the operator of a conjunction or disjunction and its operands, those of the same operator inside taken
// apart; none where e is something else.
func logic(e ast.Expr) (operator string, operands []ast.Expr) {
	if e.Kind() != ast.CallKind {
		return "", nil
	}
	operator = e.AsCall().FunctionName()
	if operator != operators.LogicalAnd && operator != operators.LogicalOr {
		return "", nil
	}
	for _, arg := range e.AsCall().Args() {
		if inner, list := logic(arg); inner == operator {
			operands = append(operands, list...)
		} else {
			operands = append(operands, arg)
		}
	}
	return operator, operands
}

// outcome returns what a part of type bool came to.
func (s *trace) outcome(e ast.Expr) (Outcome, string) {
	operator, operands := logic(e)
	if operator == "" {
		return s.simple(e)
	}
	decides := OutcomeFalse // what one operand of this outcome makes of the whole
	other := OutcomeTrue
	if operator == operators.LogicalOr {
		decides, other = other, decides
	}
	out, why := other, ""
	for _, x := range operands {
		switch o, w := s.outcome(x); {
		case o == decides:
			return o, ""
		case o != other && out == other:
			out, why = o, w
		}
	}
	return out, why
}

func (s *trace) simple(e ast.Expr) (Outcome, string) {
	v, ok := s.value(e)
	switch {
	case !ok:
		return "", ""
	case v == types.True:
		return OutcomeTrue, ""
	case v == types.False:
		return OutcomeFalse, ""
	}
	if err, isErr := v.(*types.Err); isErr {
		return OutcomeFailed, bounded(err.Error())
	}
	return OutcomeFailed, "neither true nor false"
}

// value returns what a part came to, which can be an error.
func (s *trace) value(e ast.Expr) (ref.Val, bool) {
	if e.Kind() == ast.LiteralKind {
		return e.AsLiteral(), true
	}
	if path := pathOf(e); path != nil && !asksFor(e) {
		return s.read(path), true
	}
	if v, ok := s.state.Value(e.ID()); ok {
		return v, true
	}
	return s.unvisited(e)
}

// parts returns the operands of the condition as a tree.
func (s *trace) parts() []Part { return s.under(s.root) }

func (s *trace) under(e ast.Expr) []Part {
	_, operands := logic(e)
	out := make([]Part, 0, len(operands))
	for _, x := range operands {
		p := Part{Text: s.text(x), Parts: s.under(x)}
		p.Outcome, p.Why = s.outcome(x)
		out = append(out, p)
	}
	return out
}

// text returns the source of a part.
func (s *trace) text(e ast.Expr) string {
	text, err := cel.ExprToString(e, s.info)
	if err != nil {
		return "?"
	}
	return bounded(text)
}
