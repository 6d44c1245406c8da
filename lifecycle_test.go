package tokenboundary_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// TestRandomHistoriesFollowTheModel lets random histories of everything that can happen to a token, a task, a refresh
// family and a request that waits run at two Governors over one store, and compares every answer, and after every move
// the state of all that was ever made, with the model. A history follows from its seed alone.
func TestRandomHistoriesFollowTheModel(t *testing.T) {
	seeds, ran := 80, 0
	if testing.Short() {
		seeds = 15
	}
	seen := map[string]int{}
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			h := newHistory(t, seed, seen)
			for range 80 {
				h.step()
				h.agree()
			}
			h.verify()
			ran++
		})
	}
	if ran < seeds || testing.Short() {
		return // only some of the histories were asked for
	}
	for what, least := range reached {
		require.GreaterOrEqual(t, seen[what], least, "the histories must reach what they test: %s", what)
	}
}

// reached is how often in all histories what they claim to test has to happen: each move with its outcomes, what things
// amount to, and the reasons that a code has in common with others.
var reached = map[string]int{
	"login: ok": 70, "login: authorization_pending": 50, "login: invalid_request": 20, "login: unavailable": 5, "client: ok": 17,
	"derive: ok": 100, "derive: by a delegate": 40, "derive: in a task inside a task": 4, "derive: authorization_pending": 5,
	"derive: invalid_scope": 80, "derive: invalid_target": 20, "derive: unavailable": 3,
	"refresh: current ok": 50, "refresh: previous ok": 8, "refresh: previous invalid_grant": 10, "refresh: older invalid_grant": 2,
	"refresh: reuse ends the family": 6, "refresh: a stranger": 11, "refresh: current invalid_scope": 30,
	"poll: ok": 12, "poll: access_denied": 4, "poll: authorization_pending": 30, "poll: slow_down": 14, "poll: expired_token": 2,
	"approve: approved ok": 20, "approve: refused ok": 6, "approve: approved conflict": 20,
	"approve: approved not permitted for this client": 4, "task: suspended ok": 20, "task: active ok": 9, "task: active denied": 4,
	"task: active inside a suspended one": 1, "task: active not found": 4, "task: active not permitted for this client": 3,
	"task: completed ok": 12, "task: revoked ok": 12,
	"retire: token ok": 14, "retire: grant ok": 7, "retire: token denied": 1,
	"cut: token": 9, "cut: task": 1, "cut: grant": 3, "cut: session": 1, "cut: key": 1, "cut: subject": 5, "cut: actor": 4,
	"cut: client": 2, "cut: connection": 2, "cut: path": 3,
	"lift: subject": 3, "lift: actor": 2, "lift: client": 2, "lift: connection": 3, "lift: path": 2,
	"risk: keeps": 20, "risk: revokes": 7, "env: revokes": 4, "reloaded: revokes": 2, "assurance: keeps": 12, "ended: revokes": 8,
	"state: a blocked operator": 4, "blocked operator: active not permitted for this client": 5, "derive: unauthorized_client": 1,
	"freeze inside: active ok": 3, "restart: ok": 20, "policy: ok": 100, "wait: ok": 150,
	"state: active": 7000, "state: suspended": 900, "state: expired": 1000, "state: revoked": 14000,
	"why: the task has no derivation left": 8, "why: not delegable to this client": 16, "why: the chain may not grow": 7,
	"why: the actor stands deeper in the chain already": 8, "why: the token is revoked": 90, "why: the token is suspended": 40,
	"why: the token is expired": 4, "why: it was not used for too long": 2, "why: too many requests wait already": 3,
	"why: it was answered with a token already": 6, "why: what it was made from is revoked": 10,
}

