package tokenboundary_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// failing puts a store that can fail between a world and its own, and starts a Governor on it. It is whole at first, and the first
// facts are in it, so that a denial is the next thing to be written.
func (w *world) failing(op storetest.Op) *storetest.Faulty {
	w.Helper()
	w.granted(asked(w.as("tool")))
	f := storetest.FailOn(w.store, op, errors.New("boom")).Set(false)
	w.store = f
	w.restart()
	return f
}

// denied requires the refusal of a policy that grants nothing.
func (w *world) denied(req tb.Request) tb.Decision {
	w.Helper()
	d, err := w.Decide(w.ctx, req)
	require.NoError(w, err)
	require.Equal(w, tb.Deny, d.Effect)
	require.Equal(w, tb.CodeInvalidTarget, d.Code)
	require.Contains(w, d.Reasons[len(d.Reasons)-1].Why, "the policy denies the target")
	return d
}

func grantNothing(tb.Facts) tb.Verdict { return tb.Verdict{} }

// TestARefusalThatCannotSpendItsEvidenceIsNoAnswer: the caller learns nothing, nobody counts as refused, and the evidence is good
// for one answer when the store is there again.
func TestARefusalThatCannotSpendItsEvidenceIsNoAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		request func(*world) tb.Request
		code    tb.Code // of the same evidence once more; empty: the client is nobody
		why     string
	}{
		"an assertion": {func(w *world) tb.Request { return asked(w.once("tool", "a")) }, "", ""},
		"a proof of possession": {
			func(w *world) tb.Request { return bound(asked(w.as("researcher")), w.proves("k")) },
			tb.CodeInvalidProof, "the proof was used before",
		},
		"an actor's credential": {
			func(w *world) tb.Request { return w.acting(func(p *tb.Principal) { p.Once = "w" }) },
			tb.CodeInvalidRequest, "a single-use credential was used before",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, binding)
			f := w.failing(storetest.Commit).Set(true)
			w.policy = grantNothing
			req := c.request(w)
			req.Enforce = everything &^ tb.CapRecord
			for range 3 {
				d, err := w.Decide(w.ctx, req)
				require.ErrorIs(t, err, tb.ErrUnavailable)
				require.ErrorContains(t, err, "boom")
				require.Zero(t, d)
			}
			require.Equal(t, 3, f.Calls(), "it was the denial that could not be written")
			require.Zero(t, w.Health(w.ctx).Unrecorded)
			f.Set(false)
			require.Equal(t, lineage.Denied, w.state(w.denied(req).ID))

			w.policy = grantAll
			d, err := w.Decide(w.ctx, req)
			if c.code == "" {
				require.ErrorIs(t, err, tb.ErrUnauthenticated)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.code, d.Code)
			require.Equal(t, c.why, d.Reasons[len(d.Reasons)-1].Why)
		})
	}
}

// TestARefusalWithoutEvidenceStandsWhereItCannotBeRecorded: there is nothing to spend, and to say no grants nothing.
func TestARefusalWithoutEvidenceStandsWhereItCannotBeRecorded(t *testing.T) {
	w := newWorld(t)
	f := w.failing(storetest.Commit).Set(true)
	w.policy = grantNothing
	req := asked(w.as("tool"))
	req.Enforce = everything
	for n := range uint64(3) {
		require.True(t, w.denied(req).ID.IsZero())
		require.Equal(t, n+1, w.Health(w.ctx).Unrecorded)
	}
	f.Set(false)
	require.Equal(t, lineage.Denied, w.state(w.denied(req).ID))
	require.EqualValues(t, 3, w.Health(w.ctx).Unrecorded)
}

// TestADenialWhoseAcknowledgementIsLost: a record is read back, and the refusal answered; one that is only counted leaves nothing
// to read, so that nothing is answered. The evidence of both is spent.
func TestADenialWhoseAcknowledgementIsLost(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.DenialRate = 1 })
	f := w.failing(storetest.CommitLost).Set(true)
	w.policy = grantNothing
	first, second := asked(w.once("tool", "a")), asked(w.once("tool", "b"))
	first.Enforce, second.Enforce, second.Scopes = everything, everything, []string{"write"}
	require.Equal(t, lineage.Denied, w.state(w.denied(first).ID))
	_, err := w.Decide(w.ctx, second)
	require.ErrorIs(t, err, tb.ErrUnavailable)
	f.Set(false)
	w.policy = grantAll
	w.spent(first.Client)
	w.spent(second.Client)
	require.Zero(t, w.Health(w.ctx).Unrecorded)
	w.granted(asked(w.once("tool", "c")))
}

// TestWhatWasSpentBeforeHoldsNoRefusalBack: an actor's credential that somebody has used is nothing left to spend.
func TestWhatWasSpentBeforeHoldsNoRefusalBack(t *testing.T) {
	w := newWorld(t)
	used := func() tb.Request { return w.acting(func(p *tb.Principal) { p.Once = "w" }) }
	w.granted(used())
	f := w.failing(storetest.Commit)
	w.policy = grantNothing
	f.After(1).Set(true) // the commit that finds it spent is made, and the one after it fails
	req := used()
	req.Enforce = everything
	require.True(t, w.denied(req).ID.IsZero())
	require.EqualValues(t, 1, w.Health(w.ctx).Unrecorded)
}

// TestARefusalByAVerbCannotLeaveItsEvidenceGood: whoever may not retire a token is told so once for each assertion.
func TestARefusalByAVerbCannotLeaveItsEvidenceGood(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	f := w.failing(storetest.Commit).Set(true)
	cred := w.once("researcher", "a")
	retire := func() error {
		by, err := w.Authenticate(w.ctx, cred)
		require.NoError(t, err)
		return w.Retire(w.ctx, by, tok.Value())
	}
	err := retire()
	require.ErrorIs(t, err, tb.ErrUnavailable)
	require.NotErrorIs(t, err, tb.ErrDenied)
	f.Set(false)
	var no *tb.DeniedError
	require.ErrorAs(t, retire(), &no)
	require.Equal(t, tb.CodeUnauthorizedClient, no.Decision.Code)
	require.ErrorIs(t, retire(), tb.ErrUnauthenticated)
}
