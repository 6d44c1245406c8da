package tokenboundary_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestWhoeverIsCutOrBlockedApprovesNothing: neither the operator nor the person; and what it agreed to before is not
// released any more.
func TestWhoeverIsCutOrBlockedApprovesNothing(t *testing.T) {
	other := tb.Client{ID: "desk", Kind: tb.KindOperator, Groups: lead.Groups, Person: "otto"}
	for _, sel := range []string{"client:console", "subject:lena"} {
		for _, action := range []lineage.Action{lineage.Cut, lineage.Block} {
			t.Run(sel+" "+string(action), func(t *testing.T) {
				w := newWorld(t, approving)
				early := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
				d := w.waits(w.exchange("orchestrator", w.human("bob"), crm, "write"))
				third := w.waits(w.exchange("orchestrator", w.human("carol"), crm, "write"))
				w.approved(early)
				w.clock.Add(time.Second)
				w.revoke(sel, action)
				for _, agree := range []bool{true, false} {
					_, err := w.Approve(w.ctx, lead, d.ID, agree)
					require.ErrorIs(t, err, tb.ErrForbidden)
				}
				_, err := w.Approve(w.ctx, other, third.ID, true)
				require.NoError(t, err, "it is not about others")
				w.polled("orchestrator", third)

				w.clock.Add(10 * time.Second) // beyond the leeway of clocks
				_, err = w.poll("orchestrator", early)
				w.denies(err, tb.CodeInvalidGrant, "revoked")
				if action == lineage.Block {
					_, err = w.Approve(w.ctx, lead, d.ID, true)
					require.ErrorIs(t, err, tb.ErrForbidden)
					w.revoke(sel, lineage.Lift)
					w.clock.Add(10 * time.Second)
				}
				w.approved(d)
				w.polled("orchestrator", d)
				_, err = w.poll("orchestrator", early)
				w.denies(err, tb.CodeInvalidGrant, "revoked")
			})
		}
	}
}

// TestAnApproverThatIsBlockedMeanwhileHasNotApproved: whoever was looked at a moment before.
func TestAnApproverThatIsBlockedMeanwhileHasNotApproved(t *testing.T) {
	w := newWorld(t, approving)
	s := w.interrupt()
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	s.revoked = func() { w.revoke("subject:lena", lineage.Block) }
	_, err := w.Approve(w.ctx, lead, d.ID, true)
	require.Nil(t, s.revoked)
	require.ErrorIs(t, err, tb.ErrForbidden)
	require.Len(t, w.open(lead), 1)
	w.stillWaits("orchestrator", d)
}

// TestAPollDoesNotStandInTheWayOfADecision: however often there is one just before.
func TestAPollDoesNotStandInTheWayOfADecision(t *testing.T) {
	for _, agree := range []bool{true, false} {
		w := newWorld(t, approving)
		s := w.interrupt()
		d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
		polls := 0
		var poll func()
		poll = func() {
			polls++
			_, err := w.poll("orchestrator", d)
			require.ErrorIs(t, err, tb.ErrDenied)
			s.heads = poll
		}
		s.heads = poll
		_, err := w.Approve(w.ctx, lead, d.ID, agree)
		require.NoError(t, err)
		require.Equal(t, 1, polls)
		s.heads = nil
		if _, err = w.poll("orchestrator", d); agree {
			require.NoError(t, err)
			continue
		}
		w.denies(err, tb.CodeAccessDenied, "refused by console")
	}
}

func TestTheWorkOfAListDoesNotGrowWithWhatWaits(t *testing.T) {
	w := newWorld(t, approving, func(w *world) { w.cfg.Deferrals = 64 })
	c := &counting{Store: w.store}
	w.store = c
	w.restart()
	calls := func(f func()) int64 {
		c.gets.Store(0)
		c.heads.Store(0)
		f()
		return c.gets.Load() + c.heads.Load()
	}
	ask := func() { w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write")) }
	look := func() { w.open(lead) }
	ask() // with what a new node reads first
	asking, looking := calls(ask), calls(look)
	require.EqualValues(t, 3, looking, "at the list, and twice at what it names")
	for range 30 {
		ask()
	}
	require.Equal(t, asking, calls(ask))
	require.Equal(t, looking, calls(look))
	require.Len(t, w.open(lead), 33)
}

// TestARefusedPollSaysOfNobodyThatItAgreed: the refusal belongs to the request, to which nobody has agreed.
func TestARefusedPollSaysOfNobodyThatItAgreed(t *testing.T) {
	w := newWorld(t, approving)
	d := w.waits(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	tree := func(id lineage.ID) string {
		var b strings.Builder
		require.NoError(t, lineage.WriteTree(&b, []lineage.Node{{Record: w.record(id)}}))
		return b.String()
	}
	_, err := w.poll("researcher", d)
	no := w.denies(err, tb.CodeInvalidGrant, "issued to another client")
	require.Equal(t, &lineage.Approved{ID: d.ID}, w.record(no.ID).Body.Approved)
	require.NotContains(t, tree(no.ID), " by ")
	w.approved(d)
	require.Contains(t, tree(w.polled("orchestrator", d).ID), "approved by console for lena")
}
