package tokenboundary_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// TestWhatWasAgreedToStaysAgreedTo: a token that an approval released is kept although the rule still asks for one; but not
// where it asks somebody else.
func TestWhatWasAgreedToStaysAgreedTo(t *testing.T) {
	w := newWorld(t, approving)
	guarded := w.policy
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.approved(d)
	tok := w.polled("orchestrator", d)
	w.policy = grantAll
	unasked := w.issued(w.exchange("researcher", w.human("alice"), crm, "write"))
	w.policy = guarded

	require.Equal(t, tb.Outcome{Examined: 2, Kept: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "low"))
	require.Equal(t, lineage.Active, w.state(tok.ID))
	require.Equal(t, lineage.Revoked, w.state(unasked.ID), "nobody has agreed to this one")

	w.policy = obliged(grantAll, approvalBy("board", "write"))
	require.Equal(t, tb.Outcome{Examined: 1, Revoked: 1, Complete: true}, w.risk("subject:alice", "high"))
	require.Equal(t, lineage.Revoked, w.state(tok.ID))
}

// TestAnApprovalIsForOneTokenOrOneTask: what was agreed to is not granted again by a refresh, unless it was a task: then
// until its deadline.
func TestAnApprovalIsForOneTokenOrOneTask(t *testing.T) {
	w := newWorld(t, approving, refreshing)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.approved(d)
	require.Empty(t, w.polled("orchestrator", d).RefreshValue())

	d = w.waits(w.exchange("orchestrator", w.human("bob"), crm, "read", "write"))
	w.approved(d)
	tok := w.polled("orchestrator", d)
	require.Equal(t, []string{"read", "write"}, tok.Scopes)
	require.Equal(t, []string{"read"}, w.issued(w.again("orchestrator", tok.RefreshValue())).Scopes)

	req := w.exchange("orchestrator", w.human("carol"), crm, "write")
	req.Task = &tb.TaskSpec{Purpose: "work", ExpiresIn: 20 * time.Minute}
	d = w.waits(req)
	require.Equal(t, 20*time.Minute, w.approved(d).Task.Deadline.Sub(w.clock.Now()), "what the approver saw")
	tok = w.polled("orchestrator", d)
	next := w.issued(w.again("orchestrator", tok.RefreshValue()))
	require.Equal(t, []string{"write"}, next.Scopes)
	require.Equal(t, d.ID, w.record(next.ID).Body.Approved.ID)
	require.Equal(t, tb.Outcome{Examined: 3, Kept: 3, Complete: true}, w.risk("subject:carol", "medium"))
}

