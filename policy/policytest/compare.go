package policytest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Difference is one thing that was decided otherwise than a test states.
type Difference struct {
	Field         string // as the test names it
	Expected, Got string
	Why           []string // what decided, a line each
}

// comparison collects what is different.
type comparison struct {
	outcome
	out []Difference
}

// compare returns in what the outcome is not what was expected. Where the effect is another, the rest is not looked at.
func compare(x *expectation, o outcome) []Difference {
	c := &comparison{outcome: o}
	if c.text("effect", x.effect.String(), o.effect.String()); len(c.out) > 0 {
		c.out[0].Got = strings.TrimSpace(o.effect.String() + " " + o.code)
		c.because(o.reasons...)
	}
	if x.path != "" {
		c.text("path", x.path, cmp.Or(o.path, noPath))
	}
	if len(c.out) > 0 && c.out[0].Field == "effect" {
		return c.out
	}
	if x.controls != nil {
		c.set("controls", *x.controls, o.controls)
	}
	if x.dropped != nil && c.set("dropped", *x.dropped, o.dropped) {
		for _, scope := range slices.Concat(*x.dropped, o.dropped) {
			c.because(o.of(scope)...)
		}
	}
	if o.effect != tokenboundary.Allow {
		c.denial(x)
		return c.out
	}
	c.scopes(x)
	c.limits(x)
	c.rights(x)
	return c.out
}

func (c *comparison) denial(x *expectation) {
	if x.code != "" && c.text("code", x.code, c.code) {
		c.because(c.reasons...)
	}
	if x.rule != "" && !names(x.rule, c.rule) && c.text("rule", x.rule, c.rule) {
		c.because(c.reasons...)
	}
}

// text compares two values by what they are written as, and reports whether they differ.
func (c *comparison) text(field, expected, got string) bool {
	if expected == got {
		return false
	}
	c.out = append(c.out, Difference{Field: field, Expected: cmp.Or(expected, "none"), Got: cmp.Or(got, "none")})
	return true
}

func (c *comparison) set(field string, expected, got []string) bool {
	return c.text(field, strings.Join(expected, " "), strings.Join(got, " "))
}

// because adds what decided to the last difference.
func (c *comparison) because(reasons ...lineage.Reason) {
	last := &c.out[len(c.out)-1]
	for _, r := range reasons {
		line := why(r)
		for _, o := range c.obligations {
			if r.Granted && slices.Contains(o.Scopes, r.Scope) {
				line += ", held back until " + obligationText(o.Kind, o.Args, nil)
			}
		}
		if line != "" && !slices.Contains(last.Why, line) {
			last.Why = append(last.Why, line)
		}
	}
}

func (c *comparison) scopes(x *expectation) {
	expected := x.perResource
	if x.scopes != nil {
		expected = map[string][]string{}
		for _, r := range c.resources {
			expected[r] = *x.scopes
		}
	}
	if expected == nil {
		return
	}
	all := maps.Clone(c.granted)
	maps.Copy(all, expected)
	for _, resource := range slices.Sorted(maps.Keys(all)) {
		field := "scopes"
		if len(all) > 1 || x.perResource != nil {
			field += " at " + resource
		}
		if c.set(field, expected[resource], c.granted[resource]) {
			c.because(c.differing(resource, expected[resource])...)
		}
	}
}

// differing returns what is said of the scopes at a resource that only one side has.
func (c *comparison) differing(resource string, expected []string) []lineage.Reason {
	var out []lineage.Reason
	for _, r := range c.reasons {
		if r.Resource == resource && r.Scope != "" && r.Granted != slices.Contains(expected, r.Scope) {
			out = append(out, r)
		}
	}
	for _, s := range expected {
		if len(c.of(s)) == 0 {
			out = append(out, lineage.Reason{Resource: resource, Scope: s, Why: "not requested"})
		}
	}
	return out
}

