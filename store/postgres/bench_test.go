package postgres_test

import (
	"context"
	"flag"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

var (
	recorded = flag.Int("recorded", 10_000, "among how many records BenchmarkStore looks for one")
	drop     = flag.String("without", "", "an index that BenchmarkStore does without, to see what it costs")
)

func BenchmarkStore(b *testing.B) {
	schemas := map[store.Store]string{}
	ask := func(b *testing.B, sql string, into ...any) {
		b.Helper()
		conn, err := pgx.Connect(b.Context(), database(b))
		require.NoError(b, err)
		defer conn.Close(context.WithoutCancel(b.Context())) //nolint:errcheck // a test
		if len(into) == 0 {
			_, err = conn.Exec(b.Context(), sql)
		} else {
			err = conn.QueryRow(b.Context(), sql).Scan(into...)
		}
		require.NoError(b, err)
	}
	storetest.Bench(b, func(b *testing.B) store.Store {
		opts := postgres.Options{Schema: schema(b)}
		s := open(b, opts)
		if schemas[s] = opts.Schema; *drop != "" {
			ask(b, "DROP INDEX "+opts.Schema+"."+*drop)
		}
		return s
	}, storetest.Measured{Recorded: []int{*recorded}, Size: func(b *testing.B, s store.Store) (size int64) {
		b.Helper()
		ask(b, `SELECT sum(pg_total_relation_size(c.oid))::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
			WHERE n.nspname = '`+schemas[s]+`' AND c.relkind = 'r'`, &size)
		return size
	}})
}
