package policytest

import (
	"context"
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

// Coverage says which rules of a set decided in some test.
type Coverage struct {
	Documents []Document // that have rules, by file
}

// Document is the coverage of one policy document.
type Document struct {
	File           string
	Covered, Total int
	Untested       []policy.Rule // by line
}

// Rules returns how many rules are covered, and how many there are.
func (c *Coverage) Rules() (covered, total int) {
	for _, d := range c.Documents {
		covered, total = covered+d.Covered, total+d.Total
	}
	return covered, total
}

// Percent returns how much is covered, rounded down: 100 means every rule. A set without rules is covered.
func (c *Coverage) Percent() int {
	covered, total := c.Rules()
	if total == 0 {
		return 100
	}
	return covered * 100 / total
}

// coverage collects which rules decided.
type coverage struct {
	rules   []policy.Rule
	byID    map[string]policy.Rule
	covered map[string]bool
}

func newCoverage(list []policy.Rule) *coverage {
	c := &coverage{list, make(map[string]policy.Rule, len(list)), map[string]bool{}}
	for _, r := range list {
		c.byID[r.ID] = r
	}
	return c
}

// add notes the rules that decide a request.
func (c *coverage) add(set *policy.Set, facts tokenboundary.Facts) error {
	x, err := set.Explain(context.Background(), facts)
	if err != nil {
		return err
	}
	if x.Verdict.Effect != tokenboundary.Allow {
		for _, s := range x.Steps {
			if s.Deny && s.Unreached == "" && s.Outcome == policy.OutcomeTrue {
				c.covered[s.Rule] = true
			}
		}
		return nil
	}
	for _, s := range x.Steps {
		if !s.Deny && s.Unreached == "" && s.Outcome == policy.OutcomeTrue && c.decides(s, x.Scopes) {
			c.covered[s.Rule] = true
		}
	}
	return nil
}

// decides reports whether an allow rule that is true grants a scope: the one that the verdict names, or one beside it
// that asks for nothing either.
func (c *coverage) decides(s policy.Step, scopes []policy.ScopeResult) bool {
	r := c.byID[s.Rule]
	return slices.ContainsFunc(scopes, func(x policy.ScopeResult) bool {
		switch {
		case !slices.Contains(s.Scopes, x.Scope), s.Resource != "" && s.Resource != x.Resource,
			len(r.Resources) > 0 && !slices.Contains(r.Resources, x.Resource):
			return false
		case x.Rule == s.Rule:
			return x.Fate == policy.Granted || x.Fate == policy.Held
		}
		return x.Fate == policy.Granted && !r.Obliges
	})
}

func (c *coverage) report() *Coverage {
	out := &Coverage{}
	for _, r := range c.rules {
		if n := len(out.Documents); n == 0 || out.Documents[n-1].File != r.File {
			out.Documents = append(out.Documents, Document{File: r.File})
		}
		d := &out.Documents[len(out.Documents)-1]
		d.Total++
		if c.covered[r.ID] {
			d.Covered++
		} else {
			d.Untested = append(d.Untested, r)
		}
	}
	return out
}
