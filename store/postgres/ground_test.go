package postgres_test

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// ground is one schema for many cases, one after the other: to make its tables costs more than all that a case does with them.
type ground struct {
	schema string
	conn   *pgx.Conn
	empty  string // the statement
}

// newGround makes a schema with its tables; prepare is done to it first.
func newGround(t *testing.T, prepare func(opts postgres.Options)) *ground {
	t.Helper()
	g := &ground{schema: schema(t)}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), postgres.Options{Schema: g.schema}))
	if prepare != nil {
		prepare(postgres.Options{Schema: g.schema})
	}
	ctx := context.WithoutCancel(t.Context())
	conn, err := pgx.Connect(ctx, database(t))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close(ctx)) })
	g.conn = conn
	rows, err := conn.Query(ctx, `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relname <> 'meta'`, g.schema)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(tables), 6)
	g.empty = "DELETE FROM " + strings.Join(tables, "; DELETE FROM ")
	return g
}

// clear makes the schema as it was when it was new. What is still under way in it is waited for.
func (g *ground) clear(t *testing.T) {
	t.Helper()
	_, err := g.conn.Exec(t.Context(), g.empty)
	require.NoError(t, err)
}

// open returns an empty store. No other may be open on the ground, but for those that share it.
func (g *ground) open(t *testing.T, dsn string, opts postgres.Options) *postgres.Store {
	t.Helper()
	g.clear(t)
	return g.another(t, dsn, opts)
}

// another returns one more store on what is there.
func (g *ground) another(t *testing.T, dsn string, opts postgres.Options) *postgres.Store {
	t.Helper()
	opts.Schema = g.schema
	s, err := postgres.Open(t.Context(), dsn, opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}
