package verify_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
	"github.com/tokenboundary/tokenboundary/verify"
)

// TestAVerifierAgreesWithTheBoundary: whatever was issued, derived, cut, blocked, lifted, suspended and resumed, a Verifier
// that has read the feed accepts exactly the tokens that the boundary says are active.
func TestAVerifierAgreesWithTheBoundary(t *testing.T) {
	alive, dead := 0, 0
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			w := newWorld(t)
			h := history{world: w, guard: w.guard(), rnd: rand.New(rand.NewPCG(seed, 1))}
			for range 80 {
				h.step()
			}
			h.compare()
			alive, dead = alive+h.alive, dead+h.dead
		})
	}
	require.Greater(t, alive, 500, "positive control")
	require.Greater(t, dead, 500)
}

type history struct {
	*world
	guard       *guard
	rnd         *rand.Rand
	tokens      []tokenboundary.Token
	alive, dead int
}

func pick[T any](h *history, list ...T) T { return list[h.rnd.IntN(len(list))] }

func (h *history) step() {
	switch n := h.rnd.IntN(14); {
	case n < 9 || len(h.tokens) < 4:
		h.issue()
	case n < 11:
		h.clock.Add(time.Duration(h.rnd.IntN(4000)) * time.Millisecond)
	case n < 12:
		h.task()
	default:
		h.cut()
		h.compare()
	}
}

func (h *history) issue() {
	change := []func(*tokenboundary.Request){by(pick(h, "bot", "other")), over(pick(h, "prod", "staging"))}
	switch h.rnd.IntN(4) {
	case 0:
		change = append(change, h.person(pick(h, "alice", "bob")))
	case 1:
		change = append(change, h.person(pick(h, "alice", "bob")), inTask)
	case 2:
		if len(h.tokens) > 0 {
			change = append(change, from(pick(h, h.tokens...), "tool"))
		}
	}
	tok, err := h.g.Issue(h.Context(), ask(change...))
	if err == nil { // else something of it is dead
		h.tokens = append(h.tokens, tok)
		return
	}
	require.True(h, errors.Is(err, tokenboundary.ErrDenied) || errors.Is(err, tokenboundary.ErrUnavailable), err)
}

func (h *history) cut() {
	tok := pick(h, h.tokens...)
	sel := pick(h,
		lineage.Selector{Kind: lineage.SelectToken, Value: tok.ID.String()},
		lineage.Selector{Kind: lineage.SelectToken, Value: pick(h, h.tokens...).ID.String()},
		lineage.Selector{Kind: lineage.SelectSession, Value: "session-" + pick(h, "alice", "bob")},
		lineage.Selector{Kind: lineage.SelectSubject, Value: pick(h, "alice", "bob", "bot")},
		lineage.Selector{Kind: lineage.SelectActor, Value: pick(h, "bot", "tool", "other")},
		lineage.Selector{Kind: lineage.SelectClient, Value: pick(h, "bot", "tool", "other")},
		lineage.Selector{Kind: lineage.SelectConnection, Value: pick(h, "prod", "staging")},
		lineage.Selector{Kind: lineage.SelectPath, Value: pick(h, "/agents/bot", "/agents/tool/prod", "/agents/other/staging", "/nothing")},
	)
	action := lineage.Cut
	if !sel.Absolute() {
		action = pick(h, lineage.Cut, lineage.Block, lineage.Lift, lineage.Lift)
	}
	_, err := h.g.Revoke(h.Context(), ops, lineage.Revocation{Selector: sel, Action: action})
	require.NoError(h, err)
}

func (h *history) task() {
	for _, tok := range h.tokens {
		if !tok.TaskID.IsZero() && h.rnd.IntN(2) == 0 {
			_, _ = h.g.SetTask(h.Context(), ops, tok.TaskID, pick(h, tokenboundary.TaskSuspended, tokenboundary.TaskActive, tokenboundary.TaskCompleted))
			return
		}
	}
}

// compare waits until the verifier knows everything, and asks both about every token.
func (h *history) compare() {
	h.Helper()
	last := uint64(0)
	for r, err := range h.g.Revocations(h.Context(), ops, 0) {
		require.NoError(h, err)
		last = r.Seq
	}
	h.guard.sees(last)
	h.clock.Add(2 * time.Second) // an answer that a token is inactive is not asked for again within a second
	for _, tok := range h.tokens {
		state, err := h.g.Introspect(h.Context(), ops, tok.Value())
		require.NoError(h, err)
		c, err := h.guard.Verify(h.Context(), tok.Value())
		if !state.Active {
			h.dead++
			require.ErrorIs(h, err, mint.ErrToken, tok.ID)
			require.Zero(h, c)
			continue
		}
		h.alive++
		require.NoError(h, err, tok.ID)
		require.Equal(h, state.Claims.ID, c.ID)
	}
}

// TestWhatNoTokenSays: that the actor presented a token of the boundary, and which. When that one ends, a policy that
// wants it to be seen before the derived one expires sets recheck.
func TestWhatNoTokenSays(t *testing.T) {
	w := newWorld(t)
	w.policy = func(v *tokenboundary.Verdict) { v.Recheck = time.Minute }
	g := w.guard()
	actor := w.issued(by("tool"))
	made := w.issued(w.person("alice"), by("tool"), func(r *tokenboundary.Request) {
		r.Actor = tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: actor.Value()}
	})
	g.good(made)
	g.sees(w.revoke(lineage.SelectToken, actor.ID.String(), lineage.Cut))
	g.refused(actor, verify.ErrInactive, "revoked: token")
	g.good(made)
	w.clock.Add(time.Minute)
	g.refused(made, verify.ErrInactive, "the boundary says so")
}
