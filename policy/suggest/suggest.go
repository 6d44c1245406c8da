package suggest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/policy"
)

// Options say which decisions count, and how much evidence is asked for. The zero value is refused: Until is required.
type Options struct {
	// Since and Until bound the decisions that count: those made at Since or later and before Until, which is also the
	// time as of which a token is over. What is not over yet may still be used, and is no evidence of the contrary.
	Since, Until time.Time
	// MinGrants is how many grants must have gone unused, and MinTime over how long they must stretch, before something is
	// proposed. Zero: 50 grants, 14 days. What happens once a quarter takes more: nothing here knows of it.
	MinGrants int
	MinTime   time.Duration
}

// The defaults of Options.
const (
	defaultGrants = 50
	defaultTime   = 14 * 24 * time.Hour
)

// Kind says what a suggestion takes away.
type Kind string

// The kinds of suggestion.
const (
	Scope    Kind = "scope"    // a scope that a rule grants and nobody used, or asked for
	Rule     Kind = "rule"     // a rule of which all scopes are so
	Lifetime Kind = "lifetime" // more time than any use took
	Delegate Kind = "delegate" // a client that never derived from what the rule granted
	Refresh  Kind = "refresh"  // a refresh token that was never used
	Resource Kind = "resource" // a resource that is bound and was never asked for
)

// Suggestion is one thing to take away, with what speaks for it.
type Suggestion struct {
	Kind Kind   `json:"kind"`
	File string `json:"file"` // slash-separated, relative to the root of the set
	Line int    `json:"line"`
	// Rule is the name of the rule; empty where it is about the document. Value is the scope, delegate or resource, the
	// scopes of a rule, or the lifetime that is proposed.
	Rule  string `json:"rule,omitempty"`
	Value string `json:"value,omitempty"`
	// Evidence is what speaks for it.
	Evidence Evidence `json:"evidence"`
	// Patched is set where the patch makes the change. Where it does not, Why says why a person has to.
	Patched bool   `json:"patched"`
	Why     string `json:"why,omitempty"`
}

// Evidence is what was seen of what a suggestion is about.
type Evidence struct {
	// Grants is how many tokens it was granted in, First and Last when. Of what was never asked for, it is how many tokens
	// the policy path granted.
	Grants int       `json:"grants"`
	First  time.Time `json:"first,omitzero"`
	Last   time.Time `json:"last,omitzero"`
	// Used is how many of these tokens were used in any way, LastUse when the last one was.
	Used    int       `json:"used"`
	LastUse time.Time `json:"last_use,omitzero"`
	// Longest is, of a lifetime, the longest time from the issue of a token to its last use.
	Longest time.Duration `json:"longest_ns,omitempty"`
}

// Silent is a resource of which no use was reported: nothing that is granted there is known to be unused.
type Silent struct {
	Resource string `json:"resource"`
	Grants   int    `json:"grants"`
}

// Report is what Run found.
type Report struct {
	// Policy is the version of the set that the suggestions are for.
	Policy string    `json:"policy"`
	Since  time.Time `json:"since,omitzero"`
	Until  time.Time `json:"until"`
	// Grants is how many tokens were looked at; Asked how many recorded decisions were asked again.
	Grants      int          `json:"grants"`
	Asked       int          `json:"asked"`
	Suggestions []Suggestion `json:"suggestions"`
	Silent      []Silent     `json:"silent"`
	// Patch is a unified diff against the root of the set, as git apply and patch -p1 take it; empty where there is
	// nothing to change.
	Patch string `json:"patch,omitempty"`
}

// Run reads what was recorded and reported, and says what of the policy set in fsys could be taken away. It reads the
// store from end to end and holds a few hundred bytes for each record of the range. An error is that of the store, of the
// set (*policy.LoadError), or of the options.
func Run(ctx context.Context, from tokenboundary.Recall, fsys fs.FS, opts Options) (Report, error) {
	if opts.Until.IsZero() || opts.MinGrants < 0 || opts.MinTime < 0 {
		return Report{}, errors.New("suggest: Options.Until is required, and nothing may be negative")
	}
	opts.MinGrants, opts.MinTime = cmp.Or(opts.MinGrants, defaultGrants), cmp.Or(opts.MinTime, defaultTime)
	set, err := policy.Load(fsys)
	if err != nil {
		return Report{}, err
	}
	docs, err := readDocuments(fsys)
	if err != nil {
		return Report{}, err
	}
	h, err := read(ctx, from, opts)
	if err != nil {
		return Report{}, fmt.Errorf("suggest: %w", err)
	}
	f := &finder{history: h, facts: h.count(), docs: docs, opts: opts, version: set.Version()}
	f.find()
	out := Report{Policy: set.Version(), Since: opts.Since, Until: opts.Until, Grants: h.tokens, Silent: h.silent()}
	if out.Asked, err = f.prove(ctx, from, fsys, set); err != nil {
		return Report{}, fmt.Errorf("suggest: %w", err)
	}
	out.Suggestions = f.suggestions()
	out.Patch = f.patch()
	return out, nil
}

// suggestions returns what was found, in the order of the documents.
func (f *finder) suggestions() []Suggestion {
	out := make([]Suggestion, 0, len(f.found))
	for _, c := range f.found {
		out = append(out, c.Suggestion)
	}
	slices.SortStableFunc(out, func(a, b Suggestion) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
	return out
}
