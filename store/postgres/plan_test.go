package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// What is looked up is found by an index, also on a connection that was first used when the tables were empty, and where nobody
// has gathered statistics since: the database counts what it reads.
func TestALookupReadsNoMoreThanItFinds(t *testing.T) {
	const slices, each, gets = 40, 100, 50
	opts := postgres.Options{Schema: schema(t), MaxConns: 1, Silent: true}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	s, err := postgres.Open(t.Context(), database(t), opts)
	require.NoError(t, err)
	var last lineage.ID
	now := march
	put := func(n int) {
		var txs []store.Tx
		now = now.Add(time.Second)
		for range n {
			tx := recordTx(t, now, "c")
			tx.Swaps = []store.Swap{{Key: tx.Records[0].ID().String(), Expires: now.Add(20 * time.Second)}}
			last, txs = tx.Records[0].ID(), append(txs, tx)
		}
		for _, err := range s.Commit(t.Context(), txs) {
			require.NoError(t, err)
		}
	}
	look := func() {
		got, err := s.Get(t.Context(), issuer, []lineage.ID{last})
		require.NoError(t, err)
		require.Equal(t, last, got[0].Record.ID())
	}
	for range 12 { // more often than a connection takes to keep a plan
		put(1)
		look()
	}
	for range slices {
		put(each)
	}
	for range gets {
		look()
	}
	require.NoError(t, s.Close()) // and what the connection has counted is handed over
	conn, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context())) //nolint:errcheck // a test
	var inserted, read int64
	require.Eventually(t, func() bool {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT sum(n_tup_ins)::bigint, sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::bigint
			FROM pg_stat_user_tables WHERE schemaname = $1 AND relname IN ('records_rest', 'heads', 'marks')`, opts.Schema).Scan(&inserted, &read))
		return inserted >= 2*slices*each
	}, 20*time.Second, 20*time.Millisecond)
	require.Positive(t, read, "control")
	require.Less(t, read, 2*inserted, "each row is written, found when its time is over, and deleted once")
}
