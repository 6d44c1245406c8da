package policy

import (
	"slices"
	"strings"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
)

// values returns what the condition reads, each once.
func (s *trace) values(texts map[string]string) []Value {
	var out []Value
	eachPath(s.root, func(path []string) {
		name := strings.Join(path, ".")
		if !slices.ContainsFunc(out, func(v Value) bool { return v.Name == name }) {
			out = append(out, Value{name, s.textOf(name, path, texts)})
		}
	})
	return out
}

// textOf returns a value as JSON. Only what differs between resources is not the same throughout a request.
func (s *trace) textOf(name string, path []string, texts map[string]string) string {
	if slices.Contains(targetVariables, path[0]) {
		return jsonText(s.read(path))
	}
	text, ok := texts[name]
	if !ok {
		text = jsonText(s.read(path))
		texts[name] = text
	}
	return text
}

// eachPath calls f for every variable, or member of one, that is read under e.
func eachPath(e ast.Expr, f func(path []string)) {
	if path := pathOf(e); path != nil {
		f(path)
		return
	}
	for _, x := range children(e) {
		eachPath(x, f)
	}
}

// pathOf returns the variable that e reads, and the members below it; nil where e is something else. What has() asks
// for is read as well.
func pathOf(e ast.Expr) []string {
	switch e.Kind() {
	case ast.IdentKind:
		if _, ok := slotOf[e.AsIdent()]; ok {
			return []string{e.AsIdent()}
		}
	case ast.SelectKind:
		if path := pathOf(e.AsSelect().Operand()); path != nil {
			return append(path, e.AsSelect().FieldName())
		}
	}
	return nil
}

// asksFor reports whether e is has().
func asksFor(e ast.Expr) bool { return e.Kind() == ast.SelectKind && e.AsSelect().IsTestOnly() }

// read returns the value at a path.
func (s *trace) read(path []string) ref.Val {
	v := s.vars.value(slotOf[path[0]])
	for _, member := range path[1:] {
		m, ok := v.(traits.Mapper)
		if !ok {
			return absent(member)
		}
		if v, ok = m.Find(types.String(member)); !ok {
			return absent(member)
		}
	}
	return v
}

// unvisited returns what a part comes to that was not evaluated because what it is compared with failed, if that is
// simple to tell.
func (s *trace) unvisited(e ast.Expr) (ref.Val, bool) {
	var list []ref.Val
	var parts []ast.Expr
	switch e.Kind() {
	case ast.ListKind:
		parts = e.AsList().Elements()
	case ast.CallKind:
		parts = e.AsCall().Args()
	default:
		return nil, false
	}
	for _, x := range parts {
		v, ok := s.known(x)
		if !ok {
			return nil, false
		}
		list = append(list, v)
	}
	if e.Kind() == ast.ListKind {
		return types.NewRefValList(types.DefaultTypeAdapter, list), true
	}
	return called(e.AsCall().FunctionName(), list)
}

// called returns what one of the few functions comes to that bounds are written with.
func called(function string, args []ref.Val) (ref.Val, bool) {
	switch {
	case function == "duration" && len(args) == 1:
		return args[0].ConvertToType(types.DurationType), true
	case function == "timestamp" && len(args) == 1:
		return args[0].ConvertToType(types.TimestampType), true
	case function == operators.Add && len(args) == 2:
		return plus(args[0], args[1])
	case function == operators.Subtract && len(args) == 2:
		return minus(args[0], args[1])
	}
	return nil, false
}

// known returns what a part comes to, if it is no error.
func (s *trace) known(e ast.Expr) (ref.Val, bool) {
	v, ok := s.value(e)
	return v, ok && !types.IsUnknownOrError(v)
}
