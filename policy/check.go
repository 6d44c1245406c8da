package policy

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Report is what Check has to say of a set that loads.
type Report struct {
	// Version is that of the set; see Set.Version.
	Version string `json:"version"`
	// Documents, Rules and Expressions say how large it is; rules with the same condition share an expression.
	Documents   int `json:"documents"`
	Rules       int `json:"rules"`
	Expressions int `json:"expressions"`
	// Findings are what is suspicious, by file and line, up to 1000, and More how many further ones there are.
	Findings []Finding `json:"findings"`
	More     int       `json:"more_findings,omitempty"`
}

// Finding is something in a set that is no mistake in form, but most likely one in substance.
type Finding struct {
	// File, Line and Column say where, as in a Problem.
	File   string `json:"file"`
	Line   int    `json:"line,omitempty"`
	Column int    `json:"column,omitempty"`
	// Rule is the rule concerned; empty where it is not about one.
	Rule string `json:"rule,omitempty"`
	// Kind says what it is about. Message is for people, and its wording may change.
	Kind    FindingKind `json:"kind"`
	Message string      `json:"message"`
}

// FindingKind says what a finding is about.
type FindingKind string

// The kinds of finding. Each is certain: a finding says what no request can change, and no finding says nothing.
const (
	NeverMatches      FindingKind = "never-matches"       // a rule whose condition cannot be true for any request
	AlwaysDenied      FindingKind = "always-denied"       // an allow rule of which a deny rule denies each request, or a deny rule that denies all
	UnusedScope       FindingKind = "unused-scope"        // a scope of a catalog that no rule grants
	DefaultNotGranted FindingKind = "default-not-granted" // a scope of default_scopes that no rule of the document grants
	ShadowedBind      FindingKind = "shadowed-bind"       // a bind that loses requests to another that is less exact in a later field
	Costly            FindingKind = "costly"              // a condition whose worst case is above half of the bound
	Redundant         FindingKind = "redundant"           // a deny rule with the condition of another that goes before it
)

// String returns "file:line: kind: message", in one line.
func (f Finding) String() string {
	var b strings.Builder
	b.WriteString(f.File)
	if f.Line > 0 {
		fmt.Fprintf(&b, ":%d", f.Line)
	}
	fmt.Fprintf(&b, ": %s: ", f.Kind)
	if f.Rule != "" {
		fmt.Fprintf(&b, "rule %q: ", f.Rule)
	}
	b.WriteString(f.Message)
	return b.String()
}

const maxFindings = 1000

// Check loads the set in fsys as Load does, with the same errors, and looks for what is suspicious in it. What it finds is
// certain, but it does not find everything: a set without findings is not thereby a good one.
func Check(fsys fs.FS) (Report, error) {
	set, docs, err := loadDocuments(fsys, atOnce())
	if err != nil {
		return Report{}, err
	}
	c := &checker{set: set, docs: docs, same: map[alike]int{}}
	if err := c.conditions(); err != nil {
		return Report{}, err
	}
	for _, d := range docs {
		c.document(d)
	}
	c.binds()
	c.scopes()
	c.locate(fsys)
	return Report{
		Version: set.version, Documents: len(docs) + len(set.catalogs), Rules: c.rules, Expressions: len(c.known), Findings: c.findings, More: c.more,
	}, nil
}

// checker is one run of Check.
type checker struct {
	set   *Set
	docs  []*document
	rules int
	known map[string]*condition // by its text
	pairs map[[2]*condition]bool

	findings []Finding
	keys     []string // of each finding, the key of the document or of its rule that it is about
	same     map[alike]int
	others   []int // how many further rules each finding is true of
	more     int
}

// alike is what findings that are told once have in common.
type alike struct {
	kind          FindingKind
	when, message string
}

// of reports something of a rule. What is true of several rules with one condition is reported of the first.
func (c *checker) of(d *document, r *rule, kind FindingKind, message string) {
	a := alike{kind, r.when, message}
	if i, ok := c.same[a]; ok {
		c.others[i]++
		return
	}
	if c.add(Finding{File: d.file, Line: r.line, Rule: r.name, Kind: kind, Message: message}, "when") {
		c.same[a] = len(c.findings) - 1
	}
}

func (c *checker) add(f Finding, key string) bool {
	if len(c.findings) >= maxFindings {
		c.more++
		return false
	}
	c.findings, c.keys, c.others = append(c.findings, f), append(c.keys, key), append(c.others, 0)
	return true
}

// locate completes what is known of the findings, now that they are few, and sorts them.
func (c *checker) locate(fsys fs.FS) {
	at := &locator{fsys: fsys}
	for i := range c.findings {
		f := &c.findings[i]
		n := at.value(f.File, c.keys[i])
		if f.Rule != "" {
			n = at.ruleValue(f.File, f.Rule, c.keys[i])
		}
		if n != nil {
			f.Line, f.Column = n.Line, n.Column
		}
		switch n := c.others[i]; n {
		case 0:
		case 1:
			f.Message += " (so it is of 1 more rule with this condition)"
		default:
			f.Message += fmt.Sprintf(" (so it is of %d more rules with this condition)", n)
		}
	}
	slices.SortStableFunc(c.findings, func(a, b Finding) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
