package policy

import (
	"context"
	"errors"
	"slices"
	"time"

	"cel.dev/cel-go/common/types"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Limits on the search for a change.
const (
	maxTries   = 600             // decisions
	maxRuns    = 100_000         // conditions evaluated in them
	maxRounds  = 60              // times that what is in the way is looked for
	maxSearch  = 3 * time.Second // for all of an explanation
	maxWaiting = 7 * 24 * time.Hour
	maxBound   = 20 // bindings that are named
)

// search looks for the smallest change that makes a request pass: the smallest option first. What an option leads to is
// decided anew, never assumed; where it does not suffice, what is then in the way adds to it.
type search struct {
	asker  context.Context // of whoever waits for the explanation
	ctx    context.Context // of the search, which ends sooner
	set    *Set
	views  *views
	facts  tokenboundary.Facts
	scopes []string // that are to be granted; none: any will do
	within int      // resources that the request is decided for; 0 where it is not
	tries  int      // that are left
	seen   map[string]bool
}

// late reports whether the time for the search is over. What was found until then is what was found.
func (q *search) late() bool {
	return errors.Is(q.ctx.Err(), context.DeadlineExceeded) && q.asker.Err() == nil
}

// solution is an option and what it achieves.
type solution struct {
	option  option
	granted int  // scopes at resources
	full    bool // all that can be
}

func newSearch(asker, ctx context.Context, s *Set, v *views, facts tokenboundary.Facts) *search {
	q := &search{asker: asker, ctx: ctx, set: s, views: v, facts: facts, scopes: normal(facts.Scopes), tries: maxTries, seen: map[string]bool{}}
	if l, resources, _ := s.resolve(&facts); l != nil {
		q.within = len(resources)
		runs := (len(l.guard.denies) + len(l.denies) + len(l.allows)) * len(resources)
		q.tries = min(q.tries, maxRuns/max(runs, 1))
	}
	return q
}

// run returns the best that was found. It has no edits where nothing has to change, or nothing helps.
func (q *search) run() (solution, error) {
	start, err := q.try(nil)
	if q.late() {
		return solution{}, nil
	}
	if err != nil || start.full {
		return start, err
	}
	queue, top := q.expand(nil, nil), start
	for rounds := 1; len(queue) > 0 && q.tries > 0; {
		o := queue[0]
		queue = queue[1:]
		got, err := q.try(o)
		switch {
		case q.late():
			return top, nil
		case err != nil:
			return solution{}, err
		case got.full:
			return q.reduce(got)
		case got.granted > top.granted:
			top = got
		}
		if len(o) < maxChanges && rounds < maxRounds {
			rounds++
			queue = q.expand(queue, o)
		}
	}
	if len(top.option) == 0 {
		return top, nil
	}
	return q.reduce(top)
}

// reduce leaves out what is not needed.
func (q *search) reduce(f solution) (solution, error) {
	for i := len(f.option) - 1; i >= 0; i-- {
		less, err := q.try(slices.Delete(slices.Clone(f.option), i, i+1))
		if q.late() {
			break
		}
		if err != nil {
			return solution{}, err
		}
		if less.full == f.full && less.granted >= f.granted {
			f = less
		}
	}
	return f, nil
}

// try decides the request with the option. To wait is to try every full hour.
func (q *search) try(o option) (solution, error) {
	at := slices.IndexFunc(o, func(e edit) bool { return e.wait })
	if at < 0 {
		return q.decide(o)
	}
	o = slices.Clone(o)
	var top solution
	for later := time.Hour; later <= maxWaiting; later += time.Hour {
		o[at] = edit{path: o[at].path, value: types.Timestamp{Time: q.facts.Now.Add(later).Truncate(time.Hour)}}
		got, err := q.decide(o)
		if err != nil || got.full {
			return got, err
		}
		if got.granted > top.granted {
			got.option = slices.Clone(o)
			top = got
		}
	}
	return top, nil
}

func (q *search) decide(o option) (solution, error) {
	f, ok := o.apply(q.facts)
	if !ok {
		return solution{}, nil
	}
	q.tries--
	v, err := q.set.Evaluate(q.ctx, f)
	if err != nil {
		return solution{}, err
	}
	out := solution{option: o}
	out.granted, out.full = q.judge(&f, v)
	return out, nil
}

// judge counts what is granted of what is to be, and says whether that is all that can be.
func (q *search) judge(f *tokenboundary.Facts, v tokenboundary.Verdict) (granted int, full bool) {
	l, resources, _ := q.set.resolve(f)
	if v.Effect != tokenboundary.Allow || l == nil || len(resources) < q.within {
		return 0, false
	}
	full = true
	for _, r := range v.Reasons {
		switch {
		case len(q.scopes) > 0 && !slices.Contains(q.scopes, r.Scope):
		case r.Granted:
			granted++
		default:
			full = full && !l.grantable(f.Ceiling, r.Resource, r.Scope)
		}
	}
	for _, scope := range q.scopes { // what is no longer asked for is not granted
		full = full && slices.ContainsFunc(v.Reasons, func(r lineage.Reason) bool { return r.Scope == scope })
	}
	return granted, full
}

// grantable reports whether any rule names the scope at the resource, and what is above the token holds it.
func (l *leaf) grantable(ceiling *lineage.Authority, resource, scope string) bool {
	if l.catalog.resource(resource).lacks(scope) || ceiling != nil && !holdsScope(ceiling, resource, scope) {
		return false
	}
	return slices.ContainsFunc(l.rulesFor(scope), func(i int) bool { return l.allows[i].isFor(resource) })
}

// expand adds to the queue what may remove the obstacles that the option leaves.
func (q *search) expand(queue []option, o option) []option {
	f, ok := o.apply(q.facts)
	if !ok || slices.ContainsFunc(o, func(e edit) bool { return e.wait }) {
		return queue
	}
	for _, more := range q.obstacles(&f) {
		next, fits := o, true
		for _, e := range more {
			if next, ok = next.with(e); !ok {
				fits = false
			}
		}
		if key := next.key(); fits && !q.seen[key] {
			q.seen[key] = true
			queue = append(queue, next)
		}
	}
	slices.SortStableFunc(queue, func(a, b option) int { return a.weight() - b.weight() })
	return queue
}
