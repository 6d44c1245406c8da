package postgres_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/pgtest"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// database returns the connection string of the server to test against.
func database(t testing.TB) string { return pgtest.DSN(t) }

var schemas atomic.Int64

// schema returns the name of a schema that nobody uses; it is dropped when the test ends.
func schema(t testing.TB) string {
	t.Helper()
	dsn := database(t)
	name := fmt.Sprintf("tb_%d_%d", os.Getpid(), schemas.Add(1))
	t.Cleanup(func() {
		ctx := context.Background()
		conn, err := pgx.Connect(ctx, dsn)
		require.NoError(t, err)
		defer conn.Close(ctx)
		_, err = conn.Exec(ctx, "DROP SCHEMA IF EXISTS "+name+" CASCADE")
		require.NoError(t, err)
	})
	return name
}

// open returns an empty store.
func open(t testing.TB, opts postgres.Options) *postgres.Store {
	t.Helper()
	if opts.Schema == "" {
		opts.Schema = schema(t)
	}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	s, err := postgres.Open(t.Context(), database(t), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// Two stores on one schema are two nodes. Each first one is behind a wire that can be cut.
func TestStore(t *testing.T) {
	t.Parallel()
	g, wires := newGround(t, nil), map[store.Store]*wire{}
	storetest.Run(t, func(t *testing.T) store.Store {
		w, dsn := newWire(t, database(t))
		s := g.open(t, dsn, postgres.Options{})
		wires[s] = w
		return s
	}, storetest.Options{
		Hints:   20 * time.Second,
		Looks:   true,
		Forgets: forgets,
		Another: func(t *testing.T, _ store.Store) store.Store { return g.another(t, database(t), postgres.Options{}) },
		Break: func(_ *testing.T, s store.Store, n int, arrives bool) func() bool {
			return wires[s].breaks(n, arrives)
		},
	})
}

var _, forgets = any((*postgres.Store)(nil)).(store.Forgetter)

// A store that prepares nothing keeps the same contract.
func TestStorePooled(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	storetest.Run(t, func(t *testing.T) store.Store { return g.open(t, database(t), postgres.Options{Pooled: true}) },
		storetest.Options{Repeats: true, Looks: true, Forgets: forgets})
}

func TestStoreCoalesced(t *testing.T) {
	t.Parallel()
	g := newGround(t, nil)
	storetest.Run(t, func(t *testing.T) store.Store { return store.Coalesce(g.open(t, database(t), postgres.Options{})) },
		storetest.Options{Repeats: true, Looks: true, Forgets: forgets})
}

// Records in partitions of their own months are found like those of the rest.
func TestStorePartitioned(t *testing.T) {
	t.Parallel()
	g := newGround(t, func(opts postgres.Options) {
		noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		require.NoError(t, postgres.Partition(t.Context(), database(t), opts, noon, noon.AddDate(0, 2, 0)))
	})
	storetest.Run(t, func(t *testing.T) store.Store { return g.open(t, database(t), postgres.Options{}) },
		storetest.Options{Repeats: true, Looks: true, Forgets: forgets})
}

func TestDurable(t *testing.T) {
	t.Parallel()
	places := map[string]string{}
	storetest.RunDurable(t, func(t *testing.T, dir string) (store.Store, func()) {
		if places[dir] == "" {
			places[dir] = schema(t)
		}
		opts := postgres.Options{Schema: places[dir]}
		require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
		s, err := postgres.Open(t.Context(), database(t), opts)
		require.NoError(t, err)
		return s, func() { require.NoError(t, s.Close()) }
	})
}
