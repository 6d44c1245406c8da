package policy

import (
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Fate is what became of a requested scope. The zero value is none of them.
type Fate string

// The fates.
const (
	Granted Fate = "granted"
	Held    Fate = "held" // granted, and held back until the obligations are met
	Dropped Fate = "dropped"
)

// ScopeResult is what became of a requested scope at a resource.
type ScopeResult struct {
	Resource string `json:"resource"`
	Scope    string `json:"scope"`
	Fate     Fate   `json:"fate"`
	Rule     string `json:"rule,omitempty"` // that grants it
	Why      string `json:"why,omitempty"`  // it is dropped
	// Obligations hold it back.
	Obligations []lineage.Obligation `json:"obligations,omitempty"`
}

// Limit is a limit in force. Where the request is denied, it is what would be in force.
type Limit struct {
	Name  string `json:"name"`  // lifetime, depth, derivations or recheck
	Value string `json:"value"` // as a document writes it
	From  string `json:"from"`  // the document, or the rule as path#name; empty where it is what holds without any
}

// scopes says what became of each scope. Of a request that is denied it also says what would be without the denial.
func (w *walk) scopes(v tokenboundary.Verdict) []ScopeResult {
	denial := w.denial(v)
	var out []ScopeResult
	for _, r := range w.verdict.Reasons {
		s := ScopeResult{Resource: r.Resource, Scope: r.Scope, Fate: Dropped, Rule: r.Rule, Why: r.Why}
		if r.Granted {
			s.Fate = Granted
			s.Obligations = holding(w.verdict.Obligations, r.Scope)
		}
		if len(s.Obligations) > 0 {
			s.Fate = Held
		}
		if denial != "" {
			s.Fate, s.Why = Dropped, denial+otherwise(r)
		}
		out = append(out, s)
	}
	return out
}

// denial says what ended the request before its scopes were looked at; empty where nothing did.
func (w *walk) denial(v tokenboundary.Verdict) string {
	if v.Effect == tokenboundary.Allow || v.Code != tokenboundary.CodeInvalidTarget || len(v.Reasons) == 0 {
		return ""
	}
	if v.Reasons[0].Rule == "" {
		return "the request is denied: " + v.Reasons[0].Why
	}
	return "the request is denied by " + v.Reasons[0].Rule
}

func otherwise(r lineage.Reason) string {
	if r.Granted {
		return ", and " + r.Rule + " would grant it"
	}
	return ", and nothing would grant it: " + r.Why
}

// limits says where each limit comes from.
func (w *walk) limits(v tokenboundary.Verdict) []Limit {
	l := w.leaf
	in := l.limits.meet(l.catalog.legacy(w.slots.facts.Connection))
	if v.Effect == tokenboundary.Allow {
		in.lifetime, in.recheck = v.Lifetime, v.Recheck
	}
	return []Limit{
		{"lifetime", yamldoc.FormatDuration(in.lifetime), w.source(in, func(l limits) int64 { return int64(l.lifetime) })},
		{"depth", strconv.Itoa(in.depth), w.source(in, func(l limits) int64 { return int64(l.depth) })},
		{"derivations", derivationsText(in.derivations), w.source(in, func(l limits) int64 { return int64(l.derivations) })},
		{"recheck", recheckText(in.recheck), w.source(in, func(l limits) int64 { return int64(l.recheck) })},
	}
}

func derivationsText(n uint64) string {
	if n == noLimits.derivations {
		return "none"
	}
	return strconv.FormatUint(n, 10)
}

func recheckText(d time.Duration) string {
	switch d {
	case 0:
		return "none"
	case oneUse:
		return everyUse
	}
	return yamldoc.FormatDuration(d)
}

// source finds who set a limit that is in force: the outermost guardrail that set it so low, the leaf, or a rule that
// granted something.
func (w *walk) source(in limits, get func(limits) int64) string {
	value, l := get(in), w.leaf
	switch {
	case value == get(noLimits):
		return ""
	case value == get(l.guard.limits):
		g := l.guard
		for g.above != nil && get(g.above.limits) == value {
			g = g.above
		}
		return g.file
	case value == get(l.limits):
		return l.file
	case value == get(l.catalog.legacy(w.slots.facts.Connection)):
		return l.catalog.connection(w.slots.facts.Connection).file
	}
	for _, step := range w.steps {
		if r := w.granting(step); r != nil && get(limits{lifetime: r.lifetime, recheck: r.recheck}) == value {
			return r.id
		}
	}
	return w.catalogFile(value)
}

// catalogFile finds the catalog that gives a granted scope the lifetime.
func (w *walk) catalogFile(value int64) string {
	for _, reason := range w.verdict.Reasons {
		for c := w.leaf.catalog; c != nil; c = c.above {
			if d := c.resources[reason.Resource]; d != nil && int64(d.lifetime(reason)) == value {
				return c.file
			}
		}
	}
	return ""
}

// granting returns the rule of a step if its terms are in force: it grants a scope, and no rule goes before it.
func (w *walk) granting(step Step) *rule {
	at := slices.IndexFunc(w.leaf.allows, func(r rule) bool { return r.id == step.Rule })
	if at < 0 || step.Deny || step.Outcome != OutcomeTrue {
		return nil
	}
	r := &w.leaf.allows[at]
	for _, reason := range w.verdict.Reasons {
		named := slices.Contains(w.leaf.rulesFor(reason.Scope), at) && r.isFor(reason.Resource)
		if named && reason.Granted && (len(r.obligations) == 0 || reason.Rule == r.id) {
			return r
		}
	}
	return nil
}
