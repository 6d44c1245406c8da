package tokenboundary_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func (w *world) standing(by tb.Client, id lineage.ID) tb.State {
	w.Helper()
	s, err := w.Active(w.ctx, by, id)
	require.NoError(w, err)
	return s
}

// TestAHostLearnsOfATokenWhatIntrospectionSays: the same claims, the same audience, and the same end.
func TestAHostLearnsOfATokenWhatIntrospectionSays(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	want := w.introspected(ops, tok)
	require.True(t, want.Active)
	got := w.standing(ops, tok.ID)
	got.Claims.Key = want.Claims.Key
	require.Equal(t, want, got)
	require.Equal(t, got, w.standing(w.client("crm"), tok.ID))
	other := tb.Client{ID: "mail", Kind: tb.KindResource, Resource: mail}
	require.Zero(t, w.standing(other, tok.ID), "it is not for mail")
	_, err := w.Active(w.ctx, w.client("tool"), tok.ID)
	require.ErrorIs(t, err, tb.ErrForbidden)

	got.Claims.Audience[0] = "https://else.example/"
	require.EqualValues(t, []string{crm}, w.standing(ops, tok.ID).Claims.Audience, "what it answered is the caller's")
	w.revoke("subject:alice", lineage.Cut)
	require.Zero(t, w.standing(ops, tok.ID))
}

func TestATokenOfAHostIsDecidedAnewAfterItsRecheckInterval(t *testing.T) {
	w := newWorld(t)
	w.policy = rechecked(grantAll, 30*time.Second)
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "write"))
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	require.True(t, w.standing(ops, d.ID).Active, "before the interval is over it is relied on")
	w.clock.Add(30 * time.Second)
	require.Zero(t, w.standing(ops, d.ID))
	require.Equal(t, lineage.Active, w.state(d.ID), "a read changes nothing")
	w.policy = grantAll
	require.True(t, w.standing(ops, d.ID).Active)
	w.clock.Add(5 * time.Minute)
	require.Zero(t, w.standing(ops, d.ID))
}

func TestARefreshFamilyIsActiveWithoutBeingDecided(t *testing.T) {
	w := newWorld(t, refreshing)
	w.policy = rechecked(w.policy, 30*time.Second)
	d := w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.False(t, d.Family.IsZero())
	w.clock.Add(time.Minute)
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{} }
	require.Zero(t, w.standing(ops, d.ID), "positive control: the token is decided anew")
	require.True(t, w.standing(ops, d.Family).Active)
	w.revoke("token:"+d.Family.String(), lineage.Cut)
	require.Zero(t, w.standing(ops, d.Family))
}

func TestWhatIsNoTokenIsNotActive(t *testing.T) {
	w := newWorld(t)
	task := w.start("triage", 5, "read")
	require.True(t, w.standing(ops, task.ID).Active, "positive control")
	require.Zero(t, w.standing(ops, task.TaskID), "a task is no token")
	no := w.refused(w.exchange("stranger", host(task), crm, "root"), tb.CodeInvalidRequest, "")
	require.Zero(t, w.standing(ops, no.ID), "nor is a refusal")
	require.Zero(t, w.standing(ops, lineage.ID{}))
	require.Zero(t, w.standing(ops, lineage.IDOf([]byte("nobody"))))

	faulty := storetest.FailOn(w.store, storetest.Get, errors.New("boom"))
	w.store = faulty
	w.restart()
	_, err := w.Active(w.ctx, ops, task.ID)
	require.ErrorIs(t, err, tb.ErrUnavailable, "what cannot be read is neither")
}

func TestADecisionSaysWhatItsTokenIs(t *testing.T) {
	w := newWorld(t)
	d := w.decided(w.exchange("orchestrator", w.human("alice"), crm, "read", "write"))
	require.Equal(t, []string{"read", "write"}, d.Scopes())
	require.Equal(t, d.ID, d.Token().ID())
	require.Equal(t, d.Scopes(), d.Token().Body.Granted.Access[0].Scopes)
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	req.Enforce = everything &^ tb.CapRecord
	d, err := w.Decide(w.ctx, req)
	require.NoError(t, err)
	require.Equal(t, []string{"read"}, d.Scopes())
	require.Zero(t, d.Token(), "it is recorded already")
	require.Zero(t, tb.Decision{}.Scopes())
	require.Zero(t, tb.Decision{Pending: &tb.Pending{}}.Token())
}
