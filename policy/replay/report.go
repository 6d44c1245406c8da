package replay

import (
	"cmp"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Change is a way in which an answer would be another one.
type Change string

// The changes. A decision that is denied, allowed or deferred now counts as that alone; the others are about one whose
// effect stays, and it may have several.
const (
	Denied          Change = "newly_denied"       // it was allowed, or waited
	Allowed         Change = "newly_allowed"      // it was denied, or waited
	Deferred        Change = "newly_deferred"     // it would wait for what was not asked for
	ScopeLost       Change = "scope_lost"         // at one resource
	ScopeGained     Change = "scope_gained"       // at one resource
	DetailsLost     Change = "details_lost"       // of authorization_details
	DetailsGained   Change = "details_gained"     // of authorization_details
	LifetimeShorter Change = "lifetime_shorter"   //
	LifetimeLonger  Change = "lifetime_longer"    // seen with Options.Baseline only: a record does not say what bounded it
	ObligationNew   Change = "obligation_new"     // holds a scope back that was free of it
	ObligationGone  Change = "obligation_removed" // no longer holds a scope back
	Undecided       Change = "undecided"          // the candidate, or the baseline, could not decide
)

// changes are all of them, in the order of a report.
var changes = []Change{
	Denied, Allowed, Deferred, ScopeLost, ScopeGained, DetailsLost, DetailsGained, LifetimeShorter, LifetimeLonger,
	ObligationNew, ObligationGone, Undecided,
}

// Report is what would change. Its zero value is that of no decisions.
type Report struct {
	// Examined is how many decisions were decided again: Changed those that would come to something else, Unchanged the
	// rest, in which a refusal by another code counts as the same.
	Examined  int `json:"examined"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
	// Unknown is how many of those examined were decided with present facts in place of past ones, which are not known.
	Unknown int `json:"unknown_facts,omitempty"`
	// Skipped is how many records are no decision that can be asked again, by reason (tokenboundary.Past.Skip).
	Skipped map[string]int `json:"skipped,omitempty"`
	// Groups are the changes, by kind, path, rule and scope. More is how many changes are in none because there are too
	// many groups.
	Groups []Group `json:"groups"`
	More   int     `json:"more,omitempty"`
}

// Group is changes of one kind that have one cause.
type Group struct {
	Change Change `json:"change"`
	// Path is the policy path that decides now; where there is none now, the one that decided.
	Path string `json:"path,omitempty"`
	// Rule is the rule that now grants or withholds; where the candidate names none, the one that granted.
	Rule  string `json:"rule,omitempty"`
	Scope string `json:"scope,omitempty"` // or the kind and the scope of an obligation
	Count int    `json:"count"`
	// Examples are the first of them.
	Examples []Example `json:"examples,omitempty"`
}

// Example is one decision that would come to something else.
type Example struct {
	ID       lineage.ID    `json:"id"` // of its record
	At       time.Time     `json:"at"`
	Client   string        `json:"client"`
	Resource string        `json:"resource,omitempty"`
	Was      string        `json:"was,omitempty"` // in words
	Is       string        `json:"is,omitempty"`
	Why      string        `json:"why,omitempty"` // as the candidate says; for the operator alone
	Before   time.Duration `json:"before_ns,omitempty"`
	After    time.Duration `json:"after_ns,omitempty"`
}

// maxGroups bounds how many groups a report has: it stays small whatever the records say.
const maxGroups = 4096

// group is what the changes of one group have in common.
type group struct {
	change            Change
	path, rule, scope string
}

// finding is one change of one decision.
type finding struct {
	group
	example Example
}

// tally is a report in the making.
type tally struct {
	report   Report
	groups   map[group]*Group
	examples int
}

// add counts what was found of decisions that follow on those before.
func (t *tally) add(r result) {
	t.report.Examined += r.examined
	t.report.Changed += r.changed
	t.report.Unchanged += r.examined - r.changed
	t.report.Unknown += r.unknown
	for why, n := range r.skipped {
		if t.report.Skipped == nil {
			t.report.Skipped = map[string]int{}
		}
		t.report.Skipped[why] += n
	}
	for _, f := range r.findings {
		g := t.groups[f.group]
		if g == nil {
			if len(t.groups) == maxGroups {
				t.report.More++
				continue
			}
			g = &Group{Change: f.change, Path: f.path, Rule: f.rule, Scope: f.scope}
			t.groups[f.group] = g
		}
		if g.Count++; len(g.Examples) < t.examples {
			g.Examples = append(g.Examples, f.example)
		}
	}
}

// done returns the report, its groups in order.
func (t *tally) done() Report {
	t.report.Groups = make([]Group, 0, len(t.groups))
	for _, g := range t.groups {
		t.report.Groups = append(t.report.Groups, *g)
	}
	slices.SortFunc(t.report.Groups, func(a, b Group) int {
		return cmp.Or(
			cmp.Compare(slices.Index(changes, a.Change), slices.Index(changes, b.Change)),
			cmp.Compare(a.Path, b.Path), cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Scope, b.Scope),
		)
	})
	return t.report
}
