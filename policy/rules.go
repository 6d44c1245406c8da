package policy

import (
	"cmp"
	"iter"
	"slices"
	"strings"
)

// Rule is a rule of a set.
type Rule struct {
	ID   string // path#name, as verdicts name it
	File string // its document
	Line int    // of its condition
	Deny bool

	// Of an allow rule: the scopes that it names, the resources that it is for (none: all that are bound), and whether
	// something has to happen before what it grants is released.
	Scopes    []string
	Resources []string
	Obliges   bool
}

// Rules lists the rules of the set that a request can meet, by file and line: those of every leaf, and of each guardrail
// above one. It goes through the whole set, and shares nothing with it.
func (s *Set) Rules() []Rule {
	var out []Rule
	guards := map[*guard]bool{}
	s.eachLeaf(func(l *leaf) {
		out = l.listed(out)
		for g := l.guard; g != nil && !guards[g]; g = g.above {
			guards[g] = true
			out = g.listed(out)
		}
	})
	slices.SortFunc(out, func(a, b Rule) int {
		return cmp.Or(strings.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), strings.Compare(a.ID, b.ID))
	})
	return out
}

// eachLeaf visits every leaf of the set once.
func (s *Set) eachLeaf(visit func(*leaf)) {
	seen := map[*leaf]bool{}
	for _, list := range []targets{s.anyClient, s.clients.all} {
		for _, t := range list {
			if !seen[t.leaf] {
				seen[t.leaf] = true
				visit(t.leaf)
			}
		}
	}
}

// denyRules returns the deny rules from the root to the leaf, in the order of evaluation.
func (l *leaf) denyRules() iter.Seq[*rule] {
	return func(yield func(*rule) bool) {
		for _, r := range l.guard.denies {
			if !yield(r) {
				return
			}
		}
		for i := range l.denies {
			if !yield(&l.denies[i]) {
				return
			}
		}
	}
}

func (l *leaf) listed(out []Rule) []Rule {
	for i := range l.denies {
		r := &l.denies[i]
		out = append(out, Rule{ID: r.id, File: l.file, Line: int(r.row), Deny: true})
	}
	scopes := make([][]string, len(l.allows))
	for _, s := range l.byScope {
		for _, i := range s.rules {
			scopes[i] = append(scopes[i], s.scope)
		}
	}
	for i := range l.allows {
		r := &l.allows[i]
		out = append(out, Rule{
			ID: r.id, File: l.file, Line: int(r.row),
			Scopes: scopes[i], Resources: slices.Clone(r.resources), Obliges: len(r.obligations) > 0,
		})
	}
	return out
}

// listed appends what the guardrail itself says, without those above it.
func (g *guard) listed(out []Rule) []Rule {
	own := g.denies
	if g.above != nil {
		own = own[len(g.above.denies):]
	}
	for _, r := range own {
		out = append(out, Rule{ID: r.id, File: g.file, Line: int(r.row), Deny: true})
	}
	return out
}
