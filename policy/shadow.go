package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// DefaultTrial is for how long a policy on trial may take over one request where ShadowOptions say nothing else.
const DefaultTrial = 5 * time.Millisecond

// maxShown is how many scopes of each kind a recorded difference lists.
const maxShown = 16

// ShadowOptions say how a policy is tried. The zero value is usable.
type ShadowOptions struct {
	// Limit is for how long the one on trial may take over a request, which waits for it; zero or less: DefaultTrial.
	Limit time.Duration
	// OnDifference, if set, is told of every difference, and of every request that the one on trial could not decide. It is
	// called concurrently, while the request waits, with the verdict in force. What it panics with is lost.
	OnDifference func(facts tokenboundary.Facts, live tokenboundary.Verdict, difference *lineage.Shadow, err error)
}

// Versioned is a policy that says which version of it is in force: a *Set, a *Watched or a *Shadowed.
type Versioned interface {
	tokenboundary.Policy
	Version() string
}

// Shadowed is a policy with another one on trial beside it. Make one with Shadow. It is safe for concurrent use.
type Shadowed struct {
	live, trial Versioned
	opts        ShadowOptions

	asked, differed, failed atomic.Uint64
}

var _ Versioned = (*Shadowed)(nil)

// Shadow returns the policy live, which decides, with the policy trial beside it, which decides nothing: each request is put
// to both, and where the second would decide otherwise the verdict says so (tokenboundary.Verdict.Shadow), from where it
// comes into the record. Neither an error nor a panic of the policy on trial changes the answer, and no answer waits for it
// longer than the limit: a Set looks at the time between two conditions, each of which is bounded.
func Shadow(live, trial Versioned, opts ShadowOptions) *Shadowed {
	if opts.Limit <= 0 {
		opts.Limit = DefaultTrial
	}
	return &Shadowed{live: live, trial: trial, opts: opts}
}

// Version is the version of the policy in force.
func (s *Shadowed) Version() string { return s.live.Version() }

// Evaluate implements tokenboundary.Policy with the policy in force.
func (s *Shadowed) Evaluate(ctx context.Context, facts tokenboundary.Facts) (tokenboundary.Verdict, error) {
	v, err := s.live.Evaluate(ctx, facts)
	if err != nil {
		return v, err
	}
	other, err := s.try(ctx, facts)
	if ctx.Err() != nil { // the request has ended: nothing is learnt from it
		return v, nil
	}
	s.asked.Add(1)
	if err != nil {
		s.failed.Add(1)
	} else if v.Shadow = difference(v, other); v.Shadow != nil {
		s.differed.Add(1)
	}
	if s.opts.OnDifference != nil && (err != nil || v.Shadow != nil) {
		s.tell(facts, v, err)
	}
	return v, nil
}

// tell tells of a difference. No answer depends on whoever is told.
func (s *Shadowed) tell(facts tokenboundary.Facts, live tokenboundary.Verdict, err error) {
	defer func() { recover() }() //nolint:errcheck // see OnDifference
	s.opts.OnDifference(facts, live, live.Shadow, err)
}

// try asks the policy on trial. What it panics with is its own.
func (s *Shadowed) try(ctx context.Context, facts tokenboundary.Facts) (v tokenboundary.Verdict, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("policy: the policy on trial panicked: %.200v", p)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, s.opts.Limit)
	defer cancel()
	return s.trial.Evaluate(ctx, facts)
}

// Trial counts what came of a policy on trial.
type Trial struct {
	// Version is the version of the policy that is on trial now.
	Version string `json:"version"`
	// Asked is how many requests were put to it since the start, Differed how many it would have decided otherwise, and
	// Failed how many it could not decide in time.
	Asked    uint64 `json:"asked"`
	Differed uint64 `json:"differed"`
	Failed   uint64 `json:"failed"`
}

// Trial returns the counts so far.
func (s *Shadowed) Trial() Trial {
	return Trial{s.trial.Version(), s.asked.Load(), s.differed.Load(), s.failed.Load()}
}

// difference says what trial would have decided otherwise than live; nil where it is the same.
func difference(live, trial tokenboundary.Verdict) *lineage.Shadow {
	s := &lineage.Shadow{Policy: trial.Version}
	s.Lost, s.Gained = lineage.Difference(settled(live), settled(trial))
	if trial.Effect == tokenboundary.Allow && live.Effect == tokenboundary.Allow && trial.Lifetime < live.Lifetime {
		s.Lifetime = trial.Lifetime
	}
	if len(s.Lost)+len(s.Gained) == 0 && s.Lifetime == 0 {
		return nil
	}
	if trial.Path != live.Path {
		s.Path = trial.Path
	}
	s.Lost, s.Gained = s.Lost[:min(len(s.Lost), maxShown)], s.Gained[:min(len(s.Gained), maxShown)]
	return s
}

// settled returns the reasons of a verdict in which what an obligation holds back is not granted yet.
func settled(v tokenboundary.Verdict) []lineage.Reason {
	out := make([]lineage.Reason, len(v.Reasons))
	for i, r := range v.Reasons {
		if by := holding(v.Obligations, r.Scope); r.Granted && len(by) > 0 {
			kinds := make([]string, len(by))
			for i, o := range by {
				kinds[i] = o.Kind
			}
			r.Granted, r.Why, r.Delegates, r.Refresh = false, "requires "+strings.Join(kinds, " and "), nil, false
		}
		out[i] = r
	}
	return out
}

// holding returns the obligations that hold a scope back.
func holding(all []lineage.Obligation, scope string) []lineage.Obligation {
	var out []lineage.Obligation
	for _, o := range all {
		if slices.Contains(o.Scopes, scope) {
			out = append(out, o)
		}
	}
	return out
}
