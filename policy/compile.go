package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/types"
)

// program is one compiled condition. Rules with the same text share it.
type program struct {
	plan       cel.Program
	always     bool // it is the literal true
	usesTarget bool // its outcome can differ between the resources of one request
	text       string
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

// flaw is what is wrong with an expression, and the byte of it to look at.
type flaw struct {
	message string
	at      int
}

// Error implements error.
func (f *flaw) Error() string { return f.message }

// compile makes a program of a condition, or says why it cannot be one: in a *flaw, where there is a place to look at.
func compile(env *cel.Env, text string) (*program, error) {
	if len(text) > maxExpression {
		return nil, fmt.Errorf("the expression is longer than %d bytes", maxExpression)
	}
	checked, err := check(env, text)
	if err != nil {
		return nil, err
	}
	if t := checked.OutputType(); !t.IsExactType(cel.BoolType) {
		return nil, &flaw{fmt.Sprintf("the expression must be a bool, not %s%s", cel.FormatCELType(t), dynHint(t)), 0}
	}
	in, err := inspect(checked.NativeRep())
	if err != nil {
		return nil, &flaw{err.Error(), placeOf(text, checked.NativeRep().SourceInfo().GetStartLocation(in.at))}
	}
	estimate, err := env.EstimateCost(checked, estimator{})
	if err != nil {
		return nil, err
	}
	if estimate.Max > maxCost {
		return nil, &flaw{fmt.Sprintf("the expression may cost %d in the worst case, more than %d", estimate.Max, maxCost), 0}
	}
	opts := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), direct}
	if len(in.expect) > 0 {
		opts = append(opts, in.strict())
	}
	plan, err := env.Program(checked, opts...)
	if err != nil {
		return nil, &flaw{bounded(err.Error()), placeOf(text, startOf(err, checked.NativeRep()))}
	}
	root := checked.NativeRep().Expr()
	always := root.Kind() == ast.LiteralKind && root.AsLiteral() == types.True
	return &program{plan, always, in.usesTarget, text}, nil
}

// check parses and type-checks. It never asks the issues for their error: that draws a picture of each under the
// expression, at a cost of hundreds of megabytes for a long one with many mistakes.
func check(env *cel.Env, text string) (*cel.Ast, error) {
	parsed, issues := env.Parse(text)
	if len(issues.Errors()) > 0 {
		return nil, issuesError(text, issues)
	}
	checked, issues := env.Check(parsed)
	if len(issues.Errors()) > 0 {
		return nil, issuesError(text, issues)
	}
	return checked, nil
}

func dynHint(t *cel.Type) string {
	if isDyn(t) {
		return " (write == true)"
	}
	return ""
}

// issuesError puts up to three issues into one short error, each with its place in the expression, and points at the first.
func issuesError(text string, issues *cel.Issues) error {
	var parts []string
	out := &flaw{}
	for i, e := range issues.Errors() {
		if i == 3 {
			break
		}
		if i == 0 {
			out.at = placeOf(text, e.Location)
		}
		place := ""
		if e.Location.Line() > 0 {
			place = fmt.Sprintf("%d:%d: ", e.Location.Line(), e.Location.Column()+1)
		}
		parts = append(parts, place+bounded(e.Message)+memberHint(e.Message))
	}
	out.message = strings.Join(parts, "; ")
	return out
}

// startOf returns the location of what an error of planning is about: a constant part that cannot be evaluated.
func startOf(err error, checked *ast.AST) common.Location {
	if e, ok := errors.AsType[*types.Err](err); ok {
		return checked.SourceInfo().GetStartLocation(e.NodeID())
	}
	return common.NoLocation
}

// placeOf returns the byte of the text that is at a location, which counts lines from 1 and characters from 0.
func placeOf(text string, at common.Location) int {
	offset := 0
	for range at.Line() - 1 {
		next := strings.IndexByte(text[offset:], '\n')
		if next < 0 {
			break
		}
		offset += next + 1
	}
	for range max(at.Column(), 0) {
		_, size := utf8.DecodeRuneInString(text[offset:])
		offset += size
	}
	return offset
}

// memberHint lists the members of a name that an expression uses with a member it does not have, where the message does
// not suggest one of them.
func memberHint(message string) string {
	name, ok := strings.CutPrefix(message, "undeclared reference to '")
	name, _, closed := strings.Cut(name, "'")
	name, _, _ = strings.Cut(name, ".")
	_, meant, _ := strings.Cut(message, "(did you mean '")
	meant, _, _ = strings.Cut(meant, "'")
	var members []string
	for _, v := range variables {
		if strings.HasPrefix(v.name, name+".") {
			members = append(members, v.name)
		}
	}
	if !ok || !closed || len(members) == 0 || slices.Contains(members, meant) {
		return ""
	}
	return " (there is " + strings.Join(members, ", ") + ")"
}

var errGivenUp = errors.New("not looked at: too many problems elsewhere")

// compileAll compiles the conditions of all documents, each distinct text once unless it is known, and gives every rule its
// program.
func compileAll(docs []*document, how loading) ([]Problem, error) {
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
	how.parallel(len(list), func(i int) {
		if programs[i] = how.known[list[i]]; programs[i] != nil {
			return
		}
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
			problems = append(problems, problemOf(d, r, errs[i]))
		}
	})
	return problems, nil
}

func problemOf(d *document, r *rule, err error) Problem {
	p := Problem{File: d.file, Line: r.line, Rule: r.name, Message: "when: " + err.Error()}
	if f, ok := errors.AsType[*flaw](err); ok {
		p.Expression, p.Offset = r.when, f.at
	}
	return p
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
