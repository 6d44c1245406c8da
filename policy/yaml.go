package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// parseYAML reads the one document in data, in the part of YAML that policies are written in: no anchors, aliases,
// merge keys or tags, and no key twice. A problem comes back with its line.
func parseYAML(data []byte) (_ *yaml.Node, line int, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("not readable as YAML")
		}
	}()
	if line, err := scan(data); err != nil {
		return nil, line, err
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, next yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, 0, errors.New("the document is empty")
	case err != nil:
		return nil, 0, errors.New(bounded(err.Error()))
	}
	if err := dec.Decode(&next); !errors.Is(err, io.EOF) {
		return nil, next.Line, errors.New("more than one YAML document, or something after it")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, 0, errors.New("the document is empty")
	}
	count := 0
	if bad, why := inspectYAML(doc.Content[0], 0, &count); bad != nil {
		return nil, bad.Line, errors.New(why)
	}
	return doc.Content[0], 0, nil
}

// scan refuses what the parser would pass over in silence.
func scan(data []byte) (line int, err error) {
	if !utf8.Valid(data) {
		return 0, errors.New("the document is not UTF-8")
	}
	for text := range bytes.Lines(data) {
		line++
		if text[0] == '%' {
			return line, errors.New("YAML directives are not allowed")
		}
	}
	return 0, nil
}

// inspectYAML returns the first node that policies may not use, and why.
func inspectYAML(n *yaml.Node, depth int, count *int) (*yaml.Node, string) {
	*count++
	switch {
	case depth > maxDepth:
		return n, "nested too deeply"
	case *count > maxNodes:
		return n, "too many values"
	case n.Kind == yaml.AliasNode:
		return n, "YAML aliases are not allowed"
	case n.Anchor != "":
		return n, "YAML anchors are not allowed"
	case n.Style&yaml.TaggedStyle != 0:
		return n, "YAML tags are not allowed"
	case n.Kind == yaml.MappingNode:
		if bad, why := inspectKeys(n); bad != nil {
			return bad, why
		}
	}
	for _, c := range n.Content {
		if bad, why := inspectYAML(c, depth+1, count); bad != nil {
			return bad, why
		}
	}
	return nil, ""
}

func inspectKeys(n *yaml.Node) (*yaml.Node, string) {
	seen := make(map[string]bool, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		switch {
		case key.Kind == yaml.AliasNode:
			return key, "YAML aliases are not allowed"
		case key.Kind == yaml.ScalarNode && key.ShortTag() == "!!merge":
			return key, "YAML merge keys are not allowed"
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			return key, "a key must be a name"
		case seen[key.Value]:
			return key, fmt.Sprintf("key %q twice", bounded(key.Value))
		}
		seen[key.Value] = true
	}
	return nil, ""
}

// validName reports whether s can name a directory, a document or a rule: [A-Za-z0-9][A-Za-z0-9._-]*.
func validName(s string) bool {
	if s == "" || len(s) > maxRuleName || strings.IndexByte("._-", s[0]) >= 0 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c|0x20 >= 'a' && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && strings.IndexByte("._-", c) < 0 {
			return false
		}
	}
	return true
}
