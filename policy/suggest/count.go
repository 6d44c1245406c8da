package suggest

import (
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// tally is the evidence of one thing that is granted.
type tally struct {
	Evidence
	needed bool // something of it was used
	silent bool // it was granted where nobody reports, or while nobody did
}

func (t *tally) add(g *grant) {
	if t.Grants == 0 {
		t.First = g.issued
	}
	t.Grants, t.Last = t.Grants+1, later(t.Last, g.issued)
	if len(g.reported) > 0 {
		t.Used++
		t.LastUse = later(t.LastUse, g.last)
		t.Longest = max(t.Longest, g.last.Sub(g.issued))
	}
}

// shared is what is known of a scope at a policy path, whichever rule of it granted the scope: a rule that was not named may
// have granted it too, and given it its delegates, its refresh token and its end.
type shared struct {
	granted, needed, silent, refreshed bool
	derived                            []string
	longest                            time.Duration
}

// facts is what a history comes to.
type facts struct {
	scopes    map[[2]string]*tally // by rule and scope
	delegates map[[2]string]*tally // by rule and delegate
	refreshes map[string]*tally    // by rule
	lives     map[string]*tally    // by rule: the tokens that were used
	paths     map[string]*tally
	life      map[string]time.Duration // by rule: the longest that a token was given
	shared    map[[2]string]*shared    // by path and scope
}

func at[K comparable, V any](m map[K]*V, key K) *V {
	if m[key] == nil {
		m[key] = new(V)
	}
	return m[key]
}

// count adds the history up.
func (h *history) count() *facts {
	f := &facts{
		map[[2]string]*tally{}, map[[2]string]*tally{}, map[string]*tally{}, map[string]*tally{}, map[string]*tally{},
		map[string]time.Duration{}, map[[2]string]*shared{},
	}
	for _, g := range h.order {
		for i, r := range g.reasons {
			f.reason(h, g, r, g.used[i])
		}
		f.rules(h, g)
	}
	return f
}

// reason counts one scope that was granted.
func (f *facts) reason(h *history, g *grant, r *reason, used bool) {
	t, s := at(f.scopes, [2]string{r.rule, r.scope}), at(f.shared, [2]string{r.path(), r.scope})
	window, reports := h.reports[r.resource]
	s.granted, s.needed, s.refreshed = true, s.needed || used, s.refreshed || g.refreshed
	for _, client := range g.derived {
		if client != g.client && !slices.Contains(s.derived, client) {
			s.derived = append(s.derived, client)
		}
	}
	t.needed = t.needed || used
	t.silent, s.silent = t.silent || !reports, s.silent || !reports
	if g.kind != lineage.KindToken {
		return
	}
	if !g.last.IsZero() {
		s.longest = max(s.longest, g.last.Sub(g.issued))
	}
	known := slices.Contains(g.reported, r.resource) || reports && !g.issued.Before(window[0]) && !g.issued.After(window[1])
	if known && !g.expires.After(h.opts.Until) {
		t.add(g)
	}
}

// rules counts what the rules that granted something gave besides, once for each grant.
func (f *facts) rules(h *history, g *grant) {
	if g.kind != lineage.KindToken {
		return
	}
	over := !g.expires.After(h.opts.Until)
	for i, r := range g.reasons {
		if slices.ContainsFunc(g.reasons[:i], func(o *reason) bool { return o.rule == r.rule }) {
			continue
		}
		f.life[r.rule] = max(f.life[r.rule], g.expires.Sub(g.issued))
		if !slices.ContainsFunc(g.reasons[:i], func(o *reason) bool { return o.path() == r.path() }) {
			at(f.paths, r.path()).add(g)
		}
		if len(g.reported) > 0 {
			at(f.lives, r.rule).add(g)
		}
		refresh := false
		var named []string
		for _, o := range g.reasons {
			if o.rule != r.rule || !over {
				continue
			}
			refresh = refresh || o.refresh
			for _, client := range o.clients() {
				if !slices.Contains(named, client) {
					named = append(named, client)
					at(f.delegates, [2]string{r.rule, client}).add(g)
				}
			}
		}
		if refresh {
			at(f.refreshes, r.rule).add(g)
		}
	}
}
