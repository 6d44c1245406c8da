package linear_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/pgtest"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/memory"
	"github.com/tokenboundary/tokenboundary/store/postgres"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func TestMemory(t *testing.T) {
	linear(t, 20, func(*testing.T) store.Store { return memory.New() })
}

func TestMemoryCoalesced(t *testing.T) {
	linear(t, 20, func(*testing.T) store.Store { return store.Coalesce(memory.New()) })
}

func openBolt(t *testing.T) store.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestBolt(t *testing.T) { linear(t, 10, openBolt) }

func TestBoltCoalesced(t *testing.T) {
	linear(t, 10, func(t *testing.T) store.Store { return store.Coalesce(openBolt(t)) })
}

// A few commits fail, and nobody is told that half of them were applied all the same.
func TestLostAnswers(t *testing.T) {
	linear(t, 10, func(*testing.T) store.Store { return &losing{Store: memory.New()} })
}

type losing struct {
	store.Store
	commits atomic.Int64
}

func (s *losing) Commit(ctx context.Context, txs []store.Tx) []error {
	switch s.commits.Add(1) {
	case 20, 60:
		return storetest.FailOn(s.Store, storetest.CommitLost, errors.New("lost")).Commit(ctx, txs)
	case 40, 80:
		return storetest.FailOn(s.Store, storetest.Commit, errors.New("failed")).Commit(ctx, txs)
	}
	return s.Store.Commit(ctx, txs)
}

// database returns the connection string of the server to test against.
func database(t *testing.T) string { return pgtest.DSN(t) }

var schemas atomic.Int64

// openNodes returns stores on one new schema, as several nodes open them.
func openNodes(t *testing.T, n int) []store.Store {
	t.Helper()
	dsn := database(t)
	opts := postgres.Options{Schema: fmt.Sprintf("tb_linear_%d_%d", os.Getpid(), schemas.Add(1)), MaxConns: clients / 2}
	require.NoError(t, postgres.Migrate(t.Context(), dsn, opts))
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+opts.Schema+" CASCADE")
		require.NoError(t, err)
	})
	out := make([]store.Store, n)
	for i := range out {
		s, err := postgres.Open(t.Context(), dsn, opts)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, s.Close()) })
		out[i] = s
	}
	return out
}

func TestPostgres(t *testing.T) {
	linear(t, 5, func(t *testing.T) store.Store { return openNodes(t, 1)[0] })
}

func TestPostgresCoalesced(t *testing.T) {
	linear(t, 5, func(t *testing.T) store.Store { return store.Coalesce(openNodes(t, 1)[0]) })
}

// Two nodes, each with its own queue of commits, are as linearizable as one.
func TestPostgresNodes(t *testing.T) {
	linear(t, 5, func(t *testing.T) store.Store {
		nodes := openNodes(t, 2)
		return &spread{of: [2]store.Store{store.Coalesce(nodes[0]), store.Coalesce(nodes[1])}}
	})
}
