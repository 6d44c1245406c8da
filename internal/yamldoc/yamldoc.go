// Package yamldoc reads the part of YAML that policies and the configuration are written in, in which a document means
// what it seems to: one document in UTF-8 without directives, anchors, aliases, merge keys or tags, whose keys are names
// and stand once.
package yamldoc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Limits bound a document. The zero value admits none.
type Limits struct {
	Bytes int // of the text
	Depth int // levels below the root
	Nodes int // keys and values
}

// Problem is the first reason why a document was refused.
type Problem struct {
	Line int    // from 1; 0 where none is known
	Key  string // where in the document, such as "a.b[0]"; empty for the whole
	// Message is one line. It may repeat a key or the name of an alias, but no value.
	Message string
}

// String returns "key: message".
func (p *Problem) String() string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}

func at(n *yaml.Node, format string, args ...any) *Problem {
	return &Problem{Line: n.Line, Message: fmt.Sprintf(format, args...)}
}

// ReadFile reads a document that Parse can refuse for its size: at most one byte more than it may have.
func ReadFile(fsys fs.FS, file string, most Limits) ([]byte, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	return io.ReadAll(io.LimitReader(f, int64(most.Bytes)+1))
}

// Parse returns the root of the one document in data, or what is wrong with it.
func Parse(data []byte, most Limits) (root *yaml.Node, bad *Problem) {
	defer func() {
		if recover() != nil {
			root, bad = nil, &Problem{Message: "not readable as YAML"}
		}
	}()
	if bad := scan(data, most); bad != nil {
		return nil, bad
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	err := dec.Decode(&doc)
	if err == nil {
		err = dec.Decode(&next)
	}
	switch {
	case err == nil:
		return nil, at(&next, "more than one YAML document")
	case !errors.Is(err, io.EOF):
		return nil, syntax(err, data)
	case len(doc.Content) == 0:
		return nil, &Problem{Message: "the document is empty"}
	}
	w := walk{most: most}
	if bad := w.node(doc.Content[0], 0); bad != nil {
		bad.Key = strings.TrimPrefix(bad.Key, ".")
		return nil, bad
	}
	return doc.Content[0], nil
}

// directive finds a "%" where the parser starts a line: after any of its line breaks, or at the start.
var directive = regexp.MustCompile("(?:^\ufeff?|[\n\r\u0085\u2028\u2029])%")

// scan refuses what is too large to parse, and what the parser would pass over in silence.
func scan(data []byte, most Limits) *Problem {
	if len(data) > most.Bytes {
		return &Problem{Message: fmt.Sprintf("the document is larger than %d bytes", most.Bytes)}
	}
	if !utf8.Valid(data) {
		return &Problem{Message: "the document is not UTF-8"}
	}
	if found := directive.FindIndex(data); found != nil {
		return &Problem{Line: 1 + bytes.Count(data[:found[1]], []byte("\n")), Message: "YAML directives are not allowed"}
	}
	return nil
}

var (
	parserError = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?(.*)`)
	// fromZero are the errors in which the parser counts lines from 0; in all others it counts them from 1.
	fromZero = regexp.MustCompile(`^did not find expected `)
)

func syntax(err error, data []byte) *Problem {
	m := parserError.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(m[1])
	if line > 0 && fromZero.MatchString(m[2]) {
		line = min(line+1, bytes.Count(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))+1)
	}
	return &Problem{Line: line, Message: fmt.Sprintf("not YAML: %.200s", m[2])}
}

// walk goes through a document in the order of its text and stops at the first problem, whose key it completes on the
// way back.
type walk struct {
	most  Limits
	nodes int
}

func (w *walk) node(n *yaml.Node, depth int) *Problem {
	w.nodes++
	switch {
	case depth > w.most.Depth:
		return at(n, "nested too deeply")
	case w.nodes > w.most.Nodes:
		return at(n, "too many values")
	case n.Anchor != "" || n.Kind == yaml.AliasNode:
		return at(n, "YAML anchors and aliases are not allowed")
	case n.Style&yaml.TaggedStyle != 0 && n.Kind == yaml.ScalarNode && !strings.HasPrefix(n.Tag, "!!"):
		return at(n, "YAML tags are not allowed; a text that begins with ! must be quoted")
	case n.Style&yaml.TaggedStyle != 0:
		return at(n, "YAML tags are not allowed")
	case n.Kind == yaml.MappingNode:
		return w.mapping(n, depth+1)
	}
	for i, c := range n.Content {
		if bad := w.node(c, depth+1); bad != nil {
			bad.Key = "[" + strconv.Itoa(i) + "]" + bad.Key
			return bad
		}
	}
	return nil
}

func (w *walk) mapping(n *yaml.Node, depth int) *Problem {
	lines := make(map[string]int, len(n.Content)/2)
	for key, value := range Pairs(n) {
		switch first := lines[key.Value]; {
		case Is(key, "!!merge"):
			return at(key, "YAML merge keys are not allowed")
		case !Is(key, "!!str") || canon.Name(key.Value) != nil:
			return at(key, "a key must be a name")
		case first > 0:
			return at(key, "key %q twice, first in line %d", key.Value, first)
		}
		lines[key.Value] = key.Line
		if bad := w.node(key, depth); bad != nil {
			return bad
		}
		if bad := w.node(value, depth); bad != nil {
			bad.Key = "." + key.Value + bad.Key
			return bad
		}
	}
	return nil
}

// Pairs goes through the keys and values of a mapping.
func Pairs(n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(key, value *yaml.Node) bool) {
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i], n.Content[i+1]) {
				return
			}
		}
	}
}

// Member returns the value of a key of a mapping; nil where there is none, and where n is nil or no mapping.
func Member(n *yaml.Node, key string) *yaml.Node {
	if n == nil {
		return nil
	}
	for k, value := range Pairs(n) {
		if k.Value == key {
			return value
		}
	}
	return nil
}

// Is reports whether n is a scalar that YAML reads as tag: "!!str", "!!int", "!!bool" and so on.
func Is(n *yaml.Node, tag string) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == tag }

// Duration returns what a string such as 90s or 5m says; of anything else, ok is false.
func Duration(n *yaml.Node) (d time.Duration, ok bool) {
	d, err := time.ParseDuration(n.Value)
	return d, err == nil && Is(n, "!!str")
}

// FormatDuration writes a duration as documents do: 5m, not 5m0s.
func FormatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
