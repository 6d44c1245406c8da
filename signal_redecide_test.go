package tokenboundary_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// paying is a world that mints and knows payments, each of which the policy grants.
func paying(w *world) {
	minting(w)
	w.cfg.Details = map[string]tb.DetailType{"payment": payment{}}
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict { return withDetails(grant(f), f.Details) }
}

func withDetails(v tb.Verdict, details json.RawMessage) tb.Verdict {
	if len(details) > 0 && json.Unmarshal(details, &v.Details) != nil {
		return tb.Verdict{}
	}
	return v
}

// TestAWholeTokenIsDecidedAnew: every resource, every entry of its details and its chain. If less of it would be granted
// now, it dies.
func TestAWholeTokenIsDecidedAnew(t *testing.T) {
	for name, c := range map[string]struct {
		change func(v *tb.Verdict, f tb.Facts)
		why    string
	}{
		"":             {func(*tb.Verdict, tb.Facts) {}, ""},
		"shorter life": {func(v *tb.Verdict, _ tb.Facts) { v.Lifetime = time.Second }, ""},
		"less deep":    {func(v *tb.Verdict, _ tb.Facts) { v.Depth = 2 }, ""},
		"one resource": {func(v *tb.Verdict, f tb.Facts) {
			if contains(f.Resources, mail) {
				v.Effect = tb.Deny
			}
		}, "the policy denies the target"},
		"one scope": {func(v *tb.Verdict, _ tb.Facts) {
			for i := range v.Access {
				v.Access[i].Scopes = []string{"read"}
			}
		}, "less would be granted now"},
		"one detail":  {func(v *tb.Verdict, _ tb.Facts) { v.Details = v.Details[:1] }, "less would be granted now"},
		"all details": {func(v *tb.Verdict, _ tb.Facts) { v.Details = nil }, "none is granted"},
		"too deep":    {func(v *tb.Verdict, _ tb.Facts) { v.Depth = 1 }, "the chain is longer than the policy allows"},
		"obligation": {func(v *tb.Verdict, _ tb.Facts) { v.Obligations = []lineage.Obligation{stepUp("acr", "aal3")} },
			"less would be granted now"},
		"another path": {func(v *tb.Verdict, _ tb.Facts) { v.Path = "/elsewhere" }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, paying)
			grant := w.policy
			root := w.exchange("orchestrator", w.human("alice"), "", "read", "write")
			root.Resource = []string{crm, mail}
			root.Details = json.RawMessage(`[{"type":"payment","amount":9},{"type":"payment","amount":4}]`)
			leaf := root
			leaf.Client, leaf.Subject = w.as("researcher"), bearer(w.issued(root))
			tok := w.issued(leaf)
			require.Len(t, tok.Details, 2)
			w.policy = func(f tb.Facts) tb.Verdict {
				v := grant(f)
				c.change(&v, f)
				return v
			}
			want := tb.Outcome{Examined: 1, Kept: 1, Complete: true}
			if c.why != "" {
				want.Kept, want.Revoked = 0, 1
			}
			require.Equal(t, want, w.risk("client:researcher", "low"))
			require.Equal(t, c.why != "", w.state(tok.ID) == lineage.Revoked)
			if c.why != "" {
				require.Contains(t, w.feed(ops)[0].Reason, c.why)
			}
		})
	}
}

// TestAPolicyThatCannotDecideRevokesNothing: the signal fails, and its repeat decides.
func TestAPolicyThatCannotDecideRevokesNothing(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy = wary
	broken := true
	cfg := w.cfg
	cfg.Store = w.store
	cfg.Policy = tb.PolicyFunc(func(_ context.Context, f tb.Facts) (tb.Verdict, error) {
		if broken {
			return tb.Verdict{}, errors.New("boom")
		}
		return w.policy(f), nil
	})
	g, err := tb.New(cfg)
	require.NoError(t, err)
	s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
	out, err := g.Signal(w.ctx, ops, s)
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.False(t, out.Complete)
	require.Equal(t, lineage.Active, w.state(tok.ID))
	require.Empty(t, w.feed(ops))
	broken = false
	out, err = g.Signal(w.ctx, ops, s)
	require.NoError(t, err)
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, out)
}

// TestWhatIsDecidedAnewSeesWhatTheFirstDecisionSaw: but for what has changed.
func TestWhatIsDecidedAnewSeesWhatTheFirstDecisionSaw(t *testing.T) {
	w := newWorld(t, minting)
	var seen []tb.Facts
	w.policy = func(f tb.Facts) tb.Verdict { seen = append(seen, f); return grantAll(f) }
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	req.Task = &tb.TaskSpec{Purpose: "triage", Context: json.RawMessage(`{"case":7}`)}
	req.Lifetime = time.Minute
	task := w.issued(req)
	derived := w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	first := seen[len(seen)-1]
	require.NotNil(t, first.Parent)
	require.Equal(t, "triage", first.Parent.Purpose)
	seen = nil
	w.clock.Add(time.Second)
	require.Equal(t, 1, w.risk("client:researcher", "low").Kept)
	require.Len(t, seen, 1)
	again := seen[0]
	require.Equal(t, "low", again.Risk)
	require.Equal(t, w.clock.Now(), again.Now)
	require.Equal(t, w.record(derived.ID).Body.Granted.Access, again.Ceiling.Access, "within what was granted")
	again.Risk, again.Now, again.Ceiling = first.Risk, first.Now, first.Ceiling
	require.Equal(t, first, again)
}
