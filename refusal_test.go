package tokenboundary_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func TestANarrowingInsideATaskOrItsDetailsMustBeEnforceableToo(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Details = map[string]tb.DetailType{"pay": sameDetail{}} })
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		v := grant(f)
		v.Details = append(v.Details, []byte(`{"max":1,"type":"pay"}`))
		return v
	}
	try := func(caps tb.Caps, task time.Duration, details string) tb.Decision {
		req := w.exchange("orchestrator", w.human("alice"), crm, "read")
		req.Enforce, req.Lifetime, req.Details = caps, 2*time.Minute, []byte(details)
		req.Task = &tb.TaskSpec{Purpose: "work", ExpiresIn: task}
		d, err := w.Decide(w.ctx, req)
		require.NoError(t, err)
		return d
	}
	const one, two = `[{"type":"pay","max":1}]`, `[{"type":"pay","max":1},{"type":"pay","max":1000}]`
	require.Equal(t, tb.Allow, try(everything&^tb.CapLifetime, time.Hour, one).Effect)
	require.Equal(t, tb.Allow, try(everything, 30*time.Second, two).Effect)
	short := try(everything&^tb.CapLifetime, 30*time.Second, one)
	require.Equal(t, tb.CodeInvalidRequest, short.Code, "the task ends before the token that the host would mint")
	require.Contains(t, short.Reasons[len(short.Reasons)-1].Why, "cannot set the lifetime")
	fewer := try(everything&^tb.CapScopes, time.Hour, two)
	require.Equal(t, tb.CodeInvalidDetails, fewer.Code)
	require.Contains(t, fewer.Reasons[len(fewer.Reasons)-1].Why, "cannot narrow authorization_details")
}

// sameDetail covers only what it equals.
type sameDetail struct{}

func (sameDetail) Covers(parent, child json.RawMessage) (bool, error) {
	return bytes.Equal(parent, child), nil
}

func TestARefusalFollowsChangedFacts(t *testing.T) {
	w := newWorld(t, func(w *world) { w.cfg.Env = map[string]any{"frozen": true} })
	grant := w.policy
	w.policy = func(f tb.Facts) tb.Verdict {
		if f.Env["frozen"] == true {
			return tb.Verdict{}
		}
		return grant(f)
	}
	req := w.exchange("orchestrator", w.human("alice"), crm, "read")
	w.refused(req, tb.CodeInvalidTarget, "the policy denies the target")
	require.NoError(t, w.store.Commit(w.ctx, []store.Tx{{Issuer: issuer, Time: w.clock.Now(), Swaps: []store.Swap{
		{Key: "fact:env", Version: 1, State: "set", Value: []byte(`{"frozen":false}`)},
	}}})[0])
	w.granted(req)
}

// held is a store that commits nothing until it is let go.
type held struct {
	store.Store
	on  atomic.Bool
	let chan struct{}
}

func (h *held) Commit(ctx context.Context, txs []store.Tx) []error {
	if h.on.Load() {
		<-h.let
	}
	return h.Store.Commit(ctx, txs)
}

func TestTheRateOfRecordedDenialsIsExactUnderConcurrency(t *testing.T) {
	const rate, asked = 5, 40
	slow := &held{let: make(chan struct{})}
	w := newWorld(t, func(w *world) {
		w.cfg.DenialRate = rate
		slow.Store = w.store
		w.store = slow
	})
	w.granted(w.exchange("tool", w.human("alice"), crm, "read"))
	slow.on.Store(true)
	var decided, recorded atomic.Int64
	w.policy = func(tb.Facts) tb.Verdict {
		if decided.Add(1) == asked {
			close(slow.let)
		}
		return tb.Verdict{}
	}
	var all sync.WaitGroup
	for i := range asked {
		req := w.exchange("tool", w.human("alice"), crm, fmt.Sprint("s", i))
		req.Enforce = everything
		all.Go(func() {
			d, err := w.Decide(w.ctx, req)
			if err != nil || d.Effect != tb.Deny {
				t.Errorf("%+v %v", d, err)
			}
			if !d.ID.IsZero() {
				recorded.Add(1)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, rate, recorded.Load())
}

func TestRetiringADeadTokenAddsNothingToTheFeed(t *testing.T) {
	w := newWorld(t, minting)
	tok := w.issued(w.exchange("tool", w.human("alice"), crm, "read"))
	for range 3 {
		require.NoError(t, w.Retire(w.ctx, w.client("tool"), tok.Value()))
		require.Equal(t, lineage.Revoked, w.state(tok.ID))
		require.Equal(t, 1, len(w.feed(ops)))
	}
	late := w.issued(w.exchange("tool", w.human("bob"), crm, "read"))
	w.clock.Add(6 * time.Minute)
	require.NoError(t, w.Retire(w.ctx, w.client("tool"), late.Value()))
	require.Equal(t, 1, len(w.feed(ops)), "it had expired by itself")
}
