package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one reason why a policy set was refused.
type Problem struct {
	// File is the document, slash-separated and relative to the root of the set; Line and Column are where in it, from 1,
	// or 0 where that is not known. A column counts characters.
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Rule is the rule concerned; empty where it is not about one.
	Rule string `json:"rule,omitempty"`
	// Message says what is wrong. A problem of an expression starts with its line and column inside the expression.
	Message string `json:"message"`
	// Expression is the condition that is at fault, and Offset the byte in it to look at; empty where it is not about one.
	Expression string `json:"expression,omitempty"`
	Offset     int    `json:"offset,omitempty"`
}

// String returns "file:line:column: rule "name": message", in one line.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
	}
	if p.Line > 0 && p.Column > 0 {
		fmt.Fprintf(&b, ":%d", p.Column)
	}
	if b.Len() > 0 {
		b.WriteString(": ")
	}
	if p.Rule != "" {
		fmt.Fprintf(&b, "rule %q: ", p.Rule)
	}
	b.WriteString(p.Message)
	return b.String()
}

// Detail is String and, for a problem of an expression, two more lines: the line of the expression, and a caret below the
// place that is at fault. Of a long line it shows the part around that place.
func (p Problem) Detail() string {
	if p.Expression == "" {
		return p.String()
	}
	return p.String() + "\n" + picture(p.Expression, p.Offset)
}

// LoadError says why a policy set was refused: all of what is wrong with it, by file and line, up to 100 problems.
type LoadError struct {
	Problems []Problem
	// More is how many further problems there are.
	More int
}

// Error implements error: one problem a line.
func (e *LoadError) Error() string {
	lines := make([]string, 0, len(e.Problems)+2)
	lines = append(lines, "policy: the set is refused")
	for _, p := range e.Problems {
		lines = append(lines, p.String())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// refused makes an error of problems; nil where there are none.
func refused(problems []Problem) error {
	if len(problems) == 0 {
		return nil
	}
	return collected(problems)
}

// collected sorts and bounds problems.
func collected(problems []Problem) *LoadError {
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	e := &LoadError{Problems: problems}
	if len(problems) > maxProblems {
		e.Problems, e.More = problems[:maxProblems:maxProblems], len(problems)-maxProblems
	}
	return e
}

// bounded returns s fit for a message: printable, in one line, and short.
func bounded(s string) string {
	s = strings.ToValidUTF8(s, "?")
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s[:min(len(s), 4*maxMessage)])
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > maxMessage {
		s = strings.ToValidUTF8(s[:maxMessage], "") + "…"
	}
	return s
}
