package suggest

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// usageBatch is how many records' usage is read at once.
const usageBatch = 256

// reason is one scope that was granted at one resource, and what came with it.
type reason struct {
	rule, resource, scope string // rule as path#name
	delegates             string // joined by a NUL, which no name has
	refresh               bool
	implied               bool // by another scope of the rule, which does not name it
}

// path returns the policy path of the rule.
func (r reason) path() string { path, _, _ := strings.Cut(r.rule, "#"); return path }

// clients returns the delegates.
func (r reason) clients() []string {
	if r.delegates == "" {
		return nil
	}
	return strings.Split(r.delegates, "\x00")
}

// grant is what is kept of a record. Only that of a token, a refresh family or a task has reasons.
type grant struct {
	id              lineage.ID
	kind            lineage.Kind
	client          string
	issued, expires time.Time
	ancestors       []lineage.ID
	above           []*grant
	reasons         []*reason // interned
	used            []bool    // of each reason
	last            time.Time // the last use, of it or of what was derived from it, or the last derivation; zero: none
	derived         []string  // the clients that derived from it
	refresh         bool      // it is of a refresh
	refreshed       bool      // it was derived from by a refresh
	reported        []string  // the resources that reported a use of it, or of what was derived from it
}

// history is what was recorded in a range.
type history struct {
	opts     Options
	grants   map[lineage.ID]*grant
	order    []*grant
	tokens   int
	interned map[reason]*reason
	mentions map[[2]string]bool      // the rules and scopes that any record names together
	asked    map[[2]string]bool      // the resources that were asked for, by policy path
	versions map[string]time.Time    // the policy versions, by when each was first seen
	reports  map[string][2]time.Time // the first and last use that each resource reported
}

// read reads the range.
func read(ctx context.Context, from tokenboundary.Recall, opts Options) (*history, error) {
	h := &history{
		opts: opts, grants: map[lineage.ID]*grant{}, interned: map[reason]*reason{}, mentions: map[[2]string]bool{},
		asked: map[[2]string]bool{}, versions: map[string]time.Time{}, reports: map[string][2]time.Time{},
	}
	for past, err := range from.All(ctx, tokenboundary.RecallFilter{Since: opts.Since, Until: opts.Until}) {
		if err != nil {
			return nil, err
		}
		if past.Record.Body != nil {
			h.add(past.Record)
		}
	}
	for _, g := range h.order {
		h.link(g)
	}
	var tokens []*grant
	for g := range h.grantsOf(lineage.KindToken) {
		if tokens = append(tokens, g); len(tokens) == usageBatch {
			if err := h.usage(ctx, from, tokens); err != nil {
				return nil, err
			}
			tokens = tokens[:0]
		}
	}
	return h, h.usage(ctx, from, tokens)
}

// add takes note of a record. What it was derived from may come behind it, if it is of the same moment.
func (h *history) add(r lineage.Record) {
	h.note(r)
	b := r.Body
	g := &grant{
		id: r.ID(), kind: r.Kind, client: b.Client, issued: r.IssuedAt, expires: r.ExpiresAt, ancestors: r.Ancestors,
		refresh: b.GrantType == string(tokenboundary.Refresh),
	}
	h.order, h.grants[g.id] = append(h.order, g), g
	switch r.Kind {
	case lineage.KindToken:
		h.tokens++
	case lineage.KindGrant, lineage.KindTask:
	default:
		return
	}
	for _, one := range b.Reasons {
		if one.Granted && one.Rule != "" && one.Scope != "" {
			g.reasons = append(g.reasons, h.intern(reason{
				one.Rule, one.Resource, one.Scope, strings.Join(one.Delegates, "\x00"), one.Refresh, one.Why != "",
			}))
		}
	}
	g.used = make([]bool, len(g.reasons))
}

// link takes note of what a record was derived from: it was needed until then, by that client.
func (h *history) link(g *grant) {
	for _, id := range g.ancestors {
		a := h.grants[id]
		if a == nil { // from before the range
			continue
		}
		g.above = append(g.above, a)
		if g.issued.After(a.issued) {
			a.last = later(a.last, g.issued)
		}
		if !slices.Contains(a.derived, g.client) {
			a.derived = append(a.derived, g.client)
		}
		a.refreshed = a.refreshed || g.refresh
	}
	g.ancestors = nil
}

// note takes note of what any record says: also one that refuses shows that somebody asked.
func (h *history) note(r lineage.Record) {
	b := r.Body
	if first, seen := h.versions[r.Policy]; !seen || r.IssuedAt.Before(first) {
		h.versions[r.Policy] = r.IssuedAt
	}
	resources := slices.Concat(b.Requested.Resources, b.Audience, b.Granted.Resources())
	for _, one := range b.Reasons {
		h.mentions[[2]string{one.Rule, one.Scope}] = true
		resources = append(resources, one.Resource)
	}
	for _, path := range b.Paths {
		for _, resource := range resources {
			h.asked[[2]string{path, resource}] = true
		}
	}
}

func (h *history) intern(r reason) *reason {
	if known := h.interned[r]; known != nil {
		return known
	}
	h.interned[r] = &r
	return &r
}