// agree compares what the boundary says of everything with the model: of what is known to be dead, every fourth time.
func (h *history) agree() {
	h.Helper()
	h.now = h.clock.Now()
	var waiting, listed []lineage.ID
	for i, n := range h.nodes {
		want := h.stateOf(n)
		h.seen["state: "+string(want)]++
		require.False(h, h.dead[n] && want != lineage.Revoked, "what is revoked stays revoked")
		if h.dead[n] && (i+len(h.log))%4 > 0 {
			continue
		}
		h.dead[n] = want == lineage.Revoked
		require.Equal(h, want, h.state(n.id), h.say(n))
		switch n.kind {
		case lineage.KindToken:
			s, err := h.Introspect(h.ctx, ops, n.value)
			require.NoError(h, err)
			require.Equal(h, want == lineage.Active, s.Active, h.say(n))
			require.True(h, !s.Active || s.Claims.Scope == strings.Join(n.scopes, " "), h.say(n))
		case lineage.KindTask:
			task, err := h.Task(h.ctx, ops, n.id)
			require.NoError(h, err)
			require.Equal(h, h.taskState(n), task.State, h.say(n))
			require.Equal(h, n.used, task.Derivations, h.say(n))
		case lineage.KindApproval:
			if n.wait == "pending" && h.lives(n) {
				waiting = append(waiting, n.id)
			}
		}
	}
	witness := leads("eve")
	witness.ID = "witness"
	open, err := h.Approvals(h.ctx, witness)
	require.NoError(h, err)
	for _, a := range open {
		listed = append(listed, a.ID)
	}
	require.ElementsMatch(h, waiting, listed)
	for _, by := range []tb.Client{deputy, leads("eve")} {
		if _, err = h.Approvals(h.ctx, by); h.blocked(by.ID) {
			require.ErrorIs(h, err, tb.ErrForbidden)
			h.seen["state: a blocked operator"]++
		} else {
			require.NoError(h, err)
		}
	}
}

// verify compares the records of everything with the model.
func (h *history) verify() {
	for _, n := range h.nodes {
		chain, err := h.Lineage(h.ctx, ops, n.id)
		require.NoError(h, err)
		records := make([]lineage.Record, len(chain))
		for i := range chain {
			records[i] = chain[i].Record
		}
		require.NoError(h, lineage.VerifyChain(n.id, records))
		r := records[len(records)-1]
		b := r.Body
		require.Equal(h, n.kind, r.Kind)
		require.Equal(h, n.scopes, b.Granted.Scopes(crm), h.say(n))
		require.Equal(h, n.holds, r.Derivable().Scopes(crm), h.say(n))
		require.Equal(h, n.chain, ids(b.Actors), h.say(n))
		require.Equal(h, n.expires, r.ExpiresAt, h.say(n))
		require.Equal(h, n.since, r.Since, h.say(n))
		require.Equal(h, []string{n.client, n.subject, n.session, n.connection},
			[]string{b.Client, b.Subject.ID, b.Session.ID, b.Connection}, h.say(n))
		if n.kind == lineage.KindTask {
			require.Equal(h, n.budget, b.Task.Budget, h.say(n))
		}
		if len(records) > 1 {
			h.sound(records[len(records)-2], r)
		}
	}
}

// sound is what must hold of a record and the one it was made from, whatever the model says.
func (h *history) sound(parent, child lineage.Record) {
	p, c := parent.Body, child.Body
	require.False(h, child.ExpiresAt.After(parent.ExpiresAt), "a child never outlives its parent")
	require.True(h, parent.Derivable().Covers(c.Granted) && parent.Derivable().Covers(child.Derivable()), "never wider")
	require.Contains(h, []string{"", p.Session.ACR}, c.Session.ACR, "never raised")
	require.Equal(h, p.Subject, c.Subject)
	actors := c.Actors
	if len(c.Actors) > len(p.Actors) {
		require.Equal(h, c.Client, c.Actors[0].ID)
		actors = actors[1:]
	}
	require.Equal(h, ids(p.Actors), ids(actors), "earlier actors are kept")
	require.Len(h, slices.Compact(slices.Sorted(slices.Values(ids(c.Actors)))), len(c.Actors), "no actor twice")
	require.LessOrEqual(h, len(c.Actors), mostActors)
	starts := child.Kind == lineage.KindTask || child.Kind == lineage.KindApproval
	require.True(h, starts || child.TaskID() == parent.TaskID(), "nothing leaves its task")
}
