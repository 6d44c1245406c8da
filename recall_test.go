package tokenboundary_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func (w *world) recall() tb.Recall { return tb.Recall{Store: w.store, Issuer: issuer} }

// past returns what is recorded of what the filter means.
func (w *world) past(f tb.RecallFilter) (all []tb.Past) {
	w.Helper()
	for p, err := range w.recall().All(w.ctx, f) {
		require.NoError(w, err)
		all = append(all, p)
	}
	return all
}

// again decides a recorded decision once more, under the policy of the world.
func (w *world) anew(p tb.Past) tb.Answer {
	w.Helper()
	a, err := p.Decide(w.ctx, tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) { return w.policy(f), nil }))
	require.NoError(w, err)
	return a
}

// sameAnswer requires that two answers are one: what is granted, and what becomes of each scope and why.
func sameAnswer(t require.TestingT, want, got tb.Answer, say string) {
	require.Equal(t, want.Effect, got.Effect, "%s: %+v", say, got.Reasons)
	require.Equal(t, want.Code, got.Code, "%s: %+v", say, got.Reasons)
	require.Equal(t, want.Version, got.Version, say)
	require.ElementsMatch(t, want.Paths, got.Paths, say)
	require.ElementsMatch(t, want.Access, got.Access, say)
	require.ElementsMatch(t, want.Details, got.Details, say)
	require.ElementsMatch(t, want.Reasons, got.Reasons, say)
	require.ElementsMatch(t, want.Obligations, got.Obligations, say)
}

// lacks is a policy that grants one scope less.
type lacks struct {
	*history
	scope string
}

func (l lacks) Evaluate(ctx context.Context, f tb.Facts) (tb.Verdict, error) {
	f.Scopes = keep(f.Scopes, func(s string) bool { return s != l.scope })
	return l.history.Evaluate(ctx, f)
}

// TestTheSamePolicyDecidesTheSameAgain is the law of recalling: whatever has happened, each recorded decision comes to the
// same when the policy that made it is asked again, long after everything has changed. Beside it, a policy with a rule
// less changes exactly what that rule had granted.
func TestTheSamePolicyDecidesTheSameAgain(t *testing.T) {
	seeds := 40
	if testing.Short() {
		seeds = 10
	}
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := newHistory(t, seed, map[string]int{})
			for range 120 {
				h.step()
			}
			for _, p := range h.past(tb.RecallFilter{}) {
				h.decidesAgain(p, seen)
			}
		})
	}
	if testing.Short() {
		return
	}
	for what, least := range map[string]int{
		"token_exchange token": 400, "token_exchange approval": 100, "token_exchange denial": 300, "client_credentials token": 40,
		"client_credentials approval": 20, "client_credentials denial": 20, "refresh_token token": 150, "refresh_token denial": 8,
		"released token": 20, "released denial": 6, "several questions token": 40, "several questions approval": 3,
		"several questions denial": 6, "a rule less": 100, "a rule less changes nothing": 100,
		"skip: " + tb.SkipRepeat: 400, "skip: " + tb.SkipUndecided: 400, "skip: " + tb.SkipOther: 50, "skip: " + tb.SkipWithdrawn: 80,
	} {
		require.GreaterOrEqual(t, seen[what], least, what)
	}
}

// decidesAgain requires that p comes to what it came to, and to the right thing under a policy with a rule less.
func (h *history) decidesAgain(p tb.Past, seen map[string]int) {
	h.Helper()
	if p.Skip != "" {
		seen["skip: "+p.Skip]++
		_, err := p.Decide(h.ctx, h)
		require.ErrorIs(h, err, tb.ErrInvalid)
		return
	}
	r, b := p.Record, p.Record.Body
	say := fmt.Sprintf("%s %s of %s at %s", b.GrantType, r.Kind, b.Client, r.IssuedAt)
	h.strict = r.Policy == "strict=true"
	was := p.Answer()
	is, err := p.Decide(h.ctx, h)
	require.NoError(h, err)
	require.Empty(h, p.Unknown)
	sameAnswer(h, was, is, say)
	if r.Kind == lineage.KindToken {
		require.LessOrEqual(h, was.Lifetime, is.Lifetime, "%s: an outside credential may end sooner", say)
	} else {
		require.Equal(h, was.Lifetime, is.Lifetime, say)
	}
	seen[fmt.Sprint(b.GrantType, " ", r.Kind)]++
	if b.Approved != nil && b.GrantType != string(tb.Refresh) {
		seen[fmt.Sprint("released ", r.Kind)]++
	}
	if len(is.Asked) > 1 {
		seen[fmt.Sprint("several questions ", r.Kind)]++
	}
	require.NotEmpty(h, is.Asked)
	require.Equal(h, r.IssuedAt, is.Asked[0].Now)

	less, err := p.Decide(h.ctx, lacks{h, "a"})
	require.NoError(h, err)
	if slices.Contains((lineage.Authority{Access: was.Access}).Scopes(crm), "a") {
		require.NotEqual(h, was.Access, less.Access, say)
		seen["a rule less"]++
	} else {
		require.Equal(h, was.Effect, less.Effect, say)
		require.ElementsMatch(h, was.Access, less.Access, say)
		seen["a rule less changes nothing"]++
	}
}
