package suggest

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// lines finds where in a text things stand.
type lines struct {
	text   []byte
	starts []int // of each line; made when it is asked for
}

// line returns where a line, from 1, begins and where the next one does.
func (t *lines) line(n int) (start, end int, ok bool) {
	if t.starts == nil {
		t.starts = []int{0}
		for i, c := range t.text {
			if c == '\n' {
				t.starts = append(t.starts, i+1)
			}
		}
	}
	switch {
	case n < 1 || n > len(t.starts):
		return 0, 0, false
	case n == len(t.starts):
		return t.starts[n-1], len(t.text), true
	}
	return t.starts[n-1], t.starts[n], true
}

// content is a line without its end.
func (t *lines) content(n int) (string, bool) {
	start, end, ok := t.line(n)
	if !ok || start == len(t.text) {
		return "", false
	}
	return strings.TrimRight(string(t.text[start:end]), "\r\n"), true
}

// at returns where a node begins. Columns are counted in characters.
func (t *lines) at(n *yaml.Node) (int, bool) {
	start, end, ok := t.line(n.Line)
	for range n.Column - 1 {
		if start >= end {
			return 0, false
		}
		_, size := utf8.DecodeRune(t.text[start:])
		start += size
	}
	return start, ok && start < end
}

// scalar returns where a string in one line begins and ends, its quotes included.
func (t *lines) scalar(n *yaml.Node) (start, end int, ok bool) {
	start, ok = t.at(n)
	if !ok || n.Kind != yaml.ScalarNode {
		return 0, 0, false
	}
	rest := t.text[start:]
	switch {
	case n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0: // what has the quote itself inside is left alone
		if len(rest) < 2 || string(rest[1:1+min(len(n.Value), len(rest)-1)]) != n.Value {
			return 0, 0, false
		}
		end = start + len(n.Value) + 2
		ok = end <= len(t.text) && t.text[end-1] == rest[0]
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return 0, 0, false
	default:
		end = start + len(n.Value)
		ok = bytes.HasPrefix(rest, []byte(n.Value))
	}
	return start, end, ok
}

// block returns the lines of an entry of a list, or of a member of a mapping, that stands on lines of its own; of an entry,
// with the comment above it, unless it is the first.
func (t *lines) block(n *yaml.Node, entry, comment bool) (start, end int, ok bool) {
	first, found := t.content(n.Line)
	if !found || n.Column-1 > len(first) {
		return 0, 0, false
	}
	before := first[:n.Column-1] // there are only spaces and a dash before what is accepted
	indent := len(before)
	if entry {
		dash := strings.TrimLeft(before, " ")
		if strings.TrimRight(dash, " ") != "-" {
			return 0, 0, false
		}
		indent -= len(dash)
	} else if strings.TrimLeft(before, " ") != "" {
		return 0, 0, false
	}
	start, _, _ = t.line(t.top(n.Line, indent, comment && entry))
	_, end, ok = t.line(t.last(n.Line, indent, entry))
	return start, end, ok
}

// top returns the line of the first comment right above a line, with its indent.
func (t *lines) top(line, indent int, comment bool) int {
	for comment {
		text, found := t.content(line - 1)
		if !found || !strings.HasPrefix(text, strings.Repeat(" ", indent)+"#") {
			break
		}
		line--
	}
	return line
}

// last returns the last line of what begins in a line: all that is indented deeper and, of the member of a mapping, the
// list beside its key.
func (t *lines) last(line, indent int, entry bool) int {
	for i := line + 1; ; i++ {
		text, more := t.content(i)
		if !more {
			return line
		}
		bare := strings.TrimLeft(text, " ")
		depth := len(text) - len(bare)
		listed := !entry && depth == indent && (bare == "-" || strings.HasPrefix(bare, "- "))
		aside := !entry && depth == indent && strings.HasPrefix(bare, "#") // between the entries of a list, or behind it
		switch {
		case bare == "" || aside:
			continue
		case depth > indent || listed:
			line = i
			continue
		}
		return line
	}
}

// without returns the text with another one in the place of a part.
func (t *lines) without(start, end int, value string) []byte {
	return slices.Concat(t.text[:start], []byte(value), t.text[end:])
}
