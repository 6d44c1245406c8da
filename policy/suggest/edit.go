package suggest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// edit is one change of a document. Exactly one of its forms is meant.
type edit struct {
	rule  string // the rule that it is about; empty: bind
	key   string // the member; empty: the whole rule is taken out
	item  string // the entry of the list that is taken out
	value string // what takes the place of the member's value; without item and value the member is taken out
}

var (
	errGone   = errors.New("it is not there")
	errLast   = errors.New("nothing would be left of the list")
	errLayout = errors.New("the layout of the text does not let it be taken out alone")
)

// apply returns the text after the edit. Everything else of the document stays as it is written, and means what it meant:
// that is checked by reading the result, not by trust in how it was made.
func (e edit) apply(text []byte) ([]byte, error) {
	before, bad := yamldoc.Parse(text, wide)
	if bad != nil {
		return nil, errLayout
	}
	p, err := e.find(before)
	if err != nil {
		return nil, err
	}
	out, err := p.cut(&lines{text: text}, e.value)
	if err != nil {
		return nil, err
	}
	after, bad := yamldoc.Parse(out, wide)
	p.change(e.value)
	if bad != nil || meaning(after) != meaning(before) {
		return nil, errLayout
	}
	return out, nil
}

// place is where an edit is made: a value, the entry of a list or the member of a mapping.
type place struct {
	in      *yaml.Node // the list or mapping
	at      int        // of the entry, or of the member's key
	replace bool
}

func (e edit) find(root *yaml.Node) (place, error) {
	top, key := "bind", e.key
	if e.rule != "" {
		top = "allow"
	}
	in := yamldoc.Member(root, top)
	if in == nil {
		return place{}, errGone
	}
	if e.rule != "" {
		at := slices.IndexFunc(in.Content, func(n *yaml.Node) bool { v := yamldoc.Member(n, "rule"); return v != nil && v.Value == e.rule })
		switch {
		case at < 0:
			return place{}, errGone
		case key == "" && len(in.Content) == 1:
			return place{}, errLast
		case key == "":
			return place{in: in, at: at}, nil
		}
		in = in.Content[at]
	}
	at := slices.IndexFunc(in.Content, func(n *yaml.Node) bool { return n.Value == key && n.Kind == yaml.ScalarNode })
	value := yamldoc.Member(in, key)
	switch {
	case value == nil:
		return place{}, errGone
	case e.value != "":
		return place{in: in, at: at, replace: true}, nil
	case e.item == "":
		return place{in: in, at: at}, nil
	}
	at = slices.IndexFunc(value.Content, func(n *yaml.Node) bool { return n.Value == e.item })
	switch {
	case value.Kind != yaml.SequenceNode || at < 0:
		return place{}, errGone
	case len(value.Content) == 1:
		return place{}, errLast
	}
	return place{in: value, at: at}, nil
}

// change makes the edit in what the text says.
func (p place) change(value string) {
	switch {
	case p.replace:
		p.in.Content[p.at+1] = &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	case p.in.Kind == yaml.MappingNode:
		p.in.Content = slices.Delete(p.in.Content, p.at, p.at+2)
	default:
		p.in.Content = slices.Delete(p.in.Content, p.at, p.at+1)
	}
}

// meaning is what a document says, without how it is written.
func meaning(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode {
		return fmt.Sprintf("%s %q", n.ShortTag(), n.Value)
	}
	parts := make([]string, 0, len(n.Content))
	for _, c := range n.Content {
		parts = append(parts, meaning(c))
	}
	return fmt.Sprintf("%d(%s)", n.Kind, strings.Join(parts, ", "))
}

// cut makes the edit in the text.
func (p place) cut(t *lines, value string) ([]byte, error) {
	n := p.in.Content[p.at]
	if p.replace {
		n = p.in.Content[p.at+1]
		start, end, ok := t.scalar(n)
		if !ok {
			return nil, errLayout
		}
		return t.without(start, end, value), nil
	}
	if p.in.Style&yaml.FlowStyle != 0 {
		if p.in.Kind != yaml.SequenceNode {
			return nil, errLayout
		}
		return p.cutFlow(t)
	}
	start, end, ok := t.block(n, p.in.Kind == yaml.SequenceNode, p.at > 0)
	if !ok {
		return nil, errLayout
	}
	return t.without(start, end, ""), nil
}

// cutFlow takes an entry out of a list such as [a, b].
func (p place) cutFlow(t *lines) ([]byte, error) {
	start, end, ok := t.scalar(p.in.Content[p.at])
	var from, to int
	if p.at+1 < len(p.in.Content) { // with what stands between it and the next
		next, _, found := t.scalar(p.in.Content[p.at+1])
		from, to, ok = start, next, ok && found
	} else {
		_, last, found := t.scalar(p.in.Content[p.at-1])
		from, to, ok = last, end, ok && found
	}
	if !ok || bytes.ContainsAny(t.text[from:to], "#\n") {
		return nil, errLayout
	}
	return t.without(from, to, ""), nil
}
