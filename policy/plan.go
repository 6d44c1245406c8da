package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/interpreter"
)

// direct is the plan option that reads variables by their place instead of their name, and makes constant lists of
// strings what subset looks into directly. It changes what evaluation costs, not what it comes to.
var direct = cel.CustomDecoratorV2(func(i interpreter.InterpretableV2) (interpreter.InterpretableV2, error) {
	switch n := i.(type) {
	case interpreter.InterpretableAttribute:
		if a, ok := n.Attr().(interpreter.NamespacedAttribute); ok && len(a.Qualifiers()) == 0 {
			if slot, ok := slotOf[a.CandidateVariableNames()[0]]; ok {
				return &slotValue{n.ID(), slot}, nil
			}
		}
	case interpreter.InterpretableConstructor:
		if list, ok := constants(n); ok {
			return interpreter.NewConstValue(n.ID(), newWords(list)), nil
		}
	}
	return i, nil
})

// constants returns the entries of a list of which each is a literal string.
func constants(n interpreter.InterpretableConstructor) ([]string, bool) {
	var out []string
	for _, e := range n.InitVals() {
		c, ok := e.(interpreter.InterpretableConst)
		if !ok {
			return nil, false
		}
		s, ok := c.Value().(types.String)
		if !ok {
			return nil, false
		}
		out = append(out, string(s))
	}
	return out, n.Type() == types.ListType
}

// slotValue reads a variable.
type slotValue struct {
	id   int64
	slot int
}

// ID implements interpreter.Interpretable.
func (v *slotValue) ID() int64 { return v.id }

// Exec implements interpreter.InterpretableV2.
func (v *slotValue) Exec(f *interpreter.ExecutionFrame) ref.Val {
	if s, ok := f.Scope().(*slots); ok {
		return s.value(v.slot)
	}
	return v.Eval(f) // within all, exists or exists_one, which stand between
}

// Eval implements interpreter.Interpretable.
func (v *slotValue) Eval(a interpreter.Activation) ref.Val {
	found, _ := a.ResolveName(variables[v.slot].name)
	if val, ok := found.(ref.Val); ok {
		return val
	}
	return types.NewErr("no variable %s", variables[v.slot].name)
}
