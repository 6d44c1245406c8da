package policycli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
)

// page writes an explanation for people. Each mark has a word beside it.
type page struct {
	w     io.Writer
	files []string // documents met so far, from the root
}

// printExplanation writes what was decided, the way to it, and what would have to be otherwise.
func printExplanation(w io.Writer, x policy.Explanation) {
	p := &page{w: w}
	p.verdict(x)
	for _, s := range x.Steps {
		p.step(s)
	}
	p.scopes(x.Scopes)
	p.limits(x.Limits)
	p.bound(x.Bound)
	p.changes("smallest change that makes all of it pass", x.Changes)
	for _, a := range x.Alone {
		p.changes("smallest change for "+a.Scope+" alone", a.Changes)
	}
	if len(x.Notes) > 0 {
		p.head(0, "notes")
	}
	for _, n := range x.Notes {
		p.line(1, "%s", n)
	}
}

// head writes a heading, with a blank line above it.
func (p *page) head(depth int, format string, args ...any) {
	say(p.w, "\n")
	p.line(depth, format, args...)
}

// line writes one line. Nothing in it moves the reader's cursor.
func (p *page) line(depth int, format string, args ...any) {
	text := strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, fmt.Sprintf(format, args...))
	say(p.w, strings.TrimRight(strings.Repeat("  ", depth)+text, " ")+"\n")
}

func (p *page) verdict(x policy.Explanation) {
	v := x.Verdict
	if v.Effect == tokenboundary.Allow {
		p.line(0, "✓ allowed by %s", v.Path)
		return
	}
	p.line(0, "✗ denied: %s", v.Code)
	if v.Path != "" {
		p.line(1, "decided by %s", v.Path)
	}
	for _, r := range v.Reasons {
		if r.Scope == "" && r.Rule == "" {
			p.line(1, "%s", r.Why)
		}
	}
}

// step writes one rule under its document. Documents are indented by their depth.
func (p *page) step(s policy.Step) {
	if !slices.Contains(p.files, s.File) {
		p.files = append(p.files, s.File)
		p.head(len(p.files)-1, "%s", s.File)
	}
	depth := slices.Index(p.files, s.File) + 1
	_, name, _ := strings.Cut(s.Rule, "#")
	what := mark(s)
	if s.Resource != "" {
		what += " for " + s.Resource
	}
	p.line(depth, "%s: line %d: %s", name, s.Line, what)
	if s.Unreached != "" {
		p.line(depth+1, "- not reached: %s", s.Unreached)
	}
	p.line(depth+1, "when %s", strings.Join(strings.Fields(s.When), " "))
	p.parts(depth+2, s.Parts)
	for _, v := range s.Values {
		p.line(depth+2, "%s = %s", v.Name, v.JSON)
	}
}

// mark says what a rule did, or would have done.
func mark(s policy.Step) string {
	verb := func(does, would string) string {
		if s.Unreached != "" {
			return "would " + would
		}
		return does
	}
	scopes := strings.Join(s.Scopes, " ")
	switch {
	case s.Outcome == policy.OutcomeFailed && s.Deny:
		return "✗ " + verb("denies", "deny") + ": ! failed: " + s.Why
	case s.Outcome == policy.OutcomeFailed:
		return "! failed: " + s.Why
	case s.Outcome == policy.OutcomeTrue && s.Deny:
		return "✗ " + verb("denies", "deny")
	case s.Outcome == policy.OutcomeTrue:
		return "✓ " + verb("permits ", "permit ") + scopes
	case s.Outcome == policy.OutcomeFalse && s.Deny:
		return "✓ " + verb("lets it pass", "let it pass")
	case s.Outcome == policy.OutcomeFalse:
		return "✗ " + verb("does not permit ", "not permit ") + scopes
	}
	return "- not evaluated"
}

var outcomeMarks = map[policy.Outcome]string{
	policy.OutcomeTrue: "✓ true  ", policy.OutcomeFalse: "✗ false ", policy.OutcomeFailed: "! failed",
}

func (p *page) parts(depth int, parts []policy.Part) {
	for _, part := range parts {
		why := ""
		if part.Why != "" {
			why = ": " + part.Why
		}
		p.line(depth, "%s %s%s", outcomeMarks[part.Outcome], part.Text, why)
		p.parts(depth+1, part.Parts)
	}
}

var fateMarks = map[policy.Fate]string{policy.Granted: "✓ granted", policy.Held: "! held   ", policy.Dropped: "✗ dropped"}

func (p *page) scopes(scopes []policy.ScopeResult) {
	resource := ""
	for _, s := range scopes {
		if s.Resource != resource {
			resource = s.Resource
			p.head(0, "scopes at %s", resource)
		}
		var why []string
		if s.Rule != "" {
			why = append(why, "by "+s.Rule)
		}
		if s.Why != "" {
			why = append(why, s.Why)
		}
		for _, o := range s.Obligations {
			why = append(why, "until "+obligation(o))
		}
		p.line(1, "%s %s: %s", fateMarks[s.Fate], s.Scope, strings.Join(why, ", "))
	}
}

func obligation(o lineage.Obligation) string {
	text := o.Kind
	for _, name := range []string{"by", "acr", "max_age"} {
		if v := o.Args[name]; v != "" {
			text += " " + name + " " + v
		}
	}
	return text
}

func (p *page) limits(limits []policy.Limit) {
	if len(limits) > 0 {
		p.head(0, "limits")
	}
	for _, l := range limits {
		source := "nothing says less"
		if l.From != "" {
			source = "from " + l.From
		}
		p.line(1, "%-11s %-8s %s", l.Name, l.Value, source)
	}
}

func (p *page) bound(list []policy.Binding) {
	if len(list) > 0 {
		p.head(0, "bound for this client")
	}
	for _, b := range list {
		p.line(1, "connection %s, resource %s: %s", b.Connection, b.Resource, b.Path)
	}
}

func (p *page) changes(title string, list []policy.Change) {
	if len(list) > 0 {
		p.head(0, "%s", title)
	}
	for _, c := range list {
		p.line(1, "%s", c)
	}
}
