package tokenboundary_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// heads returns heads of the store.
func (w *world) heads(keys ...string) []store.Head {
	w.Helper()
	out, err := w.store.Heads(w.ctx, issuer, keys)
	require.NoError(w, err)
	return out
}

func past(key string, version int) string { return canon.Key("past", key, fmt.Sprint(version)) }

// last returns the decision made last.
func (w *world) last() tb.Past {
	all := w.past(tb.RecallFilter{})
	return all[len(all)-1]
}

// TestFactsKeepTheirHistory: each version of each fact stays readable, and nothing is kept for a signal that says what is
// known already.
func TestFactsKeepTheirHistory(t *testing.T) {
	w := newWorld(t)
	w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.JSONEq(t, `{"frozen":false}`, string(w.heads(past("fact:env", 1))[0].Value), "the first values too")
	for _, frozen := range []bool{true, true, false} {
		w.signal(tb.Signal{Env: map[string]any{"frozen": frozen}})
	}
	for _, level := range []string{"low", "high", "high", "medium"} {
		w.risk("subject:alice", level)
	}
	for key, want := range map[string][]string{
		"fact:env":      {`{"frozen":false}`, `{"frozen":true}`, `{"frozen":false}`},
		"subject:alice": {`{"risk":"low"}`, `{"risk":"high"}`, `{"risk":"medium"}`},
	} {
		now := w.heads(key)[0]
		require.EqualValues(t, len(want), now.Version)
		require.JSONEq(t, want[len(want)-1], string(now.Value))
		for i, value := range want {
			kept := w.heads(past(key, i+1))[0]
			require.EqualValues(t, 1, kept.Version)
			require.JSONEq(t, value, string(kept.Value))
			require.Zero(t, kept.Expires)
		}
		require.Zero(t, w.heads(past(key, len(want)+1))[0].Version)
	}
}

// TestTheLongestNamesHaveAHistory: the key of what is kept is within what a store takes.
func TestTheLongestNamesHaveAHistory(t *testing.T) {
	w := newWorld(t)
	name := strings.Repeat("n", canon.MaxName)
	w.risk("subject:"+name, "high")
	require.EqualValues(t, 1, w.heads(past("subject:"+name, 1))[0].Version)
	require.Less(t, len(past("subject:"+name, 1)), store.MaxKey)
}

// TestAFactAndItsHistoryAreWrittenTogether: a commit that fails leaves neither, and the signal can be repeated.
func TestAFactAndItsHistoryAreWrittenTogether(t *testing.T) {
	for _, op := range []storetest.Op{storetest.Commit, storetest.CommitLost} {
		w := newWorld(t)
		faulty := storetest.FailOn(w.store, op, errors.New("boom"))
		w.store = faulty
		w.restart()
		s := tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high"}
		_, err := w.Signal(w.ctx, ops, s)
		require.ErrorIs(t, err, tb.ErrUnavailable)
		faulty.Set(false)
		before := w.heads("subject:alice", past("subject:alice", 1))
		require.Equal(t, before[0].Version, before[1].Version, "both or neither")
		require.Equal(t, op == storetest.CommitLost, before[0].Version == 1, "control")
		w.signal(s)
		after := w.heads("subject:alice", past("subject:alice", 1), past("subject:alice", 2))
		require.EqualValues(t, []uint64{1, 1, 0}, []uint64{after[0].Version, after[1].Version, after[2].Version})
	}
}

// TestWhatWasKnownThenIsAskedAgain: risk, attributes, assurance and env as they were, whatever they are now.
func TestWhatWasKnownThenIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	w.signal(tb.Signal{Env: map[string]any{"phase": "one"}})
	w.signal(tb.Signal{Selector: selector(w, "subject:alice"), Risk: "medium", Attributes: map[string]any{"team": "red"}})
	w.signal(tb.Signal{Selector: selector(w, "session:s-alice"), Assurance: &tb.Assurance{ACR: "aal3"}})
	var asked tb.Facts
	w.policy = func(f tb.Facts) tb.Verdict { asked = f; return grantAll(f) }
	w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	w.policy = grantAll

	w.signal(tb.Signal{Env: map[string]any{"phase": "two"}})
	w.signal(tb.Signal{Selector: selector(w, "subject:alice"), Risk: "high", Attributes: map[string]any{"team": "blue"}})
	w.signal(tb.Signal{Selector: selector(w, "session:s-alice"), Assurance: &tb.Assurance{ACR: "aal1"}})
	w.signal(tb.Signal{Selector: selector(w, "client:orchestrator"), Attributes: map[string]any{"new": true}})
	delete(w.clients, "orchestrator")
	w.clock.Add(time.Hour)
	p := w.last()
	got := w.anew(p).Asked
	require.Len(t, got, 1)
	require.Equal(t, asked, got[0])
	require.Empty(t, p.Unknown)
	require.Equal(t, "aal3", asked.Session.ACR, "control")
	require.Equal(t, "medium", asked.Risk, "control")
}

