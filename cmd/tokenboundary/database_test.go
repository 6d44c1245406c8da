package main_test

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/internal/canary"
	"github.com/tokenboundary/tokenboundary/internal/pgtest"
)

// database returns the connection string of the server to test against.
func database(t testing.TB) string { return pgtest.DSN(t) }

// execute runs statements on the test database.
func execute(t testing.TB, statements ...string) {
	t.Helper()
	ctx := context.Background() // also while the test ends
	conn, err := pgx.Connect(ctx, database(t))
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // each statement has been answered
	for _, sql := range statements {
		_, err := conn.Exec(ctx, sql)
		require.NoError(t, err, sql)
	}
}

// query returns the strings of the one column that a statement yields.
func query(t testing.TB, sql string) (out []string) {
	t.Helper()
	ctx := context.Background() // also while the test ends
	conn, err := pgx.Connect(ctx, database(t))
	require.NoError(t, err)
	defer conn.Close(ctx) //nolint:errcheck // only read
	rows, err := conn.Query(ctx, sql)
	require.NoError(t, err)
	out, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return out
}

var schemas atomic.Int64

// newSchema returns the name of a schema that nobody uses; it is searched for secrets and dropped when the test has ended.
func newSchema(t testing.TB) string {
	t.Helper()
	database(t)
	name := fmt.Sprintf("serve_%d_%d", os.Getpid(), schemas.Add(1))
	t.Cleanup(func() {
		for _, leak := range canaries.Find("the database", contentOf(t, name)) {
			t.Errorf("a secret has leaked: %s", leak)
		}
		execute(t, "DROP SCHEMA IF EXISTS "+name+" CASCADE")
	})
	return name
}

// contentOf returns what the tables of a schema hold, as far as it is of clients' making; nothing where there are none.
func contentOf(t testing.TB, schema string) string {
	t.Helper()
	if len(query(t, "SELECT nspname::text FROM pg_namespace WHERE nspname = '"+schema+"'")) == 0 {
		return ""
	}
	var all []string
	for table, columns := range map[string][]string{
		"issuers": {"name"}, "records": {"envelope", "body"}, "heads": {"key", "state", "value"}, "revocations": {"kind", "value", "reason", "by"},
	} {
		for _, column := range columns {
			all = append(all, query(t, fmt.Sprintf("SELECT encode(coalesce(%s, ''), 'escape') FROM %s.%s", column, schema, table))...)
		}
	}
	return strings.Join(all, "\x00")
}

// TestTheDatabaseHoldsNoSecret: the control of the search of a schema, which finds what is in the store by contract.
func TestTheDatabaseHoldsNoSecret(t *testing.T) {
	schema := newSchema(t)
	w := node(t, schema, newKey(t, "idp-1")).start()
	const purpose, reason = "a-purpose-that-is-recorded", "a-reason-that-is-recorded"
	out := w.token(taskOf(w.exchange("alice", "cases:read"), purpose), as("agent"))
	w.token(refresh(out["refresh_token"], ""), as("agent"))
	w.revoke(map[string]any{"selector": "subject:alice", "reason": reason})
	k := &canary.Keeper{}
	k.Plant("the purpose", purpose)
	k.Plant("the reason", reason)
	require.Len(t, k.Find("the database", contentOf(t, schema)), 2)
	require.Len(t, query(t, "SELECT encode(value, 'escape') FROM "+schema+".heads WHERE encode(key, 'escape') LIKE 'serve:mark:%'"), 1)
}

// withPassword returns a connection string of the test database that has a password, and the password. A server that trusts
// whoever connects does not look at it.
func withPassword(t testing.TB) (dsn, password string) {
	t.Helper()
	dsn = database(t)
	cfg, err := pgx.ParseConfig(dsn)
	require.NoError(t, err)
	if cfg.Password != "" {
		return dsn, cfg.Password
	}
	password = "the-password-of-the-database"
	if u, err := url.Parse(dsn); err == nil && u.Scheme != "" {
		u.User = url.UserPassword(u.User.Username(), password)
		return u.String(), password
	}
	return dsn + " password=" + password, password
}
