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

const forgetIssuer = "https://boundary.example"

func monthly(t *testing.T, at time.Time) lineage.Record {
	t.Helper()
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: forgetIssuer, IssuedAt: at, Since: at, ExpiresAt: at.Add(time.Hour)},
		lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials", Selectors: []lineage.Selector{
			{Kind: lineage.SelectSubject, Value: "alice"},
		}})
	require.NoError(t, err)
	return r
}

func partitionsOf(t *testing.T, opts postgres.Options) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	rows, err := conn.Query(t.Context(), `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relispartition AND c.relkind = 'r' ORDER BY 1`, opts.Schema)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// A month goes with its space when nothing in it is left, of any issuer, and not before.
func TestAMonthOfWhichNothingIsLeftIsDropped(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	s := open(t, opts)
	march := time.Date(2026, 3, 10, 0, 0, 0, 0, time.UTC)
	require.NoError(t, postgres.Partition(t.Context(), database(t), opts, march, march.AddDate(0, 3, 0)))
	first, second, third := monthly(t, march), monthly(t, march.AddDate(0, 1, 0)), monthly(t, march.AddDate(0, 2, 0))
	for _, r := range []lineage.Record{first, second, third} {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: forgetIssuer, Time: r.IssuedAt, Records: []lineage.Record{r}}})[0])
	}
	late := march.AddDate(0, 2, 10)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: forgetIssuer, Time: late}})[0])
	drop := func(before time.Time) int {
		n, err := postgres.DropPartitions(t.Context(), database(t), opts, before)
		require.NoError(t, err)
		return n
	}
	require.Zero(t, drop(late), "all hold something, or are not over")
	require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: forgetIssuer, Records: []lineage.ID{first.ID()}, Bodies: []lineage.ID{second.ID()}}))
	require.Zero(t, drop(march), "it is not over")
	require.Equal(t, 1, drop(late))
	require.Equal(t, []string{
		"carriers_202604", "carriers_202605", "carriers_202606", "carriers_rest",
		"records_202604", "records_202605", "records_202606", "records_rest",
	}, partitionsOf(t, opts))
	require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: forgetIssuer, Records: []lineage.ID{second.ID()}}))
	require.Equal(t, 1, drop(late))
	var left []lineage.ID
	for r, err := range s.Records(t.Context(), forgetIssuer, store.Position{}) {
		require.NoError(t, err)
		left = append(left, r.ID())
	}
	require.Equal(t, []lineage.ID{third.ID()}, left)
	again := monthly(t, march) // one that comes late has a place all the same
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: forgetIssuer, Time: late, Leeway: 10000 * time.Hour, Records: []lineage.Record{again}}})[0])
	got, err := s.Get(t.Context(), forgetIssuer, []lineage.ID{again.ID()})
	require.NoError(t, err)
	require.True(t, got[0].Record.Equal(again))
}

// A slice is found by an index, however many records there are.
func TestTheOldestRecordsAreFoundByAnIndex(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	open(t, opts)
	conn, err := pgx.Connect(t.Context(), database(t))
	require.NoError(t, err)
	defer conn.Close(context.WithoutCancel(t.Context()))
	_, err = conn.Exec(t.Context(), "SET enable_seqscan = off")
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `EXPLAIN SELECT envelope, body, issued, id FROM `+opts.Schema+`.records
		WHERE issuer = 1 AND issued >= '2026-01-01' AND (issued, id) > ('2026-01-01', '\x') ORDER BY issued, id LIMIT 256`)
	require.NoError(t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Contains(t, plan[1], "Index Scan using records_rest_issuer_issued_id_idx", "%v", plan)
	for _, line := range plan {
		require.NotContains(t, line, "Sort")
	}
}
