package policy

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// program is one compiled condition. Rules with the same text share it.
type program struct {
	plan       cel.Program
	always     bool // it is the literal true
	usesTarget bool // its outcome can differ between the resources of one request
}

// outcome is what a condition comes to. Only holds permits, and only not lets a deny rule pass.
type outcome uint8

const (
	unknown outcome = iota
	holds
	not
	failed
)

// run evaluates the condition. The text says why it failed.
func (p *program) run(vars cel.Activation) (outcome, string) {
	if p.always {
		return holds, ""
	}
	out, _, err := p.plan.Eval(vars)
	switch {
	case err != nil:
		return failed, bounded(err.Error())
	case out == types.True:
		return holds, ""
	case out == types.False:
		return not, ""
	}
	return failed, "the condition is neither true nor false"
}

// compile makes a program of a condition, or says why it cannot be one.
func compile(env *cel.Env, text string) (*program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	checked, err := check(env, text)
	if err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, fmt.Errorf("the expression must be a bool, not %s%s", cel.FormatCELType(t), dynHint(t))
	}
	in, err := inspect(checked.NativeRep())
	if err != nil {
		return nil, err
	}
	estimate, err := env.EstimateCost(checked, estimator{})
	if err != nil {
		return nil, err
	}
	if estimate.Max > maxCost {
		return nil, fmt.Errorf("the expression may cost %d in the worst case, more than %d", estimate.Max, maxCost)
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), direct}
	if len(in.expect) > 0 {
		opts = append(opts, in.strict())
	}
	plan, err := env.Program(checked, opts...)
	if err != nil {
		return nil, errors.New(bounded(err.Error()))
	}
	root := checked.NativeRep().Expr()
	always := root.Kind() == ast.LiteralKind && root.AsLiteral() == types.True
	return &program{plan, always, in.usesTarget}, nil
}

// check parses and type-checks. It never asks the issues for their error: that draws a picture of each under the
// expression, at a cost of hundreds of megabytes for a long one with many mistakes.
func check(env *cel.Env, text string) (*cel.Ast, error) {
	parsed, issues := env.Parse(text)
	if len(issues.Errors()) > 0 {
		return nil, issuesError(issues)
	}
	checked, issues := env.Check(parsed)
	if len(issues.Errors()) > 0 {
		return nil, issuesError(issues)
	}
	return checked, nil
}

func dynHint(t *cel.Type) string {
	if isDyn(t) {
		return " (write == true)"
	}
	return ""
}

// issuesError puts up to three issues into one short error, each with its place in the expression.
func issuesError(issues *cel.Issues) error {
	var parts []string
	for i, e := range issues.Errors() {
		if i == 3 {
			break
		}
		place := ""
		if e.Location.Line() > 0 {
			place = fmt.Sprintf("%d:%d: ", e.Location.Line(), e.Location.Column()+1)
		}
		parts = append(parts, place+bounded(e.Message)+memberHint(e.Message))
	}
	return errors.New(strings.Join(parts, "; "))
}

// memberHint lists the members of a name that an expression uses with a member it does not have.
func memberHint(message string) string {
	name, ok := strings.CutPrefix(message, "undeclared reference to '")
	name, _, closed := strings.Cut(name, "'")
	name, _, _ = strings.Cut(name, ".")
	var members []string
	for _, v := range variables {
		if strings.HasPrefix(v.name, name+".") {
			members = append(members, v.name)
		}
	}
	if !ok || !closed || len(members) == 0 {
		return ""
	}
	return " (there is " + strings.Join(members, ", ") + ")"
}

var errGivenUp = errors.New("not looked at: too many problems elsewhere")

// compileAll compiles the conditions of all documents, each distinct text once, on all processors, and gives every
// rule its program.
func compileAll(docs []*document) ([]Problem, error) {
	env, err := environment()
	if err != nil {
		return nil, fmt.Errorf("policy: environment: %w", err)
	}
	index := map[string]int{}
	var list []string
	each(docs, func(_ *document, r *rule) {
		if _, ok := index[r.when]; !ok {
			index[r.when] = len(list)
			list = append(list, r.when)
		}
	})
	if len(list) > maxExpressions {
		return []Problem{{Message: fmt.Sprintf("more than %d distinct expressions", maxExpressions)}}, nil
	}
	programs, errs := make([]*program, len(list)), make([]error, len(list))
	var bad atomic.Int32
	parallel(len(list), func(i int) {
		// An expression that is no expression is dearer to refuse than a good one is to compile.
		if bad.Load() > maxProblems {
			errs[i] = errGivenUp
		} else if programs[i], errs[i] = compile(env, list[i]); errs[i] != nil {
			bad.Add(1)
		}
	})
	var problems []Problem
	each(docs, func(d *document, r *rule) {
		i := index[r.when]
		r.prog = programs[i]
		if errs[i] != nil {
			problems = append(problems, Problem{d.file, r.line, r.name, "when: " + errs[i].Error()})
		}
	})
	return problems, nil
}

// each calls f for every rule.
func each(docs []*document, f func(*document, *rule)) {
	for _, d := range docs {
		for i := range d.allow {
			f(d, &d.allow[i])
		}
		for i := range d.deny {
			f(d, &d.deny[i])
		}
	}
}

// parallel calls f for 0 … n-1 on all processors and returns when all calls have.
func parallel(n int, f func(int)) {
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
