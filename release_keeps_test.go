package tokenboundary_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestAReleaseDiesByWhateverCutsItsRequest: also by what only the request knew, such as the session of its actor.
func TestAReleaseDiesByWhateverCutsItsRequest(t *testing.T) {
	w := newWorld(t, approving)
	ask := func(pod string) tb.Token {
		req := w.acting(func(p *tb.Principal) { p.Session.ID = pod })
		req.Scopes = []string{"write"}
		d := w.waits(req)
		w.approved(d)
		return w.polled("tool", d)
	}
	one, two := ask("pod-1"), ask("pod-2")
	w.revoke("session:pod-1", lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(one.ID))
	require.Equal(t, lineage.Active, w.state(two.ID))
	w.revoke("actor:"+alias("tool").ID, lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(two.ID))
}

// TestATaskTokenIsReleasedForWhatWasAgreedToOfItself: not for what was only agreed to of its task.
func TestATaskTokenIsReleasedForWhatWasAgreedToOfItself(t *testing.T) {
	w := newWorld(t, minting)
	own := []string{"write"} // what a token may carry; a task may do more
	w.policy = func(f tb.Facts) tb.Verdict {
		scopes := own
		if f.Ceiling == nil {
			scopes = f.Scopes
		}
		return granting(nil, scopes...)(f)
	}
	req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
	whole := []lineage.Access{{Resource: crm, Scopes: []string{"read", "write"}}}
	req.Task = &tb.TaskSpec{Purpose: "work", Authority: whole}
	d := w.waits(req)
	a := w.approved(d)
	require.Equal(t, []string{"write"}, a.Granted.Scopes(crm))
	require.Equal(t, whole, a.Task.Authority.Access)

	own = []string{"read", "write"}
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{"write"}, tok.Scopes)
	require.Equal(t, whole, tok.Task.Authority.Access)
}