// TestAFactThatIsNotKnownAnyMoreIsSaidToBeUnknown: one written by something else, of which no history was kept.
func TestAFactThatIsNotKnownAnyMoreIsSaidToBeUnknown(t *testing.T) {
	w := newWorld(t)
	w.granted(w.exchange("orchestrator", w.human("bob"), crm, "read"))
	w.clock.Add(time.Second)
	w.raw(store.Swap{Key: "subject:alice", State: "set", Value: []byte(`{"risk":"low"}`)})
	w.granted(w.exchange("orchestrator", w.human("alice"), crm, "read"))
	require.Empty(t, w.last().Unknown, "it is still what it was")
	require.Equal(t, "low", w.anew(w.last()).Asked[0].Risk)
	w.risk("subject:alice", "medium")
	for range 2 { // what is remembered of it too
		p, err := w.recall().One(w.ctx, w.last().Record.ID())
		require.NoError(t, err)
		require.Equal(t, []string{"subject:alice"}, p.Unknown)
		require.Equal(t, "medium", w.anew(p).Asked[0].Risk, "the present one takes its place")
	}
}

// raw writes past the Governor.
func (w *world) raw(s store.Swap) {
	w.Helper()
	require.NoError(w, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{s}}})[0])
}

// TestADenialSaysWhichTaskWasAskedFor: a policy that allows it can then be asked what it would have granted.
func TestADenialSaysWhichTaskWasAskedFor(t *testing.T) {
	w := newWorld(t)
	deny := func(f tb.Facts) tb.Verdict { return tb.Verdict{Path: "/agents", Version: "v1"} }
	most := uint64(7)
	for name, c := range map[string]struct {
		listed []lineage.Access
		want   *lineage.Authority
	}{
		"what the request asks for": {nil, nil},
		"what it lists": {
			[]lineage.Access{{Resource: mail, Scopes: []string{"send"}}, {Resource: crm, Scopes: []string{"write"}}},
			&lineage.Authority{Access: []lineage.Access{{Resource: crm, Scopes: []string{"write"}}, {Resource: mail, Scopes: []string{"send"}}}},
		},
	} {
		w.policy = deny
		req := w.exchange("orchestrator", w.human("alice"), crm, "write")
		req.Task = &tb.TaskSpec{
			Purpose: "triage", Context: json.RawMessage(`{"case":1}`), ExpiresIn: 20 * time.Minute, MaxDerivations: &most, Authority: c.listed,
		}
		d := w.refused(req, tb.CodeInvalidTarget, "the policy denies the target")
		p, err := w.recall().One(w.ctx, d.ID)
		require.NoError(t, err)
		require.Equal(t, &lineage.Task{
			Purpose: "triage", Context: json.RawMessage(`{"case":1}`), Deadline: w.clock.Now().Add(20 * time.Minute), Budget: 7, Authority: c.want,
		}, p.Record.Body.Task, name)
		require.True(t, p.Record.TaskID().IsZero(), "it belongs to none")

		w.policy = grantAll
		a := w.anew(p)
		require.Equal(t, tb.Allow, a.Effect)
		require.Len(t, a.Asked, len(c.listed)+1)
		for _, f := range a.Asked {
			require.Equal(t, "triage", f.Task.Purpose)
			require.Equal(t, w.clock.Now().Add(20*time.Minute), f.Task.Deadline)
			require.JSONEq(t, `{"case":1}`, string(f.Task.Context))
		}
		same := w.refused2(deny, req)
		require.Equal(t, d.ID, same, "the same request is one record")
		req.Task.Purpose = "another"
		require.NotEqual(t, d.ID, w.refused2(deny, req), "another task is another request")
		w.clock.Add(time.Minute)
	}
}

// refused2 decides under a policy that denies, and returns the record's id.
func (w *world) refused2(policy func(tb.Facts) tb.Verdict, req tb.Request) lineage.ID {
	w.policy = policy
	return w.refused(req, tb.CodeInvalidTarget, "denies").ID
}
