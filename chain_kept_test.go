package tokenboundary_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// under seals a token below r that carries what r does, but for a change.
func under(t *testing.T, r lineage.Record, change func(*lineage.Body)) lineage.Record {
	t.Helper()
	body := *r.Body
	body.Selectors, body.Deferred, body.Approved = r.Selectors(), nil, nil
	body.Granted.NotAfter = r.ExpiresAt
	change(&body)
	grant := r.Root()
	if len(r.Parents) == 0 {
		grant = r.ID()
	}
	out, err := lineage.Seal(lineage.Envelope{
		Kind: lineage.KindToken, Issuer: issuer, IssuedAt: r.IssuedAt, Since: r.IssuedAt, ExpiresAt: r.ExpiresAt,
		Parents: []lineage.ID{r.ID()}, Ancestors: append(slices.Clone(r.Ancestors), r.ID()), Grant: grant,
	}, body)
	require.NoError(t, err)
	return out
}

// TestAChainThatLosesItsKeyIsNone: nobody makes a bearer token of a bound one; a delegate binds it to a key of its own.
func TestAChainThatLosesItsKeyIsNone(t *testing.T) {
	w := newWorld(t, binding)
	tok := w.issued(bound(w.exchange("orchestrator", w.human("alice"), crm, "read"), w.proves("k")))
	chain := w.chain(tok.ID)
	verify := func(key string) error {
		r := under(t, chain[len(chain)-1], func(b *lineage.Body) { b.Bound = key })
		return lineage.VerifyChain(r.ID(), append(slices.Clone(chain), r))
	}
	require.NoError(t, verify(thumb("k")))
	require.NoError(t, verify(thumb("other")))
	require.ErrorContains(t, verify(""), "is not bound to a key as its parent is")
}

func TestNothingDescendsFromAnApproval(t *testing.T) {
	w := newWorld(t, approving)
	asked := w.record(w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write")).ID)
	require.NoError(t, lineage.VerifyChain(asked.ID(), []lineage.Record{asked}))
	r := under(t, asked, func(*lineage.Body) {})
	require.ErrorIs(t, lineage.VerifyChain(r.ID(), []lineage.Record{asked, r}), lineage.ErrChain)
}
