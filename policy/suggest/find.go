package suggest

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/yamldoc"
)

// change is a suggestion and the edit that would make it.
type change struct {
	Suggestion
	edit edit
	doc  *document
	held bool // it is not for the patch
}

// finder looks for what could be taken away.
type finder struct {
	history *history
	facts   *facts
	docs    []*document
	opts    Options
	version string
	found   []*change
	patched map[string][]byte // the texts that have changed, by file
}

func (f *finder) find() {
	for _, d := range f.docs {
		for _, r := range d.rules {
			if !f.unusedScopes(d, r) {
				f.unusedTerms(d, r)
				f.longLifetime(d, r)
			}
		}
		f.unasked(d)
	}
}

// enough reports whether there is enough evidence.
func (f *finder) enough(t *tally) bool {
	return t != nil && t.Grants >= f.opts.MinGrants && t.Last.Sub(t.First) >= f.opts.MinTime
}

// add adds a suggestion. Why, where not empty, keeps it out of the patch.
func (f *finder) add(d *document, s Suggestion, e edit, why string) {
	s.File, s.Rule, s.Why = d.file, e.rule, why
	f.found = append(f.found, &change{s, e, d, why != ""})
}

// settled says why what never happened is no evidence yet; empty where it is.
func (f *finder) settled() string {
	first, seen := f.history.versions[f.version]
	if !seen || f.opts.Until.Sub(first) < f.opts.MinTime {
		return "the set as it is now has not been in force for long enough: it may be new"
	}
	return ""
}

// idle is a scope that a rule names and nobody needed.
type idle struct {
	scope string
	Evidence
	why string // not empty: it is not for the patch
}

// idle returns the scopes of a rule that were granted and not used, or not granted at all.
func (f *finder) idle(d *document, r rule) (out []idle) {
	for _, scope := range r.scopes {
		key := [2]string{d.path + "#" + r.name, scope}
		t, s := f.facts.scopes[key], f.facts.shared[[2]string{d.path, scope}]
		gives := len(r.delegates) > 0 || r.refresh // to whatever another rule grants as well
		switch {
		case s == nil && !f.history.mentions[key] && f.enough(f.facts.paths[d.path]):
			out = append(out, idle{scope, f.facts.paths[d.path].Evidence, f.settled()})
		case f.enough(t) && !t.needed && !t.silent && !(gives && s.needed):
			out = append(out, idle{scope, t.Evidence, ""})
		}
	}
	return out
}

// unusedScopes suggests to take out what a rule grants for nothing: scopes of it or, where these are all, the rule. It
// reports whether nothing of the rule is left.
func (f *finder) unusedScopes(d *document, r rule) bool {
	found := f.idle(d, r)
	if len(found) > 0 && len(found) == len(r.scopes) {
		least := found[0]
		for _, one := range found {
			if one.Grants < least.Grants {
				least.Evidence = one.Evidence
			}
			least.why = cmp.Or(least.why, one.why)
		}
		f.add(d, Suggestion{Kind: Rule, Line: r.line, Value: strings.Join(r.scopes, " "), Evidence: least.Evidence},
			edit{rule: r.name}, least.why)
		return true
	}
	for _, one := range found {
		f.add(d, Suggestion{Kind: Scope, Line: r.line, Value: one.scope, Evidence: one.Evidence},
			edit{rule: r.name, key: "scopes", item: one.scope}, one.why)
	}
	return false
}

// any reports whether what is known of any scope of a rule at its path is so.
func (f *finder) any(d *document, r rule, is func(*shared) bool) bool {
	return slices.ContainsFunc(r.scopes, func(scope string) bool {
		s := f.facts.shared[[2]string{d.path, scope}]
		return s != nil && is(s)
	})
}

// unusedTerms suggests to take away delegates that never derived, and a refresh token that was never used.
func (f *finder) unusedTerms(d *document, r rule) {
	id := d.path + "#" + r.name
	var idle []string
	for _, client := range r.delegates {
		derived := f.any(d, r, func(s *shared) bool { return slices.Contains(s.derived, client) })
		if f.enough(f.facts.delegates[[2]string{id, client}]) && !derived {
			idle = append(idle, client)
		}
	}
	for i, client := range idle {
		e := edit{rule: r.name, key: "delegates", item: client}
		if len(idle) == len(r.delegates) && i == len(idle)-1 { // the last one, with the list
			e.item = ""
		}
		t := f.facts.delegates[[2]string{id, client}]
		f.add(d, Suggestion{Kind: Delegate, Line: r.line, Value: client, Evidence: t.Evidence}, e, "")
	}
	if t := f.facts.refreshes[id]; r.refresh && f.enough(t) && !f.any(d, r, func(s *shared) bool { return s.refreshed }) {
		f.add(d, Suggestion{Kind: Refresh, Line: r.line, Evidence: t.Evidence},
			edit{rule: r.name, key: "refresh", value: "false"}, "")
	}
}

// longLifetime suggests a shorter lifetime where every use came soon.
func (f *finder) longLifetime(d *document, r rule) {
	id := d.path + "#" + r.name
	t := f.facts.lives[id]
	if !f.enough(t) || f.any(d, r, func(s *shared) bool { return s.silent }) {
		return
	}
	e := t.Evidence
	for _, scope := range r.scopes {
		if s := f.facts.shared[[2]string{d.path, scope}]; s != nil {
			e.Longest = max(e.Longest, s.longest)
		}
	}
	now := f.facts.life[id]
	if r.lifetime > 0 {
		now = min(now, r.lifetime)
	}
	then := enoughFor(e.Longest)
	if 2*then > now {
		return
	}
	s := Suggestion{Kind: Lifetime, Line: r.line, Value: yamldoc.FormatDuration(then), Evidence: e}
	why := ""
	if r.lifetime == 0 {
		why = "the rule has no lifetime of its own: add one"
	}
	f.add(d, s, edit{rule: r.name, key: "lifetime", value: s.Value}, why)
}

// enoughFor returns a lifetime for uses of this age: half as long again, rounded up to what a person would write.
func enoughFor(age time.Duration) time.Duration {
	age += age / 2
	step := 15 * time.Minute
	switch {
	case age <= time.Minute:
		step = 10 * time.Second
	case age <= 10*time.Minute:
		step = 30 * time.Second
	case age <= time.Hour:
		step = 5 * time.Minute
	}
	return max((age+step-1)/step, 1) * step
}

// unasked suggests to take out resources that are bound and were never asked for.
func (f *finder) unasked(d *document) {
	if t := f.facts.paths[d.path]; f.enough(t) && len(d.bind["resource"]) > 1 {
		for _, resource := range d.bind["resource"] {
			if f.history.asked[[2]string{d.path, canonical(resource)}] {
				continue
			}
			f.add(d, Suggestion{Kind: Resource, Line: d.line, Value: resource, Evidence: t.Evidence},
				edit{key: "resource", item: resource}, f.bound(d, resource))
		}
	}
}

// bound says why a resource cannot be taken out of a binding; empty where it can.
func (f *finder) bound(d *document, resource string) string {
	for _, r := range d.rules {
		if slices.ContainsFunc(r.resources, func(s string) bool { return canonical(s) == canonical(resource) }) {
			return "the rule " + r.name + " names it"
		}
	}
	for _, o := range f.docs {
		if o != d && d.overlaps(o, resource) {
			return "requests for it would be decided by " + o.file + " instead"
		}
	}
	return f.settled()
}