func TestAnApprovalIsNoneForAnotherToken(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.approved(d)
	tok := w.polled("orchestrator", d)
	_, err := w.Issue(w.ctx, w.exchange("researcher", bearer(tok), crm, "write"))
	w.denies(err, tb.CodeInvalidScope, "nothing is left") // what is derived is another request
	_, err = w.Issue(w.ctx, w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.denies(err, tb.CodeInvalidScope, "nothing is left")
	require.Empty(t, w.open(lead))
}

// deferralVerbs are the steps of a deferred request. Each is given a request that waits, and one that was agreed to.
var deferralVerbs = map[string]func(w *world, pending, agreed tb.Decision) (tb.Token, error){
	"ask": func(w *world, _, _ tb.Decision) (tb.Token, error) {
		req := w.exchange("tool", w.human("carol"), crm, "write")
		req.Client, req.Deferrable = w.once("tool", "a"), true
		tok, err := w.Issue(w.ctx, req)
		return tok, unless(err, tb.CodeAuthorizationPending)
	},
	"poll while it waits": func(w *world, pending, _ tb.Decision) (tb.Token, error) {
		tok, err := w.Issue(w.ctx, polling(w.once("orchestrator", "b"), pending.Deferral.Value()))
		return tok, unless(err, tb.CodeAuthorizationPending)
	},
	"poll for the token": func(w *world, _, agreed tb.Decision) (tb.Token, error) {
		tok, err := w.Issue(w.ctx, polling(w.once("orchestrator", "c"), agreed.Deferral.Value()))
		if err == nil && tok.Value() == "" {
			err = errors.New("no token")
		}
		return tok, err
	},
	"agree": func(w *world, pending, _ tb.Decision) (tb.Token, error) {
		_, err := w.Approve(w.ctx, lead, pending.ID, true)
		return tb.Token{}, err
	},
	"refuse": func(w *world, pending, _ tb.Decision) (tb.Token, error) {
		_, err := w.Approve(w.ctx, lead, pending.ID, false)
		return tb.Token{}, err
	},
	"list": func(w *world, _, _ tb.Decision) (tb.Token, error) {
		all, err := w.Approvals(w.ctx, lead)
		if err == nil && len(all) == 0 {
			err = errors.New("nothing is listed")
		}
		return tb.Token{}, err
	},
}

// unless returns err, but nil where it is a refusal with this code.
func unless(err error, code tb.Code) error {
	var no *tb.DeniedError
	if errors.As(err, &no) && no.Decision.Code == code {
		return nil
	}
	return err
}

// TestADeferralFailsClosedAtEveryStoreCall fails every call that each step makes of the store. A step that fails has
// released nothing and used nothing up: the same, with the same evidence, then succeeds. Only where the answer of a commit
// was lost may it be done already; and then it is done once.
func TestADeferralFailsClosedAtEveryStoreCall(t *testing.T) {
	failures := 0
	for name, verb := range deferralVerbs {
		for _, op := range storetest.Ops {
			t.Run(fmt.Sprint(name, "/", op), func(t *testing.T) {
				for n := 0; ; n++ {
					w := newWorld(t, approving)
					task := w.work(2)
					pending := w.waits(w.exchange("orchestrator", w.human("bob"), crm, "write"))
					w.policy = obliged(grantAll, approvalBy("leads", "write"))
					agreed := w.waits(w.exchange("orchestrator", bearer(task), crm, "write"))
					w.approved(agreed)
					faulty := storetest.FailOn(w.store, op, errors.New("boom"))
					w.store = faulty
					w.restart()
					calls := faulty.Calls()
					faulty.After(n)
					tok, err := verb(w, pending, agreed)
					if faulty.Calls()-calls <= n { // there was no call left to fail
						require.NoError(t, err)
						break
					}
					failures++
					faulty.Set(false)
					if op == storetest.CommitLost && err == nil {
						continue // settled by reading what was committed
					}
					require.ErrorIs(t, err, tb.ErrUnavailable, "call %d", n)
					require.Empty(t, tok.Value())
					if op != storetest.CommitLost {
						_, err = verb(w, pending, agreed)
						require.NoError(t, err, "call %d used something up", n)
						continue
					}
					w.afterALostAnswer(name, pending)
				}
			})
		}
	}
	require.Greater(t, failures, 30)
}

// afterALostAnswer requires that a decision whose answer was lost was taken, and once.
func (w *world) afterALostAnswer(verb string, pending tb.Decision) {
	w.Helper()
	if verb != "agree" && verb != "refuse" {
		return
	}
	_, err := w.Approve(w.ctx, lead, pending.ID, verb != "agree")
	require.ErrorIs(w, err, tb.ErrConflict)
	w.clock.Add(5 * time.Second)
	_, err = w.poll("orchestrator", pending)
	if verb == "refuse" {
		w.denies(err, tb.CodeAccessDenied, "refused by console")
		return
	}
	require.NoError(w, err)
}

// TestAReleaseHasNoDetailThatWasNotAgreedTo: an entry that another one covers is a second one all the same.
func TestAReleaseHasNoDetailThatWasNotAgreedTo(t *testing.T) {
	w := newWorld(t, paying)
	grant, most := obliged(w.policy, approvalBy("leads", "write")), 1
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		v.Details = v.Details[:min(most, len(v.Details))]
		return v
	}
	req := w.exchange("orchestrator", w.human("alice"), crm, "write")
	req.Details = json.RawMessage(`[{"amount":9,"type":"payment"},{"amount":4,"type":"payment"}]`)
	d := w.waits(req)
	a := w.approved(d)
	require.Len(t, a.Granted.Details, 1, "what the approver saw")
	most = 2
	require.Equal(t, a.Granted.Details, w.polled("orchestrator", d).Details)
}
