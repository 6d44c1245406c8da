package suggest

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// usage reads what was reported of tokens.
func (h *history) usage(ctx context.Context, from tokenboundary.Recall, tokens []*grant) error {
	ids := make([]lineage.ID, len(tokens))
	for i, g := range tokens {
		ids[i] = g.id
	}
	found, err := tokenboundary.UsageOf(ctx, from.Store, from.Issuer, ids)
	for i, reported := range found {
		for _, u := range reported {
			h.report(tokens[i], u)
		}
	}
	return err
}

// report takes note of what a resource reported of a token.
func (h *history) report(g *grant, u lineage.Usage) {
	window, seen := h.reports[u.Resource]
	if !seen || u.First.Before(window[0]) {
		window[0] = u.First
	}
	window[1] = later(window[1], u.Last)
	h.reports[u.Resource] = window
	g.use(u, true)
	for _, a := range g.above {
		a.use(u, false)
	}
}

// use marks the scopes that a use may have needed. Of a token for several resources, which must grant the same, a scope that
// is used at one is needed at all. A scope that is implied is had only by those that its rule names.
func (g *grant) use(u lineage.Usage, own bool) {
	g.last = later(g.last, u.Last)
	if !slices.Contains(g.reported, u.Resource) {
		g.reported = append(g.reported, u.Resource)
	}
	for i, r := range g.reasons {
		if _, named := u.Scopes[r.scope]; !named && u.Unscoped == 0 || !own && r.resource != u.Resource {
			continue
		}
		g.used[i] = true
		for j, by := range g.reasons {
			g.used[j] = g.used[j] || r.implied && by.rule == r.rule && by.resource == r.resource
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// silent returns the resources that never reported, with how many tokens were granted there.
func (h *history) silent() []Silent {
	counts := map[string]int{}
	for g := range h.grantsOf(lineage.KindToken) {
		seen := map[string]bool{}
		for _, r := range g.reasons {
			if _, reports := h.reports[r.resource]; !reports && !seen[r.resource] {
				seen[r.resource] = true
				counts[r.resource]++
			}
		}
	}
	out := make([]Silent, 0, len(counts))
	for resource, n := range counts {
		out = append(out, Silent{resource, n})
	}
	slices.SortFunc(out, func(a, b Silent) int { return cmp.Compare(a.Resource, b.Resource) })
	return out
}

func (h *history) grantsOf(kind lineage.Kind) iter.Seq[*grant] {
	return func(yield func(*grant) bool) {
		for _, g := range h.order {
			if g.kind == kind && !yield(g) {
				return
			}
		}
	}
}

// need is what a decision must still give.
type need struct {
	scopes    map[[2]string]bool // by resource and scope
	age       time.Duration      // of the last use
	delegates []string
	refresh   bool
}

// needOf returns what the decision that a token tells must still give; nil where nobody needed it.
func (h *history) needOf(id lineage.ID) *need {
	g := h.grants[id]
	if g == nil {
		return nil
	}
	n := &need{scopes: map[[2]string]bool{}}
	if !g.last.IsZero() {
		n.age = g.last.Sub(g.issued)
	}
	for _, a := range g.decision() {
		for i, r := range a.reasons {
			if a.used[i] {
				n.scopes[[2]string{r.resource, r.scope}] = true
			}
		}
		for _, client := range a.derived {
			if client != g.client {
				n.delegates = append(n.delegates, client)
			}
		}
		n.refresh = n.refresh || a.refreshed
	}
	if len(n.scopes) == 0 {
		return nil
	}
	return n
}

// decision returns a token and what tells the same decision: the task and the refresh family that began with it.
func (g *grant) decision() []*grant {
	out := []*grant{g}
	for _, a := range slices.Backward(g.above) {
		if g.refresh || a.kind == lineage.KindToken || !a.issued.Equal(g.issued) {
			break
		}
		out = append(out, a)
	}
	return out
}
