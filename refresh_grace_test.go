package tokenboundary_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// spy is a store that remembers every transaction it applied, and tells of it before its caller is answered.
type spy struct {
	store.Store
	mu      sync.Mutex
	commits int
	txs     []store.Tx
	applied func()
}

// spied puts a spy under the world's Governor.
func (w *world) spied() *spy {
	s := &spy{Store: w.store}
	w.store = s
	w.restart()
	return s
}

func (s *spy) Commit(ctx context.Context, txs []store.Tx) []error {
	errs := s.Store.Commit(ctx, txs)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.commits++
	for i, tx := range txs {
		if errs[i] == nil {
			s.txs = append(s.txs, tx)
		}
	}
	if s.applied != nil {
		s.applied()
	}
	return errs
}

// heads returns what the store holds now of every head that was ever written.
func (s *spy) heads(w *world) []store.Head {
	w.Helper()
	var keys []string
	for _, tx := range s.txs {
		for _, swap := range tx.Swaps {
			if !contains(keys, swap.Key) {
				keys = append(keys, swap.Key)
			}
		}
	}
	heads, err := s.Heads(w.ctx, issuer, keys)
	require.NoError(w, err)
	return heads
}

// dump returns all that the store holds, as text: heads, records and revocations.
func (s *spy) dump(w *world) string {
	w.Helper()
	var b strings.Builder
	for _, h := range s.heads(w) {
		fmt.Fprintln(&b, h.Key, h.State, string(h.Value))
	}
	for _, tx := range s.txs {
		for _, r := range tx.Records {
			fmt.Fprintln(&b, r.ID(), string(r.Raw()), string(r.RawBody()))
		}
		fmt.Fprintln(&b, tx.Revocations)
	}
	return b.String()
}

func graceful(w *world) { w.cfg.Lifetimes.RefreshGrace = 30 * time.Second }

func TestInsideTheGraceTheSameSuccessorComesBack(t *testing.T) {
	w := newWorld(t, refreshing, graceful)
	first := w.begun("read")
	seen := map[lineage.ID]bool{first.ID: true}
	var second tb.Token
	for i, n := range []*world{w, w, w.node()} { // the use, a repeat, and one at another node
		tok := w.issued(n.again("orchestrator", first.RefreshValue()))
		if i == 0 {
			second = tok
		}
		require.Equal(t, second.RefreshValue(), tok.RefreshValue())
		require.False(t, seen[tok.ID], "each has an access token of its own")
		seen[tok.ID] = true
		require.Equal(t, lineage.Active, w.state(tok.ID), "recorded")
		require.True(t, w.active(tok))
		w.clock.Add(9 * time.Second)
	}
	require.Len(t, seen, 4)
	require.NotEqual(t, first.RefreshValue(), second.RefreshValue())

	w.unissued(w.again("researcher", first.RefreshValue()), tb.CodeInvalidGrant, "issued to another client")
	grant := w.policy
	w.policy = func(tb.Facts) tb.Verdict { return tb.Verdict{Path: "/agents"} }
	w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidTarget, "the policy denies")
	w.policy = grant
	require.Equal(t, second.RefreshValue(), w.issued(w.again("orchestrator", first.RefreshValue())).RefreshValue(), "decided anew")

	require.Empty(t, w.feed(ops))
	third := w.issued(w.again("orchestrator", second.RefreshValue()))
	require.NotEqual(t, second.RefreshValue(), third.RefreshValue())
	require.Equal(t, third.RefreshValue(), w.issued(w.again("orchestrator", second.RefreshValue())).RefreshValue())
}

func TestOutsideTheGraceARepeatIsReuse(t *testing.T) {
	for name, c := range map[string]struct {
		between func(w *world, second tb.Token)
		reuse   bool
	}{
		"just in time":           {func(w *world, _ tb.Token) { w.clock.Add(30*time.Second - time.Millisecond) }, false},
		"when the window closed": {func(w *world, _ tb.Token) { w.clock.Add(30 * time.Second) }, true},
		"after a restart":        {func(w *world, _ tb.Token) { w.clock.Add(31 * time.Second); w.restart() }, true},
		"after the successor was used": {func(w *world, second tb.Token) {
			w.issued(w.again("orchestrator", second.RefreshValue()))
		}, true},
		"of the one before the previous": {func(w *world, second tb.Token) {
			third := w.issued(w.again("orchestrator", second.RefreshValue()))
			w.issued(w.again("orchestrator", third.RefreshValue()))
		}, true},
		"after a failed use of the successor": {func(w *world, second tb.Token) {
			w.unissued(w.again("researcher", second.RefreshValue()), tb.CodeInvalidGrant, "issued to another client")
			w.unissued(w.again("orchestrator", second.RefreshValue(), "write"), tb.CodeInvalidScope, "more than was granted")
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing, graceful)
			first := w.begun("read")
			second := w.issued(w.again("orchestrator", first.RefreshValue()))
			c.between(w, second)
			if !c.reuse {
				require.Equal(t, second.RefreshValue(), w.issued(w.again("orchestrator", first.RefreshValue())).RefreshValue())
				return
			}
			w.unissued(w.again("orchestrator", first.RefreshValue()), tb.CodeInvalidGrant, "used before")
			require.Equal(t, lineage.Revoked, w.state(second.ID))
			require.Len(t, w.feed(ops), 1)
		})
	}
}

func TestTheSuccessorIsKeptNoLongerThanItMayBeAskedFor(t *testing.T) {
	for name, ends := range map[string]func(w *world, second tb.Token){
		"the successor was used": func(w *world, second tb.Token) { w.issued(w.again("orchestrator", second.RefreshValue())) },
		"the successor was used after the grace was switched off": func(w *world, second tb.Token) {
			w.cfg.Lifetimes.RefreshGrace = 0
			w.restart()
			w.issued(w.again("orchestrator", second.RefreshValue()))
		},
		"the window ended": func(w *world, _ tb.Token) {
			w.clock.Add(31 * time.Second)
			w.revoke("subject:nobody", lineage.Cut) // the store knows the time
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, refreshing, graceful)
			spy := w.spied()
			first := w.begun("read")
			second := w.issued(w.again("orchestrator", first.RefreshValue()))
			kept, err := w.store.Heads(w.ctx, issuer, []string{canon.Key("successor", w.family(first.ID).ID().String())})
			require.NoError(t, err)
			require.NotEmpty(t, kept[0].Value)
			require.Contains(t, spy.dump(w), string(kept[0].Value), "positive control")
			ends(w, second)
			require.NotContains(t, spy.dump(w), string(kept[0].Value))
		})
	}
}
