package policy

import (
	"context"

	"github.com/tokenboundary/tokenboundary"
)

// Explanation is a verdict and how it came about. It shares nothing with the set.
type Explanation struct {
	// Verdict is exactly what Evaluate answers for the same facts.
	Verdict tokenboundary.Verdict `json:"verdict"`
	// File is the document of the leaf that decided; empty where no path is bound.
	File string `json:"file,omitempty"`
	// Steps are the rules in the order of evaluation: the deny rules from the root to the leaf, then the leaf's allow
	// rules in the order of the file. All of them are there, also those that Evaluate did not get to.
	Steps []Step `json:"steps,omitempty"`
	// Scopes says of each requested scope at each resource what became of it.
	Scopes []ScopeResult `json:"scopes,omitempty"`
	// Limits says where each limit in force comes from.
	Limits []Limit `json:"limits,omitempty"`
	// Bound is what the set binds for the client, where nothing that was asked for is bound; at most 20.
	Bound []Binding `json:"bound,omitempty"`
	// Changes are the smallest change that makes the request pass: with all of them together, every requested scope is
	// granted that the path can grant. Empty where nothing need change, and where none was found.
	Changes []Change `json:"changes,omitempty"`
	// Alone says for scopes that are dropped even so what would make each pass, asked for by itself.
	Alone []ScopeChange `json:"alone,omitempty"`
	// Notes are what else the owner of the policy or of the request wants to know, a sentence each.
	Notes []string `json:"notes,omitempty"`
}

// Outcome is what a condition came to for a request. The zero value is a condition that was not evaluated.
type Outcome string

// The outcomes.
const (
	OutcomeTrue   Outcome = "true"
	OutcomeFalse  Outcome = "false"
	OutcomeFailed Outcome = "failed" // it could not be evaluated: an allow rule then permits nothing, a deny rule denies
)

// Step is one rule on the way from the root guardrail to the leaf. A rule whose condition reads the resource has a step
// for each resource of the request.
type Step struct {
	File     string `json:"file"`
	Line     int    `json:"line"` // of the condition
	Rule     string `json:"rule"` // path#name
	Deny     bool   `json:"deny,omitempty"`
	Resource string `json:"resource,omitempty"` // that it was evaluated for; empty where it does not matter
	// Scopes are the requested scopes that an allow rule names.
	Scopes  []string `json:"scopes,omitempty"`
	When    string   `json:"when"` // the condition
	Outcome Outcome  `json:"outcome,omitempty"`
	Why     string   `json:"why,omitempty"` // of a failure
	// Unreached says why Evaluate did not evaluate the rule; empty where it did. A step can have an outcome all the same.
	Unreached string `json:"unreached,omitempty"`
	// Values are the variables that the condition reads and what they are for this request.
	Values []Value `json:"values,omitempty"`
	// Parts are the operands of the condition where it is made with && or ||.
	Parts []Part `json:"parts,omitempty"`
}

// Value is what a variable, or a member of one, is for a request.
type Value struct {
	Name string `json:"name"`
	JSON string `json:"json"` // shortened where it is long; "absent" where the request has none
}

// Part is a part of a condition.
type Part struct {
	Text    string  `json:"text"`
	Outcome Outcome `json:"outcome,omitempty"`
	Why     string  `json:"why,omitempty"`
	Parts   []Part  `json:"parts,omitempty"` // where it is made with && or || itself
}

// Binding is a target that the set binds for a client. A name may be "*".
type Binding struct {
	Client     string `json:"client"`
	Connection string `json:"connection"`
	Resource   string `json:"resource"`
	Path       string `json:"path"`
}

// Explain decides the facts as Evaluate does, and says how it came to that: unlike Evaluate, it looks at every rule. It
// costs some hundreds of times as much, and is for people, not for the path of a request. The only errors are those of the
// context. It is safe for concurrent use, also with Evaluate.
func (s *Set) Explain(ctx context.Context, facts tokenboundary.Facts) (Explanation, error) {
	verdict, err := s.Evaluate(ctx, facts)
	if err != nil {
		return Explanation{}, err
	}
	x := Explanation{Verdict: verdict}
	views, err := newViews()
	if err != nil {
		return Explanation{}, err
	}
	l, resources, _ := s.resolve(&facts)
	if l != nil {
		x.File = l.file
		w, err := s.walk(ctx, facts, l, resources, views)
		if err != nil {
			return Explanation{}, err
		}
		x.Steps, x.Scopes, x.Limits = w.steps, w.scopes(verdict), w.limits(verdict)
	}
	if err := s.change(ctx, facts, views, &x); err != nil {
		return Explanation{}, err
	}
	return x, nil
}
