package main_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/store/postgres"
)

// onPostgres returns what a server on a database needs, with these keys of its store; dsn_file is dsn.secret.
func onPostgres(t testing.TB, dsn, keys string) *world {
	t.Helper()
	w := flows(t, newKey(t, "idp-1"))
	w.write("dsn.secret", dsn+"\n")
	w.write("boundary.yaml", strings.Replace(flowConfiguration, "{bolt: {path: boundary.db}}", "{postgres: {"+keys+"}}", 1))
	return w
}

// role makes a role that may connect and nothing else, until the test ends, and returns its name and a connection string.
func role(t testing.TB, schema string) (name, dsn string) {
	t.Helper()
	name = schema + "_role"
	execute(t, "CREATE ROLE "+name+" LOGIN PASSWORD 'the-password-of-the-role'")
	t.Cleanup(func() { execute(t, "DROP OWNED BY "+name, "DROP ROLE "+name) })
	canaries.Plant("password of the role", "the-password-of-the-role")
	u, err := url.Parse(database(t))
	require.NoError(t, err)
	u.User = url.UserPassword(name, "the-password-of-the-role")
	return name, u.String()
}

// TestTheRoleThatServesNeedsNoMoreThanItIsGranted: the grants of docs/operations.md are enough, and less is a clear error.
func TestTheRoleThatServesNeedsNoMoreThanItIsGranted(t *testing.T) {
	schema := newSchema(t)
	name, dsn := role(t, schema)
	w := onPostgres(t, dsn, "dsn_file: dsn.secret, schema: "+schema+", migrate: false")
	config := string(w.file("boundary.yaml"))
	fails := func(want string) {
		t.Helper()
		_, stderr, code := command(t, "serve", "--config", w.config())
		require.Equal(t, 1, code)
		require.Equal(t, 1, strings.Count(stderr, "\n"), stderr)
		require.True(t, strings.HasPrefix(stderr, "tokenboundary: "+w.config()+":3: store: postgres: "), stderr)
		require.Contains(t, stderr, want)
		require.NotContains(t, stderr, "the-password")
	}
	fails("there is no schema " + schema + ": run the migration first")
	w.write("boundary.yaml", strings.Replace(config, ", migrate: false", "", 1))
	fails("this role may not migrate; let one that owns the schema do it, and say migrate: false here")

	require.NoError(t, postgres.Migrate(t.Context(), database(t), postgres.Options{Schema: schema}))
	w.write("boundary.yaml", config)
	fails("permission denied for schema " + schema)
	execute(t,
		"GRANT USAGE ON SCHEMA "+schema+" TO "+name,
		"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA "+schema+" TO "+name)
	w.start()
	alice := w.hold("alice")
	w.requireActive(w.token(derive(alice.token, "cases:read"), as("tool"))["access_token"])
	w.token(refresh(alice.refresh, ""), as("agent"))
	w.signalled(map[string]any{"env": map[string]any{"tenant_frozen": true}})
	w.requireDead(alice.token)
	w.end()
	require.Empty(t, monthsOf(t, schema), "partitions are for who owns the tables")

	execute(t, "UPDATE "+schema+".meta SET version = version + 1")
	fails("this program knows 2")
	execute(t, "UPDATE "+schema+".meta SET version = version - 1")
	w.start()
	w.end()
}

// file returns the content of a file of the directory.
func (w *world) file(name string) []byte {
	w.t.Helper()
	raw, err := os.ReadFile(filepath.Join(w.dir, name))
	require.NoError(w.t, err)
	return raw
}

// monthsOf returns the partitions that records have beside that of the rest.
func monthsOf(t testing.TB, schema string) []string {
	t.Helper()
	return query(t, "SELECT table_name::text FROM information_schema.tables WHERE table_schema = '"+schema+
		"' AND table_name LIKE 'records_2%' ORDER BY table_name")
}

// TestPartitionsAreKeptAhead: of the present month and the two after it.
func TestPartitionsAreKeptAhead(t *testing.T) {
	schema := newSchema(t)
	w := node(t, schema, newKey(t, "idp-1")).start()
	now := time.Now().UTC()
	first := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	var want []string
	for n := range 3 {
		want = append(want, "records_"+first.AddDate(0, n, 0).Format("200601"))
	}
	require.Equal(t, want, monthsOf(t, schema))
	w.requireActive(w.hold("alice").token)
	require.NotEmpty(t, query(t, "SELECT encode(id, 'hex') FROM "+schema+"."+want[0]))
	w.end()
	w.start() // they are there already
	w.end()
	require.NotContains(t, w.text(), "no partition of their own")
}

// TestAConnectionStringIsNeverShown: whatever is wrong with it. In a file, and in the configuration itself.
func TestAConnectionStringIsNeverShown(t *testing.T) {
	good, _ := withPassword(t)
	const secret = "a-password-that-nobody-may-see"
	canaries.Plant("password in a connection string", secret)
	for name, c := range map[string]struct{ dsn, want string }{
		"nobody there":     {"postgres://serve:" + secret + "@127.0.0.1:1/test?sslmode=disable", "cannot connect to 127.0.0.1:1: "},
		"no such database": {strings.Replace(good, "/test?", "/none-"+secret[:4]+"?password="+secret+"&", 1), `does not exist`},
		"no such option":   {"postgres://serve:" + secret + "@127.0.0.1/test?sslmode=" + secret, "not a connection string"},
		"not one":          {secret, "not a connection string"},
		"half of one":      {"password=" + secret + " host", "not a connection string"},
		"a bad port":       {"postgres://serve:" + secret + "@127.0.0.1:x" + secret + "/test", "not a connection string"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, keys := range []string{"dsn_file: dsn.secret", "dsn: '" + c.dsn + "'", "dsn_file: dsn.secret, migrate: false"} {
				w := onPostgres(t, c.dsn, keys)
				_, stderr, code := command(t, "serve", "--config", w.config(), "--debug")
				require.Equal(t, 1, code)
				require.Contains(t, stderr, ":3: store: postgres: ")
				require.Contains(t, stderr, c.want)
				require.NotContains(t, stderr, secret)
			}
		})
	}
	w := onPostgres(t, "x", "dsn: '"+good+"', schema: Upper")
	_, stderr, code := command(t, "serve", "--config", w.config())
	require.Equal(t, 1, code)
	require.Contains(t, stderr, "store: postgres: the schema's name is made of lower-case letters, digits and underscores")
}
