package postgres_test

import (
	"fmt"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// exec runs statements as whoever the connection string names.
func exec(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // a test
	for _, sql := range statements {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
}

func TestOpenWantsThisVersionOfTheSchema(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	_, err := postgres.Open(t.Context(), database(t), opts)
	require.EqualError(t, err, "postgres: there is no schema "+opts.Schema+": run the migration first")
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts), "what is done is not done again")
	s, err := postgres.Open(t.Context(), database(t), opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())

	exec(t, database(t), "UPDATE "+opts.Schema+".meta SET version = 0")
	_, err = postgres.Open(t.Context(), database(t), opts)
	require.ErrorContains(t, err, "the schema has version 0, older than 2: run the migration first")

	exec(t, database(t), "UPDATE "+opts.Schema+".meta SET version = 99")
	_, err = postgres.Open(t.Context(), database(t), opts)
	require.ErrorContains(t, err, "the schema has version 99; this program knows 2")
	require.ErrorContains(t, postgres.Migrate(t.Context(), database(t), opts), "the schema has version 99; this program knows 2")
}

// A migration that cannot go on leaves nothing behind.
func TestAMigrationIsWholeOrNothing(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	exec(t, database(t), "CREATE SCHEMA "+opts.Schema, "CREATE TABLE "+opts.Schema+".marks (in_the_way int)")
	require.ErrorContains(t, postgres.Migrate(t.Context(), database(t), opts), "already exists")
	_, err := postgres.Open(t.Context(), database(t), opts)
	require.ErrorContains(t, err, "run the migration first")
	exec(t, database(t), "DROP TABLE "+opts.Schema+".marks")
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts), "nor did it leave anything in its own way")
}

func TestNodesMayMigrateAtOnce(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), database(t), opts); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := postgres.Open(t.Context(), database(t), opts)
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// The role that serves owns nothing, and is no superuser.
func TestARoleOfFewRights(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	role := opts.Schema + "_role"
	exec(t, database(t), "CREATE ROLE "+role+" LOGIN PASSWORD 'of-few-rights'", "GRANT USAGE ON SCHEMA "+opts.Schema+" TO "+role,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+opts.Schema+" TO "+role)
	defer exec(t, database(t), "DROP OWNED BY "+role, "DROP ROLE "+role)
	dsn, err := url.Parse(database(t))
	require.NoError(t, err)
	dsn.User = url.UserPassword(role, "of-few-rights")
	s, err := postgres.Open(t.Context(), dsn.String(), opts)
	require.NoError(t, err)
	defer s.Close() //nolint:errcheck // a test
	now := time.Now()
	tx := store.Tx{Issuer: "https://b.example", Time: now, Leeway: time.Second, Swaps: []store.Swap{{Key: "k", State: "on"}}}
	require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{tx}))
	heads, err := s.Heads(t.Context(), tx.Issuer, []string{"k"})
	require.NoError(t, err)
	require.Equal(t, "on", heads[0].State)
	require.ErrorContains(t, postgres.Partition(t.Context(), dsn.String(), opts, now, now), "permission denied")
}

func TestOpenRefusesWhatCouldLoseOrNotWrite(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	require.NoError(t, postgres.Migrate(t.Context(), database(t), opts))
	for _, c := range []struct{ setting, value, why string }{
		{"synchronous_commit", "off", "synchronous_commit is off"},
		{"default_transaction_read_only", "on", "cannot be written"},
	} {
		dsn, err := url.Parse(database(t))
		require.NoError(t, err)
		q := dsn.Query()
		q.Set(c.setting, c.value)
		dsn.RawQuery = q.Encode()
		_, err = postgres.Open(t.Context(), dsn.String(), opts)
		require.ErrorContains(t, err, c.why)
	}
	_, err := postgres.Open(t.Context(), database(t), postgres.Options{Schema: `a"; DROP`})
	require.ErrorContains(t, err, "the schema's name")
}

// What goes wrong with a connection never says whom it was for.
func TestErrorsHoldNoPassword(t *testing.T) {
	database(t)
	for _, dsn := range []string{
		"postgres://who:canary-secret@127.0.0.1:1/test", "postgres://who:canary-secret@127.0.0.1:5432/nowhere%zz",
		"host=127.0.0.1 port=1 user=who password=canary-secret", "postgres://who:canary-secret@127.0.0.1:5432/no_such_database?sslmode=disable",
	} {
		_, err := postgres.Open(t.Context(), dsn, postgres.Options{})
		require.Error(t, err)
		require.NotContains(t, fmt.Sprintf("%+v", err), "canary-secret")
		err = postgres.Migrate(t.Context(), dsn, postgres.Options{})
		require.Error(t, err)
		require.NotContains(t, fmt.Sprintf("%+v", err), "canary-secret")
	}
}

func TestPartitionLeavesRecordsWhereTheyAre(t *testing.T) {
	opts := postgres.Options{Schema: schema(t)}
	s := open(t, opts)
	require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{recordTx(t, march, "a")}))
	require.EqualError(t, postgres.Partition(t.Context(), database(t), opts, march, march.AddDate(0, 1, 0)), "postgres: 2026-03 has records already")
	require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{recordTx(t, march.AddDate(0, 1, 0), "b")}))
	for table, want := range map[string]int{"records_rest": 1, "records_202604": 1} {
		conn, err := pgx.Connect(t.Context(), database(t))
		require.NoError(t, err)
		var n int
		require.NoError(t, conn.QueryRow(t.Context(), "SELECT count(*) FROM "+opts.Schema+"."+table).Scan(&n))
		require.Equal(t, want, n, table)
		require.NoError(t, conn.Close(t.Context()))
	}
}
