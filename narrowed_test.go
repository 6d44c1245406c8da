package tokenboundary_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// narrowing narrows every verdict of the world, into the pointer.
func narrowing(out *tb.Verdict) func(*world) {
	return func(w *world) {
		grant := w.policy
		w.policy = func(f tb.Facts) tb.Verdict {
			v := grant(f)
			var err error
			*out, err = v.Narrow(f)
			require.NoError(w, err)
			return v
		}
	}
}

// A verdict narrowed by itself is what the Governor makes of it.
func TestNarrowIsWhatAGovernorDoes(t *testing.T) {
	denying := func(change func(*tb.Verdict)) func(*world) {
		return func(w *world) {
			grant := w.policy
			w.policy = func(f tb.Facts) tb.Verdict {
				v := grant(f)
				change(&v)
				return v
			}
		}
	}
	sure := func(*world) {}
	for name, c := range map[string]struct {
		world     func(*world)
		resources []string
		scopes    []string
		code      tb.Code
	}{
		"all of it":           {sure, []string{crm}, readWrite, ""},
		"implied everywhere":  {implying(), []string{crm, mail}, []string{"write"}, ""},
		"implied at one":      {implying(crm), []string{crm, mail}, []string{"write"}, ""},
		"denied":              {denying(func(v *tb.Verdict) { *v = tb.Verdict{Code: tb.CodeInvalidTarget, Version: v.Version, Path: v.Path} }), []string{crm}, readWrite, tb.CodeInvalidTarget},
		"not the same scopes": {denying(func(v *tb.Verdict) { v.Access[0].Scopes = v.Access[0].Scopes[1:] }), []string{crm, mail}, readWrite, tb.CodeInvalidTarget},
	} {
		t.Run(name, func(t *testing.T) {
			var v tb.Verdict
			w := newWorld(t, c.world, narrowing(&v))
			req := w.exchange("orchestrator", w.human("alice"), "", c.scopes...)
			req.Resource = c.resources
			req.Enforce = everything
			d, err := w.Decide(w.ctx, req)
			require.NoError(t, err)
			require.Equal(t, c.code, v.Code)
			require.Equal(t, d.Effect, v.Effect)
			require.Equal(t, d.Code, v.Code)
			require.Equal(t, d.Granted.Access, v.Access)
			if d.Effect == tb.Allow {
				require.Equal(t, d.Reasons, v.Reasons)
			}
		})
	}
}

func narrowable() (tb.Facts, tb.Verdict) {
	reasons := []lineage.Reason{
		{Resource: crm, Scope: "read", Granted: true, Rule: "/a#r", Refresh: true}, {Resource: crm, Scope: "write", Granted: true, Rule: "/a#r"},
	}
	now := time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)
	return tb.Facts{Grant: tb.Exchange, Resources: []string{crm}, Scopes: readWrite, Now: now}, tb.Verdict{
		Effect: tb.Allow, Path: "/a", Resources: []string{crm}, Lifetime: time.Hour, Reasons: reasons,
		Access: []lineage.Access{{Resource: crm, Scopes: readWrite}}, Implied: []lineage.Access{},
		Obligations: []lineage.Obligation{{Kind: "approval", Scopes: []string{"write"}}},
	}
}

// What an obligation holds back counts as granted; what is left of a refresh, and of the time, does not.
func TestNarrowBounds(t *testing.T) {
	f, v := narrowable()
	out, err := v.Narrow(f)
	require.NoError(t, err)
	require.Equal(t, []any{v.Access, v.Obligations, time.Hour}, []any{out.Access, out.Obligations, out.Lifetime})

	f.Chain = []lineage.Party{{ID: "a"}}
	out, err = v.Narrow(f)
	require.NoError(t, err)
	require.Equal(t, tb.CodeInvalidRequest, out.Code, "the chain is longer than the verdict's depth")
	v.Depth = 1

	f.Lifetime = 50 * time.Minute
	f.Task = &tb.TaskFacts{Deadline: f.Now.Add(40 * time.Minute)}
	out, err = v.Narrow(f)
	require.NoError(t, err)
	require.Equal(t, 40*time.Minute, out.Lifetime)
	f.Parent = &tb.ParentFacts{Expires: f.Now.Add(30 * time.Minute)}
	f.Grant = tb.Refresh
	out, err = v.Narrow(f)
	require.NoError(t, err)
	require.Equal(t, 30*time.Minute, out.Lifetime)
	require.Equal(t, []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}, out.Access)
	require.Empty(t, out.Obligations)
	require.Equal(t, "no rule lets it be refreshed", out.Reasons[1].Why)

	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: mail, Scopes: readWrite}}}
	out, err = v.Narrow(f)
	require.NoError(t, err)
	require.Equal(t, tb.CodeInvalidTarget, out.Code)
	require.Equal(t, "outside what it is made from", out.Reasons[len(out.Reasons)-1].Why)
	require.False(t, slices.ContainsFunc(out.Reasons, func(r lineage.Reason) bool { return r.Granted }))

	f.Ceiling = &lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"read"}}}}
	_, err = v.Narrow(f)
	require.ErrorIs(t, err, tb.ErrUnavailable, "it grants what the ceiling does not hold")
}
