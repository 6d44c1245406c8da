package cases

import (
	"slices"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/tokenboundary/tokenboundary/bench/suite"
)

// slots is an activation of values that are boxed already, the fastest that the library can read.
type slots struct{ values [10]ref.Val }

// names are the variables, in the order of the slots.
var names = [10]string{
	"grant", "connection", "client.kind", "subject.kind", "actor.issuer", "session.kind", "session.acr", "task.purpose", "risk.level",
	"request.scopes",
}

func (s *slots) fill(a *Attributes) {
	for i, v := range [9]string{a.Grant, a.Connection, a.ClientKind, a.SubjectKind, a.ActorIssuer, a.SessionKind, a.ACR, a.Purpose, a.Risk} {
		s.values[i] = types.String(v)
	}
	s.values[9] = types.NewStringList(types.DefaultTypeAdapter, a.Scopes)
}

// ResolveName implements cel.Activation.
func (s *slots) ResolveName(name string) (any, bool) {
	switch name {
	case "grant":
		return s.values[0], true
	case "connection":
		return s.values[1], true
	case "client.kind":
		return s.values[2], true
	case "subject.kind":
		return s.values[3], true
	case "actor.issuer":
		return s.values[4], true
	case "session.kind":
		return s.values[5], true
	case "session.acr":
		return s.values[6], true
	case "task.purpose":
		return s.values[7], true
	case "risk.level":
		return s.values[8], true
	case "request.scopes":
		return s.values[9], true
	}
	return nil, false
}

// Parent implements cel.Activation.
func (s *slots) Parent() cel.Activation { return nil }

// openCEL measures the library alone: flat variables, values boxed by hand, constant lists as sets, the list check as a
// function. There is no limit of cost and no context. It returns true or false and nothing else.
func openCEL(before bool) (*suite.Instance, error) {
	stringList := cel.ListType(cel.StringType)
	opts := []cel.EnvOption{cel.Function("subset", cel.Overload("subset_list_list", []*cel.Type{stringList, stringList}, cel.BoolType,
		cel.BinaryBinding(subset)))}
	for i, n := range names {
		t := cel.StringType
		if i == len(names)-1 {
			t = stringList
		}
		opts = append(opts, cel.Variable(n, t))
	}
	env, err := cel.NewEnv(opts...)
	if err != nil {
		return nil, err
	}
	checked, issues := env.Compile(condition)
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	plan, err := env.Program(checked, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	s, a := &slots{}, Known()
	s.fill(&a)
	run := func(s *slots) (bool, error) {
		out, _, err := plan.Eval(s)
		return out == types.True, err
	}
	return Engine(func() (bool, error) {
		if !before {
			s.fill(&a)
		}
		return run(s)
	}, func(a Attributes) (bool, error) {
		s := &slots{}
		s.fill(&a)
		return run(s)
	}), nil
}

// subset reports whether part is not empty and each of its texts is in whole, a list in the condition.
func subset(part, whole ref.Val) ref.Val {
	some, ok := part.Value().([]string)
	all, isList := whole.Value().([]ref.Val)
	if !ok || !isList {
		return types.NewErr("subset: not a list of texts")
	}
	for _, s := range some {
		if !slices.ContainsFunc(all, func(v ref.Val) bool { return v == types.String(s) }) {
			return types.False
		}
	}
	return types.Bool(len(some) > 0)
}
