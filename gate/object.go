package gate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// object is a JSON object whose members are read one by one, by their exact names. A member that is null counts as absent,
// as servers send it. What is of the wrong type is noted: reading goes on, and check says so at the end.
type object struct {
	members map[string]json.RawMessage
	wrong   *error
}

func objectOf(data []byte) (object, error) {
	o := object{wrong: new(error)}
	if err := json.Unmarshal(data, &o.members); err != nil {
		return o, errors.New("the body is not a JSON object")
	}
	return o, nil
}

// check returns the first thing that was of the wrong type.
func (o object) check() error { return *o.wrong }

func (o object) raw(name string) json.RawMessage {
	if raw := o.members[name]; string(raw) != "null" {
		return raw
	}
	return nil
}

// read reads a member into v, where it is there.
func (o object) read(name string, v any) bool {
	raw := o.raw(name)
	if raw == nil {
		return false
	}
	if json.Unmarshal(raw, v) != nil {
		o.note(name)
		return false
	}
	return true
}

func (o object) note(name string) {
	if *o.wrong == nil {
		*o.wrong = fmt.Errorf("%s is malformed", name) // one of our names
	}
}

// only notes a member that is none of the names: it may have been meant to bound what is asked for.
func (o object) only(names ...string) {
	known := map[string]bool{}
	for _, n := range names {
		known[n] = true
	}
	for n := range o.members {
		if !known[n] && *o.wrong == nil {
			*o.wrong = errors.New("a member is not known")
		}
	}
}

func (o object) object(name string) object {
	inner := object{wrong: o.wrong}
	o.read(name, &inner.members)
	return inner
}

func (o object) text(name string) string {
	var s string
	o.read(name, &s)
	return s
}

// texts reads a list of strings.
func (o object) texts(name string) []string {
	var list []*string
	o.read(name, &list)
	var out []string
	for _, s := range list {
		if s == nil {
			o.note(name)
			continue
		}
		out = append(out, *s)
	}
	return out
}

// audience reads a string, or a list of them (RFC 7519, section 4.1.3).
func (o object) audience(name string) []string {
	if raw := bytes.TrimSpace(o.raw(name)); len(raw) > 0 && raw[0] == '"' {
		return []string{o.text(name)}
	}
	return o.texts(name)
}

// number reads an integer that is not negative, and small enough for a time in seconds.
func (o object) number(name string) int64 {
	var n int64
	o.read(name, &n)
	if n < 0 || n > 1<<38 {
		o.note(name)
		return 0
	}
	return n
}

// moment reads a time: in seconds, or as RFC 3339 has it.
func (o object) moment(name string) time.Time {
	if raw := bytes.TrimSpace(o.raw(name)); len(raw) > 0 && raw[0] != '"' {
		if n := o.number(name); n > 0 {
			return time.Unix(n, 0).UTC()
		}
		return time.Time{}
	}
	var at time.Time
	o.read(name, &at)
	return at
}

// id reads the id of a record.
func (o object) id(name string) lineage.ID {
	var id lineage.ID
	o.read(name, &id)
	return id
}
