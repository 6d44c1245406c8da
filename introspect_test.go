package tokenboundary_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// remote is a store where a round trip is worth counting.
type remote struct {
	*counting
	looks int
	err   error
}

func (r *remote) Look(ctx context.Context, iss string, ids []lineage.ID, sels []lineage.Selector) ([]store.Entry, []lineage.Mark, error) {
	if r.looks++; r.err != nil {
		return nil, nil, r.err
	}
	return store.Look(ctx, r.counting.Store, iss, ids, sels)
}

// Introspection is one round trip, of the caller's standing and of the token, whatever comes of it.
func TestIntrospectionIsOneRead(t *testing.T) {
	var r *remote
	w := newWorld(t, minting, func(w *world) {
		r = &remote{counting: &counting{Store: w.store}}
		w.store = r
	})
	raw := w.issued(w.exchange("orchestrator", w.human("alice"), crm, "read")).Value()
	ask := func(by, raw string) (tb.State, error) {
		r.looks = 0
		before := r.gets.Load() + r.heads.Load() + r.revoked.Load()
		s, err := w.Introspect(w.ctx, w.client(by), raw)
		require.Equal(t, 1, r.looks)
		require.Equal(t, before, r.gets.Load()+r.heads.Load()+r.revoked.Load())
		return s, err
	}
	s, err := ask("crm", raw)
	require.NoError(t, err)
	require.True(t, s.Active, "control")
	for _, no := range []string{"", "x", raw + "x", raw[:len(raw)-1]} {
		s, err = ask("crm", no)
		require.NoError(t, err)
		require.False(t, s.Active)
	}

	_, err = w.Revoke(w.ctx, w.client("ops"), lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectClient, Value: "crm"}, Action: lineage.Block,
	})
	require.NoError(t, err)
	for _, any := range []string{raw, "x"} { // and whoever may not ask learns nothing of either
		_, err = ask("crm", any)
		require.ErrorIs(t, err, tb.ErrForbidden)
	}
	for _, r.err = range []error{errors.New("connection lost"), fmt.Errorf("table: %w", tb.ErrNotFound)} {
		for _, any := range []string{raw, "x"} {
			s, err = ask("ops", any)
			require.ErrorIs(t, err, tb.ErrUnavailable)
			require.Equal(t, tb.State{}, s)
		}
	}
}
