package policy

import (
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// option is a set of edits, one for a path, that may bring something about. Only deciding anew says whether it does.
type option []edit

const (
	maxChanges = 3  // of one option
	maxOptions = 64 // considered at once
)

// with returns the option and one more edit; false where it is too much.
func (o option) with(e edit) (option, bool) {
	at := slices.IndexFunc(o, func(x edit) bool { return slices.Equal(x.path, e.path) })
	out := slices.Clone(o)
	if at >= 0 {
		out[at] = e
		return out, true
	}
	return append(out, e), len(o) < maxChanges
}

// merged returns the ways to take two options together. Where they want different things of one path, either may do.
func merged(a, b option) []option {
	a, b = a.without(b), b.without(a)
	left, right, differ := slices.Clone(a), slices.Clone(a), false
	for _, e := range b {
		at := slices.IndexFunc(a, func(x edit) bool { return slices.Equal(x.path, e.path) })
		switch {
		case at < 0:
			var fits bool
			if left, fits = left.with(e); !fits {
				return nil
			}
			right, _ = right.with(e)
		case a[at].same(e):
		default:
			differ = true
			right, _ = right.with(e)
		}
	}
	if differ {
		return []option{left, right}
	}
	return []option{right}
}

// without leaves out what the other option brings about anyway: that there is something, by saying what.
func (o option) without(other option) option {
	return slices.DeleteFunc(slices.Clone(o), func(e edit) bool { return slices.ContainsFunc(other, e.impliedBy) })
}

// combine returns the ways to take one of each; none where there is no time for it.
func (q *search) combine(lists ...[]option) []option {
	out := []option{nil}
	for _, list := range lists {
		if q.ctx.Err() != nil {
			return nil
		}
		var next []option
		for _, a := range out {
			for _, b := range list {
				next = append(next, merged(a, b)...)
			}
		}
		out = smallest(next)
	}
	return out
}

// smallest returns the smallest options.
func smallest(list []option) []option {
	slices.SortStableFunc(list, func(a, b option) int { return a.weight() - b.weight() })
	return list[:min(len(list), maxOptions)]
}

// weight orders options: fewer edits first, then those that are nearer to who asks, then those that say what a thing is
// to be and not only what not.
func (o option) weight() int {
	sum := 0
	for _, e := range o {
		sum += 2 * changeables[e.path[0]].by
		if e.value == nil || e.any || e.but != nil {
			sum++
		}
	}
	return len(o)*100 + sum
}

// apply returns a copy of the facts with all edits.
func (o option) apply(f tokenboundary.Facts) (tokenboundary.Facts, bool) {
	for _, e := range o {
		if !e.apply(&f) {
			return f, false
		}
	}
	return f, true
}

// key names an option.
func (o option) key() string {
	var parts []string
	for _, e := range o {
		parts = append(parts, e.name()+"="+e.to())
	}
	slices.Sort(parts)
	return strings.Join(parts, "\n")
}
