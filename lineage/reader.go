package lineage

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// reader reads the canonical encoding in one pass. It knows one spelling of each value, the one that normalise and
// encode leave, and takes the members of each type in their order. Anything else makes it fail; what it has read is then
// worth nothing. It does not say what is wrong.
type reader struct{ *canon.Reader }

// read reports whether raw is what encode writes for a normal value, which it then leaves in v, a pointer.
func read(raw []byte, v any) bool {
	r := reader{canon.NewReader(string(raw))}
	r.value(reflect.ValueOf(v).Elem())
	return r.Done()
}

func (r reader) fail() { r.Fail(errRecord) }

// value reads into v, which is addressable and zero. A type that writes itself in its own way needs a case here; without
// one it is not accepted, or the tests find that it is read in another way than it is written.
func (r reader) value(v reflect.Value) {
	switch to := v.Addr().Interface().(type) {
	case *string:
		*to = r.Written()
	case *bool:
		r.Want("true") // false is left out
		*to = true
	case *uint64:
		*to = r.natural()
	case *time.Time:
		*to = r.moment()
	case *ID:
		r.check(to.UnmarshalText([]byte(r.Written())))
	case *Selector:
		sel, err := ParseSelector(r.Written())
		r.check(err)
		*to = sel
	case *[]byte:
		*to = r.binary()
	case *json.RawMessage:
		*to = r.raw()
	case *[]Selector:
		r.list(v)
		if !ascending(*to, compareSelectors) {
			r.fail()
		}
	case *Authority:
		r.object(v)
		if r.Err() != nil || !to.normal() {
			r.fail()
		}
	default:
		r.kind(v)
	}
}

// kind reads what is like others of its kind.
func (r reader) kind(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(r.Written())
	case reflect.Int, reflect.Int64:
		v.SetInt(r.integer(v))
	case reflect.Struct:
		r.object(v)
	case reflect.Slice:
		r.list(v)
	case reflect.Map:
		r.table(v)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(v.Elem())
	default:
		r.fail()
	}
}

func (r reader) check(err error) {
	if err != nil {
		r.fail()
	}
}

// member is a member of an object: its name as it is written behind another member, and whether it is left out where it
// is empty or zero.
type member struct {
	name string
	omit bool
}

// members are those of each type, in their order.
var members = map[reflect.Type][]member{}

func init() {
	describe(reflect.TypeFor[Envelope]())
	describe(reflect.TypeFor[Body]())
}

// describe notes the members of t, if it is a struct that is written as one, and of what it holds.
func describe(t reflect.Type) {
	_, done := members[t]
	switch {
	case done:
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer:
		describe(t.Elem())
	case t.Kind() == reflect.Struct && !t.Implements(reflect.TypeFor[interface{ MarshalText() ([]byte, error) }]()):
		for i := range t.NumField() {
			name, option, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			members[t] = append(members[t], member{`,"` + name + `":`, option != ""})
			describe(t.Field(i).Type)
		}
	}
}

func (r reader) object(v reflect.Value) {
	list, known := members[v.Type()]
	if r.Want("{"); !known {
		r.fail()
	}
	first := true
	for i, m := range list {
		switch member := v.Field(i); {
		case r.named(m.name, first):
			first = false
			if r.value(member); m.omit && empty(member) {
				r.fail()
			}
		case !m.omit:
			r.fail()
		}
	}
	r.Want("}")
}

// named reads the name of a member, with the comma before it, if it is this one that comes next.
func (r reader) named(name string, first bool) bool {
	if first {
		name = name[1:]
	}
	return r.Take(name)
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}

func (r reader) list(v reflect.Value) {
	if r.Want("["); r.Take("]") {
		v.Set(reflect.MakeSlice(v.Type(), 0, 0))
		return
	}
	for n := 0; r.Err() == nil; n++ {
		if n == v.Cap() {
			v.Grow(n + 2)
		}
		v.SetLen(n + 1)
		if r.value(v.Index(n)); r.Take("]") {
			return
		}
		r.Want(",")
	}
}

// table reads a map, whose keys are sorted.
func (r reader) table(v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	r.Want("{")
	last := ""
	for n := 0; r.Err() == nil && !r.Take("}"); n++ {
		if n > 0 {
			r.Want(",")
		}
		key, value := r.Written(), reflect.New(v.Type().Elem()).Elem()
		r.Want(":")
		r.value(value)
		if n > 0 && key <= last {
			r.fail()
		}
		v.SetMapIndex(reflect.ValueOf(key), value)
		last = key
	}
}

// normal reports whether a is what Normal makes of it, with details that are objects.
func (a Authority) normal() bool {
	for _, x := range a.Access {
		if len(x.Scopes) == 0 || !ascending(x.Scopes, strings.Compare) {
			return false
		}
	}
	return ascending(a.Access, func(x, y Access) int { return strings.Compare(x.Resource, y.Resource) }) &&
		ascending(a.Details, func(x, y json.RawMessage) int { return slices.Compare(x, y) }) &&
		!slices.ContainsFunc(a.Details, func(d json.RawMessage) bool { return d[0] != '{' }) && a.Depth >= 0
}

// ascending reports whether list is sorted and without repeats.
func ascending[T any](list []T, compare func(a, b T) int) bool {
	for i := range list {
		if i > 0 && compare(list[i-1], list[i]) >= 0 {
			return false
		}
	}
	return true
}
