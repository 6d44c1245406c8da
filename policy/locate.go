package policy

import (
	"io/fs"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// locator finds where something stands in the documents of a set. It reads them again: columns are wanted of few rules,
// and a set can have millions. It remembers the document it read last.
type locator struct {
	fsys fs.FS
	file string
	text string
	root *yaml.Node
}

func (l *locator) open(file string) {
	if l.file == file {
		return
	}
	l.file, l.text, l.root = file, "", nil
	data, err := yamldoc.ReadFile(l.fsys, file, yamlLimits)
	if err != nil {
		return
	}
	if root, bad := yamldoc.Parse(data, yamlLimits); bad == nil {
		l.text, l.root = string(data), root
	}
}

// value returns the value of a key of the document; nil where there is none.
func (l *locator) value(file, key string) *yaml.Node {
	l.open(file)
	return yamldoc.Member(l.root, key)
}

// ruleValue returns the value of a key of the rule; nil where there is none.
func (l *locator) ruleValue(file, rule, key string) *yaml.Node {
	l.open(file)
	for _, list := range [2]string{"allow", "deny"} {
		rules := yamldoc.Member(l.root, list)
		if rules == nil {
			continue
		}
		for _, n := range rules.Content {
			if name := yamldoc.Member(n, "rule"); name != nil && name.Value == rule {
				return yamldoc.Member(n, key)
			}
		}
	}
	return nil
}

// pointed is refused for problems of expressions: it finds out where in the documents they are.
func pointed(fsys fs.FS, problems []Problem) error {
	e := collected(problems)
	at := &locator{fsys: fsys}
	for i := range e.Problems {
		p := &e.Problems[i]
		if n := at.ruleValue(p.File, p.Rule, "when"); n != nil {
			p.Line, p.Column = place(at.text, n, p.Expression, p.Offset)
		}
	}
	return e
}

// place returns the line and column, both from 1, of the byte at offset in the expression that the scalar n of the
// document holds. It goes through both as far as they agree but for space, which YAML folds; where an escape or anything
// else keeps them from agreeing, the scalar's start is the answer.
func place(document string, n *yaml.Node, expression string, offset int) (line, column int) {
	if n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0 && expression == "" {
		return n.Line, n.Column
	}
	c := &cursor{rest: document, line: 1, column: 1}
	c.forward(n)
	line, column = c.line, c.column // where the space after the last character that agreed begins
	for i, want := range expression {
		if i >= offset {
			break
		}
		if unicode.IsSpace(want) {
			continue
		}
		if !c.take(want, n.Style) {
			return n.Line, n.Column
		}
		line, column = c.line, c.column
	}
	if next, _ := utf8.DecodeRuneInString(expression[min(offset, len(expression)):]); next != utf8.RuneError && !unicode.IsSpace(next) {
		c.space()
		line, column = c.line, c.column
	}
	return line, column
}

// cursor is a place in the text of a document, counted as the parser of YAML counts.
type cursor struct {
	rest         string
	line, column int
}

// forward goes to the first character of what a scalar says.
func (c *cursor) forward(n *yaml.Node) {
	line := n.Line
	block := n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if block {
		line++
	}
	for c.rest != "" && (c.line < line || c.line == line && !block && c.column < n.Column) {
		c.next()
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		c.next()
	}
}

func (c *cursor) next() rune {
	r, size := utf8.DecodeRuneInString(c.rest)
	c.rest = c.rest[size:]
	switch {
	case r == '\r' && strings.HasPrefix(c.rest, "\n"): // the line ends with the next one
	case strings.ContainsRune("\n\r\u0085\u2028\u2029", r):
		c.line++
		c.column = 1
	case r != '\ufeff':
		c.column++
	}
	return r
}

func (c *cursor) space() {
	for {
		r, size := utf8.DecodeRuneInString(c.rest)
		if size == 0 || !unicode.IsSpace(r) {
			return
		}
		c.next()
	}
}

// take passes over space and one character that the scalar has, in the way in which its style writes it.
func (c *cursor) take(want rune, style yaml.Style) bool {
	c.space()
	if c.rest == "" {
		return false
	}
	got := c.next()
	switch {
	case style&yaml.SingleQuotedStyle != 0 && got == '\'':
		return want == got && c.next() == got
	case style&yaml.DoubleQuotedStyle != 0 && got == '\\':
		return strings.ContainsRune(`"\/`, want) && c.next() == want
	}
	return got == want
}
