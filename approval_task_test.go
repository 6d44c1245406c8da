package tokenboundary_test

import (
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

func TestATaskThatNeedsAnApprovalStartsAsItWasAgreedTo(t *testing.T) {
	for name, listed := range map[string][]lineage.Access{
		"by resource and scope": nil,
		"by a listed authority": {{Resource: crm, Scopes: []string{"read", "write"}}, {Resource: mail, Scopes: []string{"send"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, minting)
			limited := func(v *tb.Verdict) { v.Derivations = 5 }
			w.policy = granting(limited, "read", "write", "send")
			req := w.exchange("orchestrator", w.human("alice"), crm, "read", "write")
			if listed != nil {
				req.Resource, req.Scopes = nil, nil
			}
			budget := uint64(7)
			req.Task = &tb.TaskSpec{
				Purpose: "triage", ExpiresIn: 20 * time.Minute, MaxDerivations: &budget,
				Context: json.RawMessage(`{"case": 7}`), Authority: listed,
			}
			d := w.waits(req)
			require.True(t, d.TaskID.IsZero(), "there is no task yet")
			deadline := w.clock.Now().Add(20 * time.Minute)
			want := listed
			if want == nil {
				want = []lineage.Access{{Resource: crm, Scopes: []string{"read", "write"}}}
			}

			a := w.open(lead)[0]
			require.True(t, a.Task.ID.IsZero())
			require.Equal(t, "triage", a.Task.Purpose)
			require.JSONEq(t, `{"case": 7}`, string(a.Task.Context))
			require.Equal(t, deadline, a.Task.Deadline)
			require.EqualValues(t, 5, a.Task.Budget)
			require.Equal(t, want, a.Task.Authority.Access)
			require.Equal(t, listed == nil, !a.Granted.Empty(), "a listed authority is good for deriving only")
			w.approved(d)

			w.policy = granting(nil, "read", "write", "send") // a thousand derivations, and a longer time could be had
			w.clock.Add(9 * time.Minute)
			tok := w.polled("orchestrator", d)
			require.False(t, tok.TaskID.IsZero())
			require.Equal(t, deadline, tok.Task.Deadline, "from when it was asked for")
			require.EqualValues(t, 5, tok.Task.Budget)
			require.Equal(t, want, tok.Task.Authority.Access)
			task := w.record(tok.TaskID)
			require.Equal(t, deadline, task.ExpiresAt)
			require.Equal(t, d.ID, task.Body.Approved.ID)
			require.JSONEq(t, `{"case": 7}`, string(task.Body.Task.Context))

			w.issued(w.exchange("researcher", bearer(tok), crm, "read"))
			got, err := w.Task(w.ctx, ops, tok.TaskID)
			require.NoError(t, err)
			require.Equal(t, tb.Task{ID: tok.TaskID, State: tb.TaskActive, Purpose: "triage", ExpiresAt: deadline, Derivations: 1}, got)
			_, err = w.poll("orchestrator", d)
			w.denies(err, tb.CodeInvalidGrant, "answered with a token already")
		})
	}
}

func TestATaskIsNotReleasedForLessOfItsListedAuthority(t *testing.T) {
	w := newWorld(t, minting)
	w.policy = granting(nil, "read", "write", "send")
	req := w.exchange("orchestrator", w.human("alice"), "")
	req.Task = &tb.TaskSpec{Purpose: "triage", Authority: []lineage.Access{
		{Resource: crm, Scopes: []string{"write"}}, {Resource: mail, Scopes: []string{"send"}},
	}}
	d := w.waits(req)
	w.approved(d)
	w.policy = granting(nil, "write")
	_, err := w.poll("orchestrator", d)
	w.denies(err, tb.CodeInvalidScope, "nothing is left")
	w.policy = granting(nil, "write", "send")
	w.polled("orchestrator", d)
}

func TestADeferredDerivationIsCountedOnceAndAtItsRelease(t *testing.T) {
	w := newWorld(t, approving)
	task := w.work(2)
	derivations := func() uint64 {
		got, err := w.Task(w.ctx, ops, task.TaskID)
		require.NoError(t, err)
		return got.Derivations
	}
	d, late := w.waits(w.exchange("researcher", bearer(task), crm, "write")), w.waits(w.exchange("tool", bearer(task), crm, "write"))
	w.stillWaits("researcher", d)
	w.approved(d)
	w.approved(late)
	require.Zero(t, derivations())

	var released, answered atomic.Int64
	var all sync.WaitGroup
	nodes := []*world{w, w.node()}
	for i := range 64 {
		all.Go(func() {
			for {
				_, err := nodes[i%2].poll("researcher", d)
				var no *tb.DeniedError
				switch {
				case errors.Is(err, tb.ErrUnavailable):
					continue
				case err == nil:
					released.Add(1)
				case errors.As(err, &no) && no.Decision.Code == tb.CodeInvalidGrant:
					answered.Add(1)
				default:
					t.Error(err)
				}
				return
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, released.Load())
	require.EqualValues(t, 63, answered.Load())
	require.EqualValues(t, 1, derivations())

	w.issued(w.exchange("researcher", bearer(task), crm, "read"))
	_, err := w.poll("tool", late)
	w.denies(err, tb.CodeInvalidGrant, "the task has no derivation left")
	require.EqualValues(t, 2, derivations())
	open, err := w.poll("tool", late)
	require.Empty(t, open.Value())
	w.denies(err, tb.CodeInvalidGrant, "the task has no derivation left") // not: answered already
}

func TestAnAssertionIsSpentOnEveryPoll(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	code := d.Deferral.Value()
	poll := func(jti string) error {
		_, err := w.Issue(w.ctx, polling(w.once("orchestrator", jti), code))
		return err
	}
	w.denies(poll("a"), tb.CodeAuthorizationPending, "not yet")
	require.ErrorIs(t, poll("a"), tb.ErrUnauthenticated)
	require.ErrorIs(t, poll("a"), tb.ErrUnauthenticated)
	w.clock.Add(5 * time.Second)
	w.denies(poll("b"), tb.CodeAuthorizationPending, "not yet") // what was not authenticated does not count as a poll
	w.denies(poll("c"), tb.CodeSlowDown, "not yet")
	require.ErrorIs(t, poll("c"), tb.ErrUnauthenticated)
	w.approved(d)
	require.ErrorIs(t, poll("b"), tb.ErrUnauthenticated, "and the release is not spent")
	require.NoError(t, poll("d"))
	require.ErrorIs(t, poll("d"), tb.ErrUnauthenticated)
}

func TestADeferralOfABoundRequestIsGoodWithItsKeyOnly(t *testing.T) {
	w := newWorld(t, approving)
	c := w.clients["orchestrator"]
	c.Binding = tb.BindingOptional
	w.clients["orchestrator"] = c
	proof := func(name string) tb.Credential {
		key := lineage.IDOf([]byte(name)).String() // as long as a thumbprint
		return tb.Credential{Type: tb.TypeDPoP, Verified: &tb.Principal{Party: lineage.Party{ID: key}, Key: key}}
	}
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	req.Proof = proof("k1")
	d := w.waits(req)
	w.approved(d)
	poll := polling(w.as("orchestrator"), d.Deferral.Value())
	_, err := w.Issue(w.ctx, poll)
	w.denies(err, tb.CodeInvalidGrant, "bound to a key that is not proved")
	poll.Proof = proof("k2")
	_, err = w.Issue(w.ctx, poll)
	w.denies(err, tb.CodeInvalidGrant, "bound to a key that is not proved")
	poll.Proof = proof("k1")
	require.Equal(t, poll.Proof.Verified.Key, w.issued(poll).Bound)
}

func TestAHostReleasesWhatWasApproved(t *testing.T) {
	w := newWorld(t)
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	req.Deferrable, req.Enforce = true, everything
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.Equal(t, tb.Deny, d.Effect)
	require.Equal(t, tb.CodeAuthorizationPending, d.Code)
	require.Nil(t, d.Pending)
	poll := polling(w.as("orchestrator"), d.Deferral.Value())
	poll.Enforce = everything
	no, err := w.Decide(w.ctx, poll)
	require.NoError(t, err)
	require.Equal(t, tb.CodeAuthorizationPending, no.Code)
	w.approved(d)

	one := w.decided(poll)
	w.clock.Add(time.Millisecond)
	two := w.decided(poll) // an allow spends nothing before Record
	require.NotEqual(t, one.ID, two.ID)
	require.NoError(t, w.Record(w.ctx, two, tb.HostToken{Handle: "a"}))
	require.NoError(t, w.Record(w.ctx, two, tb.HostToken{Handle: "a"}), "the repeat of a lost answer")
	require.ErrorIs(t, w.Record(w.ctx, one, tb.HostToken{Handle: "b"}), tb.ErrConflict)
	require.Equal(t, "lena", w.record(two.ID).Body.Approved.Person)
	w.refused(poll, tb.CodeInvalidGrant, "answered with a token already")
}

func TestAHostThatDoesNotRecordReleasesAtOnce(t *testing.T) {
	w := newWorld(t)
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	req.Deferrable, req.Enforce = true, everything&^tb.CapRecord
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	w.approved(d)
	poll := polling(w.as("orchestrator"), d.Deferral.Value())
	poll.Enforce = everything &^ tb.CapRecord
	released, err := w.Decide(w.ctx, poll)
	require.NoError(t, err)
	require.Equal(t, tb.Allow, released.Effect)
	w.refused(poll, tb.CodeInvalidGrant, "answered with a token already")
}

// TestADecisionIsNotRecordedAfterWhatItComesFromDied: the deferred request itself is a part of that.
func TestADecisionIsNotRecordedAfterWhatItComesFromDied(t *testing.T) {
	w := newWorld(t)
	w.policy = obliged(grantAll, approvalBy("leads", "write"))
	for _, cut := range []bool{false, true} {
		req := w.exchange("orchestrator", w.human("alice"), crm, "write")
		req.Deferrable, req.Enforce = true, everything
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		w.approved(d)
		poll := polling(w.as("orchestrator"), d.Deferral.Value())
		poll.Enforce = everything
		one := w.decided(poll)
		if cut {
			w.revoke("token:"+d.ID.String(), lineage.Cut)
			require.ErrorIs(t, w.Record(w.ctx, one, tb.HostToken{Handle: "a" + one.ID.String()}), tb.ErrConflict)
			continue
		}
		require.NoError(t, w.Record(w.ctx, one, tb.HostToken{Handle: "a" + one.ID.String()}))
	}
}
