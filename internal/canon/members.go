package canon

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
)

// Member is a member of an object.
type Member struct {
	// Name is the name without its escapes.
	Name string
	// Value is the value in the form of JSON.
	Value json.RawMessage
}

// Members are the members of one object, sorted by name; no two have the same.
type Members []Member

// Get returns the value of the member with exactly this name; nil where there is none.
func (m Members) Get(name string) json.RawMessage {
	i, found := slices.BinarySearchFunc(m, name, func(m Member, name string) int { return strings.Compare(m.Name, name) })
	if !found {
		return nil
	}
	return m[i].Value
}

// Object reads one JSON object and returns its members under their exact names; a decoder into a struct would match names
// in any case and take the last of several. It refuses what JSON refuses.
func Object(raw []byte) (Members, error) {
	r := start(raw)
	opened := r.space() == '{'
	if opened {
		r.object(0)
	} else {
		r.value(0)
	}
	r.end()
	switch {
	case r.err != nil:
		return nil, r.err
	case !opened:
		return nil, errors.New("not a JSON object")
	}
	list := make(Members, len(r.members))
	for i, m := range r.members {
		list[i] = Member{m.name, r.out[m.value:m.end:m.end]}
	}
	return list, nil
}

// Text returns what a value says that is a JSON string and nothing else.
func Text(value []byte) (string, bool) {
	r := Reader{in: string(value)}
	r.check()
	s, _ := r.Text()
	return s, r.Done()
}

// member is a member whose name and value are in the output of a reader, from start and from value on.
type member struct {
	name              string
	start, value, end int
}

// object appends the next object, its members in the order in which they come, and leaves them sorted by name behind
// those of the objects that it is in. It reports whether they came sorted.
func (r *Reader) object(depth int) (sorted bool) {
	first := len(r.members)
	r.at++
	r.out = append(r.out, '{')
	sorted = true
	for more := r.space() != '}'; more; more = r.comma() {
		m := r.member(depth)
		sorted = sorted && (len(r.members) == first || r.members[len(r.members)-1].name < m.name)
		r.members = append(r.members, m)
	}
	r.Want("}")
	r.out = append(r.out, '}')
	if !sorted {
		r.sort(r.members[first:])
	}
	return sorted
}

// comma appends the comma before another element or member, if it comes next.
func (r *Reader) comma() bool {
	if r.space() != ',' {
		return false
	}
	r.at++
	r.out = append(r.out, ',')
	return true
}

func (r *Reader) member(depth int) (m member) {
	r.space()
	m.start = len(r.out)
	m.name = r.string()
	r.space()
	r.Want(":")
	r.out = append(r.out, ':')
	m.value = len(r.out)
	r.value(depth + 1)
	m.end = len(r.out)
	return m
}

// sort sorts members by name, of which no two may have the same.
func (r *Reader) sort(list []member) {
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.name, b.name) })
	for i := 1; i < len(list); i++ {
		if list[i].name == list[i-1].name {
			r.Fail(errRepeated)
		}
	}
}

// arrange writes the members of the object that was appended from an offset on again, in the order of list.
func (r *Reader) arrange(list []member, offset int) {
	spare := slices.Grow(r.spare[:0], len(r.out)-offset)
	for i, m := range list {
		if i > 0 {
			spare = append(spare, ',')
		}
		spare = append(spare, r.out[m.start:m.end]...)
	}
	copy(r.out[offset+1:], spare)
	r.spare = spare
}
