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
	// File is the document, slash-separated and relative to the root of the set; Line is where in it, or 0.
	File string
	Line int
	// Rule is the rule concerned; empty where it is not about one.
	Rule string
	// Message says what is wrong. A problem of an expression starts with its line and column inside the expression.
	Message string
}

// String returns "file:line: rule "name": message".
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d", p.Line)
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
	slices.SortStableFunc(problems, func(a, b Problem) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
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
