package tokenboundary_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/mint"
)

// skewed returns another node whose clock is off by d.
func (w *world) skewed(d time.Duration) *world {
	other := *w
	other.clock = clock.NewMock()
	other.clock.Set(w.clock.Now().Add(d))
	other.cfg.Clock = other.clock
	other.restart()
	return &other
}

func TestAClockThatGoesBackRevivesNothing(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	active := func() bool {
		s, err := w.Introspect(w.ctx, w.client("crm"), tok.Value())
		require.NoError(t, err)
		return s.Active
	}
	w.clock.Add(4 * time.Minute)
	require.True(t, active())
	w.clock.Add(2 * time.Minute)
	require.False(t, active(), "its time is over")
	w.clock.Set(w.clock.Now().Add(-5 * time.Minute))
	require.False(t, active())
	w.clock.Add(2 * time.Minute)
	require.False(t, active())
}

func TestANodeBehindTheStoreIssuesNothing(t *testing.T) {
	w := newWorld(t, minting)
	old := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	w.clock.Add(4 * time.Minute)
	w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	at, behind := w.skewed(-5*time.Second), w.skewed(-5*time.Second-time.Millisecond)
	at.issued(at.exchange("tool", bearer(old), crm, "read"))
	req := behind.exchange("tool", bearer(old), crm, "read")
	req.Client = behind.once("tool", "a")
	_, err := behind.Issue(w.ctx, req)
	require.ErrorIs(t, err, tb.ErrUnavailable)
	at.issued(req) // nothing was spent
	behind.revoke("token:"+old.ID.String(), lineage.Cut)
	require.Equal(t, lineage.Revoked, w.state(old.ID), "what is late still revokes")
}

// TestARevocationHoldsOnNodesWhoseClocksDiffer issues and decides at one node and revokes at another, with clocks that
// differ by up to the leeway: when Revoke has returned, nothing of it lives or is recorded any more.
func TestARevocationHoldsOnNodesWhoseClocksDiffer(t *testing.T) {
	for seed := range uint64(25) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		home := newWorld(t)
		off := func() time.Duration { return time.Duration(rnd.IntN(5000)-2500) * time.Millisecond }
		a, b := home.skewed(off()), home.skewed(off())
		pass := func(d time.Duration) { a.clock.Add(d); b.clock.Add(d) }
		root, spared := a.granted(asked(a.as("orchestrator"))), a.granted(asked(a.as("tool")))
		var pending []tb.Decision
		for range 2 {
			pass(time.Duration(rnd.IntN(300)) * time.Millisecond)
			pending = append(pending,
				a.decided(asked(a.as("orchestrator"))), // the store does not know of it, nor of its time
				a.decided(a.exchange("orchestrator", host(root), crm, "read")))
		}
		pass(time.Millisecond)
		sels := []string{"subject:orchestrator", "client:orchestrator", "path:/agents/orchestrator"}
		sel := sels[rnd.IntN(len(sels))]
		b.revoke(sel, lineage.Cut)
		for _, n := range []*world{a, b} {
			require.Equal(t, lineage.Revoked, n.state(root.ID), "seed %d, %s", seed, sel)
			require.Equal(t, lineage.Active, n.state(spared.ID), "seed %d, %s", seed, sel)
		}
		for i, d := range pending {
			require.ErrorIs(t, a.Record(a.ctx, d, tb.HostToken{Handle: fmt.Sprint("h", i)}), tb.ErrConflict, "seed %d, %s", seed, sel)
		}
		pass(10 * time.Second)
		a.refused(a.exchange("orchestrator", host(root), crm, "read"), tb.CodeInvalidRequest, "the token is revoked")
		a.granted(asked(a.as("orchestrator")))
	}
}

// watched is a Minter that is interrupted once, after it was asked for a key or before it signs.
type watched struct {
	tb.Minter
	named, signing func(kid string)
}

func (m *watched) Key(ctx context.Context) (string, error) {
	kid, err := m.Minter.Key(ctx)
	if f := m.named; f != nil && err == nil {
		m.named = nil
		f(kid)
	}
	return kid, err
}

func (m *watched) Mint(ctx context.Context, c tb.Claims) (string, error) {
	raw, err := m.Minter.Mint(ctx, c)
	if f := m.signing; f != nil && err == nil {
		m.signing = nil
		f(c.Key)
	}
	return raw, err
}

// TestAKeyRevokedInMidFlightHarmsNoClient: that our own key is revoked is no reason to refuse a client, and spends
// nothing; no token that it signed is released.
func TestAKeyRevokedInMidFlightHarmsNoClient(t *testing.T) {
	for name, when := range map[string]func(*watched, func(string)){
		"before it is named": func(m *watched, revoke func(string)) {
			kid, err := m.Key(context.Background())
			if err == nil {
				revoke(kid)
			}
		},
		"when it is named":   func(m *watched, revoke func(string)) { m.named = revoke },
		"when it has signed": func(m *watched, revoke func(string)) { m.signing = revoke },
	} {
		t.Run(name, func(t *testing.T) {
			m := &watched{}
			w := newWorld(t, func(w *world) {
				keys, err := mint.Open(w.ctx, mint.Config{Issuer: issuer, Store: w.store, Dir: w.TempDir(), Clock: w.clock})
				require.NoError(w, err)
				m.Minter = keys
				w.cfg.Minter = m
			})
			old := w.issued(asked(w.as("tool")))
			w.clock.Add(10 * time.Second)
			stolen := ""
			when(m, func(kid string) {
				stolen = kid
				w.revoke("key:"+kid, lineage.Cut)
			})
			req := asked(w.once("tool", "a"))
			tok, err := w.Issue(w.ctx, req)
			for range 3 {
				if err == nil {
					break
				}
				var un *tb.UnavailableError
				require.ErrorAs(t, err, &un)
				require.Positive(t, un.RetryAfter)
				w.clock.Add(un.RetryAfter)
				tok, err = w.Issue(w.ctx, req)
			}
			require.NoError(t, err, "the same assertion is good a moment later")
			require.NotEmpty(t, stolen)
			claims, err := m.Verify(w.ctx, tok.Value())
			require.NoError(t, err)
			require.NotEqual(t, stolen, claims.Key)
			for value, want := range map[string]bool{tok.Value(): true, old.Value(): false} {
				s, err := w.Introspect(w.ctx, ops, value)
				require.NoError(t, err)
				require.Equal(t, want, s.Active)
			}
		})
	}
}