func (c *comparison) limits(x *expectation) {
	if x.lifetime != nil {
		c.text("lifetime", short(*x.lifetime), short(c.lifetime))
	}
	if x.recheck != nil {
		c.text("recheck", short(*x.recheck), short(c.recheck))
	}
	if x.depth != nil {
		c.text("depth", strconv.Itoa(*x.depth), strconv.Itoa(c.depth))
	}
	if x.derivations != nil {
		c.text("derivations", strconv.Itoa(*x.derivations), fmt.Sprint(c.derivations))
	}
}

// short writes a duration as documents do, or that there is none.
func short(d time.Duration) string {
	if d == 0 {
		return "none"
	}
	return yamldoc.FormatDuration(d)
}

// rights compares what goes with the scopes: by which rules, under which obligations, for whom, and whether again.
func (c *comparison) rights(x *expectation) {
	for _, scope := range slices.Sorted(maps.Keys(x.rules)) {
		reasons := c.of(scope)
		wrong := func(r lineage.Reason) bool { return !r.Granted || !names(x.rules[scope], r.Rule) }
		if i := slices.IndexFunc(reasons, wrong); i >= 0 || len(reasons) == 0 {
			got := ""
			if i >= 0 && reasons[i].Granted {
				got = reasons[i].Rule
			}
			c.text("rule of "+scope, x.rules[scope], got)
			c.because(reasons...)
		}
	}
	for _, scope := range slices.Sorted(maps.Keys(x.delegates)) {
		c.set("delegates of "+scope, x.delegates[scope], c.delegates(scope))
	}
	c.marked("refresh", x.refresh, func(r lineage.Reason) bool { return r.Refresh })
	c.marked("deliver", x.deliver, func(r lineage.Reason) bool { return r.Deliver })
	if x.obligations != nil {
		c.obliged(*x.obligations)
	}
}

// marked compares which scopes a right goes with.
func (c *comparison) marked(field string, x marked, is func(lineage.Reason) bool) {
	switch {
	case x.scopes != nil:
		c.set(field, *x.scopes, c.with(is))
	case x.all != nil && *x.all:
		c.set(field, c.outcome.scopes(), c.with(is))
	case x.all != nil:
		c.set(field, nil, c.with(is))
	}
}

// obliged compares obligations, in any order: each that is stated is another one that was decided, and none is left.
func (c *comparison) obliged(expected []obligation) {
	left := slices.Clone(c.obligations)
	var missing []string
	for _, x := range expected {
		if i := slices.IndexFunc(left, x.is); i >= 0 {
			left = slices.Delete(left, i, i+1)
		} else {
			missing = append(missing, x.String())
		}
	}
	var extra []string
	for _, o := range left {
		extra = append(extra, obligationText(o.Kind, o.Args, o.Scopes))
	}
	c.set("obligations", missing, extra)
}

// is reports whether o is what is stated.
func (x obligation) is(o lineage.Obligation) bool {
	for key, value := range x.args {
		if o.Args[key] != value {
			return false
		}
	}
	return x.kind == o.Kind && (x.scopes == nil || slices.Equal(*x.scopes, o.Scopes))
}

func (x obligation) String() string {
	if x.scopes == nil {
		return obligationText(x.kind, x.args, nil)
	}
	return obligationText(x.kind, x.args, *x.scopes)
}

func obligationText(kind string, args map[string]string, scopes []string) string {
	parts := []string{"kind: " + kind}
	for _, key := range slices.Sorted(maps.Keys(args)) {
		value := args[key]
		if n, err := strconv.Atoi(value); err == nil && key == "max_age" {
			value = short(time.Duration(n) * time.Second)
		}
		parts = append(parts, key+": "+value)
	}
	if scopes != nil {
		parts = append(parts, "scopes: ["+strings.Join(scopes, ", ")+"]")
	}
	return "{" + strings.Join(parts, ", ") + "}"
}
