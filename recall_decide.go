package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Answer is what a request came to, or what it would come to under another policy.
type Answer struct {
	Effect Effect
	// Code is the refusal of an answer that denies; CodeAuthorizationPending where the request waits.
	Code    Code
	Version string   // of the policy set
	Paths   []string // the policy paths that decided
	// Access is what is granted, or what would be once what the request waits for has happened. Where a task begins or
	// goes on with the token, what that may do is part of it.
	Access  []lineage.Access
	Details []json.RawMessage
	// Lifetime is how long the token lives at most; zero where there is none.
	Lifetime time.Duration
	Reasons  []lineage.Reason
	// Obligations are those that are not met. Args are known only of what a request waits for.
	Obligations []lineage.Obligation
	// Asked are the questions that the policy was put, in order: one, but one for each resource of a task that lists
	// several. Of an answer that was recorded there are none.
	Asked []Facts
}

// errSkipped is what a record that is no decision comes to.
var errSkipped = errors.New("no decision that can be asked again")

// Decide asks the policy again, on what was known then, and takes the meet with what was above the request, exactly as a
// Governor does. It may be called concurrently.
//
// What the configuration of a Governor bounds besides, and the end of an outside credential, is not recorded: a lifetime
// beyond the recorded one may not be had. A client that now may do something else is not asked about. Where p has Skip set
// it returns an error; ErrUnavailable is a policy that cannot decide.
func (p Past) Decide(ctx context.Context, policy Policy) (Answer, error) {
	if p.Skip != "" {
		return Answer{}, fmt.Errorf("%w: %w: %s", ErrInvalid, errSkipped, p.Skip)
	}
	a := Answer{}
	h := p.hop(policy)
	end, err := p.pass(ctx, h, &a)
	r := h.ruling
	a.Version, a.Paths = r.version, r.paths
	var no *refusal
	switch {
	case errors.As(err, &no):
		a.Code, a.Reasons = no.code, append(refused(r.reasons), lineage.Reason{Why: clip(no.why)})
		a.Obligations = heldBackBy(a.Reasons)
		return a, nil
	case err != nil:
		return Answer{}, err
	case len(h.wants) > 0:
		a.Code, a.Obligations, a.Lifetime = CodeAuthorizationPending, h.wants, h.lifetime(r)
	default:
		a.Effect, a.Obligations, a.Lifetime = Allow, heldBackBy(r.reasons), end.Sub(h.now)
	}
	a.Reasons, a.Details, a.Access = r.reasons, r.details, r.access
	if h.task != nil {
		a.Access = both(r.access, h.task.access)
	} else if t := h.inheritedTask(); t != nil && t.Authority != nil {
		a.Access = both(r.access, t.Authority.Access)
	}
	return a, nil
}

// both returns what a token is good for together with what the task may do that it stands for.
func both(own, task []lineage.Access) []lineage.Access {
	return lineage.Authority{Access: slices.Concat(own, task)}.Normal().Access
}

// pass takes the hop through what a request goes through, as far as a policy has a say in it. It returns when the token
// ends.
func (p *Past) pass(ctx context.Context, h *hop, a *Answer) (time.Time, error) {
	if err := p.comesFrom(ctx, h); err != nil {
		return time.Time{}, err
	}
	h.g.cfg.Policy = questions{h.g.cfg.Policy, &a.Asked}
	if err := h.decide(ctx); err != nil {
		return time.Time{}, err
	}
	if _, err := h.room(); err != nil || len(h.wants) > 0 {
		return time.Time{}, err
	}
	return h.ends(p.seen.records[firstOf(p.Record.Parents)])
}

// questions is a policy of which it is noted what it is asked.
type questions struct {
	Policy
	asked *[]Facts
}

func (q questions) Evaluate(ctx context.Context, f Facts) (Verdict, error) {
	*q.asked = append(*q.asked, f)
	return q.Policy.Evaluate(ctx, f)
}

// heldBackBy returns the obligations that the reasons say held a scope back.
func heldBackBy(reasons []lineage.Reason) []lineage.Obligation {
	var out []lineage.Obligation
	for _, r := range reasons {
		if kind, ok := strings.CutPrefix(r.Why, whyUnmet); ok && !r.Granted {
			out = joinObligations(out, []lineage.Obligation{{Kind: kind, Scopes: []string{r.Scope}}})
		}
	}
	return out
}

// Answer returns what was answered, as the record tells it.
func (p Past) Answer() Answer {
	r, b := p.Record, p.Record.Body
	if b == nil {
		return Answer{}
	}
	a := Answer{
		Code: Code(b.Code), Version: r.Policy, Paths: b.Paths, Access: b.Granted.Access, Details: b.Granted.Details, Reasons: b.Reasons,
		Obligations: heldBackBy(b.Reasons),
	}
	switch r.Kind {
	case lineage.KindDenial:
		return a
	case lineage.KindApproval:
		a.Code, a.Obligations, a.Lifetime = CodeAuthorizationPending, b.Deferred.Wants, b.Deferred.Lifetime
	default:
		a.Effect, a.Lifetime = Allow, r.ExpiresAt.Sub(r.IssuedAt)
	}
	if t := b.Task; t != nil && t.Authority != nil {
		a.Access = both(a.Access, t.Authority.Access)
	}
	return a
}
