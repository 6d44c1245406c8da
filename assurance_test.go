package tokenboundary_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestTheSameAssuranceCountsAgainAfterALogin: a provider that lowers a session twice means it twice; but a signal that
// only goes on says nothing new.
func TestTheSameAssuranceCountsAgainAfterALogin(t *testing.T) {
	for _, goesOn := range []bool{false, true} {
		w := newWorld(t, minting)
		w.policy = obliged(grantAll, stepUp("acr", "aal2"))
		first := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
		lowered := tb.Signal{Selector: selector(w, "session:s-alice"), Assurance: &tb.Assurance{ACR: "aal1"}}
		w.signal(lowered)
		w.clock.Add(2 * time.Minute)
		tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "write")) // a minute after she logged in with aal2
		w.clock.Add(time.Minute)
		want := lineage.Revoked
		if goesOn {
			lowered.After, want = first.ID, lineage.Active
		}
		w.signal(lowered)
		require.Equal(t, want, w.state(tok.ID))
	}
}
