package suggest

import (
	"context"
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/policy"
)

// prove makes the edits and asks every recorded decision again under the result. An edit that would take away what was
// needed, or give more than there is, is left to a person, and the rest is proved again. It returns how many decisions it
// has asked.
func (f *finder) prove(ctx context.Context, from tokenboundary.Recall, fsys fs.FS, now *policy.Set) (asked int, err error) {
	for {
		f.edit()
		if len(f.patched) == 0 {
			return asked, nil
		}
		then, err := policy.Load(overlay{fsys, f.patched})
		var bad *policy.LoadError
		if errors.As(err, &bad) {
			drop(f.active(), "the set would not load without it", func(c *change) bool {
				return slices.ContainsFunc(bad.Problems, func(p policy.Problem) bool { return p.File == c.File })
			})
			continue
		}
		if err != nil {
			return asked, err
		}
		n, sound, err := f.compare(ctx, from, now, then)
		if asked = n; err != nil || sound {
			return asked, err
		}
	}
}

// edit makes the edits that are not held, one after the other.
func (f *finder) edit() {
	f.patched = map[string][]byte{}
	for _, c := range f.found {
		if c.held {
			continue
		}
		text, ok := f.patched[c.File]
		if !ok {
			text = c.doc.text
		}
		out, err := c.edit.apply(text)
		if err != nil {
			c.held, c.Why = true, err.Error()
			continue
		}
		f.patched[c.File], c.Patched = out, true
	}
}

// active returns the changes that the patch makes.
func (f *finder) active() (out []*change) {
	for _, c := range f.found {
		if !c.held {
			out = append(out, c)
		}
	}
	return out
}

// drop takes changes out of the patch: those that are the most likely at fault, by the first of the tests that any meets; all,
// where none meets one.
func drop(active []*change, why string, tests ...func(*change) bool) {
	atFault := active
	for _, test := range tests {
		if slices.ContainsFunc(active, test) {
			atFault = slices.DeleteFunc(slices.Clone(active), func(c *change) bool { return !test(c) })
			break
		}
	}
	for _, c := range atFault {
		if !c.held {
			c.held, c.Patched, c.Why = true, false, why
		}
	}
}

// compare asks every recorded decision under both sets. Sound is false where one differs in what it must not, and the edits
// at fault have been dropped.
func (f *finder) compare(ctx context.Context, from tokenboundary.Recall, now, then *policy.Set) (asked int, sound bool, err error) {
	sound = true
	active := f.active() // however many decisions an edit harms, it alone is dropped
	for past, err := range from.All(ctx, tokenboundary.RecallFilter{Since: f.opts.Since, Until: f.opts.Until}) {
		if err != nil {
			return asked, false, err
		}
		if past.Skip != "" {
			continue
		}
		asked++
		a, err := past.Decide(ctx, now)
		if err != nil {
			return asked, false, err
		}
		b, err := past.Decide(ctx, then)
		if err != nil {
			return asked, false, err
		}
		if why := f.history.needOf(past.Record.ID()).harmed(a, b); why != "" {
			sound = false
			blame(active, past.Record, a, why)
		}
	}
	return asked, sound, nil
}

// harmed says what a decision that was a would lose of what was needed, or gain, were it b; empty: neither.
func (n *need) harmed(a, b tokenboundary.Answer) string {
	if !(lineage.Authority{Access: a.Access}).Covers(lineage.Authority{Access: b.Access}) {
		return "a recorded request would be granted more"
	}
	if n == nil {
		return ""
	}
	for key := range n.scopes {
		was, is := reasonOf(a, key), reasonOf(b, key)
		lost := func(client string) bool {
			return slices.Contains(was.Delegates, client) && !slices.Contains(is.Delegates, client)
		}
		switch {
		case !was.Granted || a.Effect != tokenboundary.Allow:
		case !is.Granted || b.Effect != tokenboundary.Allow:
			return "a recorded request would lose " + key[1] + ", which was used"
		case slices.ContainsFunc(n.delegates, lost):
			return "a recorded derivation would be refused"
		case n.refresh && was.Refresh && !is.Refresh:
			return "a recorded refresh would be refused"
		}
	}
	if b.Lifetime < min(n.age, a.Lifetime) && b.Lifetime.Round(time.Second) < a.Lifetime.Round(time.Second) {
		return "a token would have ended before its last use"
	}
	return ""
}

// reasonOf returns why a scope was granted; zero where it was not.
func reasonOf(a tokenboundary.Answer, key [2]string) lineage.Reason {
	for _, r := range a.Reasons {
		if r.Granted && r.Resource == key[0] && r.Scope == key[1] {
			return r
		}
	}
	return lineage.Reason{}
}

// blame drops the edits that a decision has to do with: those of the rules that granted something in it, or else all of the
// documents that decided it.
func blame(active []*change, r lineage.Record, a tokenboundary.Answer, why string) {
	drop(active, why, func(c *change) bool {
		return c.Rule != "" && slices.ContainsFunc(a.Reasons, func(one lineage.Reason) bool {
			return one.Rule == c.doc.path+"#"+c.Rule && (c.Kind != Scope || one.Scope == c.Value)
		})
	}, func(c *change) bool {
		return slices.Contains(a.Paths, c.doc.path) || slices.Contains(r.Body.Paths, c.doc.path)
	})
}
