package postgres_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// Two nodes behind one PgBouncer that gives each transaction another of its few connections. What they send it is cut at will.
func TestStoreBehindPgBouncer(t *testing.T) {
	t.Parallel()
	b, g := bounced(t, "transaction", "default_pool_size = 3"), newGround(t, nil)
	wires := map[store.Store]*wire{}
	opts := postgres.Options{Pooled: true}
	storetest.Run(t, func(t *testing.T) store.Store {
		w, dsn := newWire(t, b.dsn())
		s := g.open(t, dsn, opts)
		wires[s] = w
		return s
	}, storetest.Options{
		Repeats: true,
		Looks:   true,
		Forgets: forgets,
		Another: func(t *testing.T, _ store.Store) store.Store { return g.another(t, b.dsn(), opts) },
		Break: func(_ *testing.T, s store.Store, n int, arrives bool) func() bool {
			mend := wires[s].breaks(n, arrives)
			return func() bool {
				broke := mend()
				b.quiet(g.conn)
				return broke
			}
		},
	})
}

// What was confirmed through a PgBouncer outlives it and the store.
func TestDurableBehindPgBouncer(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("repeats the kit behind a proxy")
	}
	b, places := bounced(t, "transaction", "default_pool_size = 2"), map[string]string{}
	storetest.RunDurable(t, func(t *testing.T, dir string) (store.Store, func()) {
		opts := postgres.Options{Schema: places[dir], Pooled: true}
		if opts.Schema == "" {
			opts.Schema = schema(t)
			places[dir] = opts.Schema
			require.NoError(t, postgres.Migrate(t.Context(), b.dsn(), opts), "a migration is one transaction, and passes too")
		}
		s, err := postgres.Open(t.Context(), b.dsn(), opts)
		require.NoError(t, err)
		return s, func() {
			b.kill()
			require.NoError(t, s.Close())
			b.start()
		}
	})
}
