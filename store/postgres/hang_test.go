package postgres_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// hold keeps what is sent from the n-th message on (from 1) until it is let go.
func (w *wire) hold(n int) (release func()) {
	released, held := make(chan struct{}), 0
	var mu sync.Mutex
	cut := func(string) (before, after bool) {
		mu.Lock()
		held++
		waits := held >= n
		mu.Unlock()
		if waits {
			<-released
		}
		return false, false
	}
	w.cut.Store(&cut)
	return sync.OnceFunc(func() {
		w.cut.Store(nil)
		close(released)
	})
}

// A server that takes what is sent and answers nothing costs a caller no more than the timeout, and is never taken for an answer.
// When it answers again all is as before, and what arrived late is there once.
func TestAServerThatStopsAnswering(t *testing.T) {
	t.Parallel()
	opts := postgres.Options{Schema: schema(t), Timeout: 300 * time.Millisecond, Silent: true}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	w, dsn := newWire(t, database(t))
	s, err := postgres.Open(t.Context(), dsn, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	late := func() store.Tx {
		tx := recordTx(t, march, "c")
		tx.Adds = []store.Add{{Key: "n", N: 1, Max: 100}}
		return tx
	}
	known := late()
	require.NoError(t, s.Commit(t.Context(), []store.Tx{known})[0])
	ids := []lineage.ID{known.Records[0].ID()}
	committed := 1
	calls := map[string]func() error{
		"Get":     func() error { _, err := s.Get(t.Context(), issuer, ids); return err },
		"Heads":   func() error { _, err := s.Heads(t.Context(), issuer, []string{"n"}); return err },
		"Revoked": func() error { _, err := s.Revoked(t.Context(), issuer, known.Records[0].Selectors()); return err },
		"Scan": func() (err error) {
			for _, err = range s.Scan(t.Context(), issuer, known.Records[0].Selectors()[0], store.Position{}) { //nolint:revive // the last
			}
			return err
		},
		"Forget": func() error { return s.Forget(t.Context(), store.Removal{Issuer: issuer, Bodies: ids[:0]}) },
	}
	for name, call := range calls {
		release := w.hold(1)
		err := call()
		release()
		require.ErrorIs(t, err, context.DeadlineExceeded, name)
		require.NoError(t, call(), "%s, when it answers again", name)
	}
	for n := 1; n <= 2; n++ { // at what reads, and at what writes
		tx := late()
		release := w.hold(n)
		err := s.Commit(t.Context(), []store.Tx{tx})[0]
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.NotErrorIs(t, err, store.ErrConflict)
		release()
		require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0], "the repeat, while the first may still arrive")
		committed++
		heads, err := s.Heads(t.Context(), issuer, []string{"n"})
		require.NoError(t, err)
		require.EqualValues(t, committed, heads[0].Count, "it was applied once")
	}
}
