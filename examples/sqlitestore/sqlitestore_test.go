package sqlitestore_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/examples/sqlitestore"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

// open opens the store at path and closes it when the test ends.
func open(t testing.TB, path string) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	paths := map[store.Store]string{}
	storetest.Run(t, func(t *testing.T) store.Store {
		path := filepath.Join(t.TempDir(), "boundary.db")
		s := open(t, path)
		paths[s] = path
		return s
	}, storetest.Options{
		Lingers: true,
		Another: func(t *testing.T, s store.Store) store.Store { return open(t, paths[s]) },
	})
}

func TestStoreIsDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) (store.Store, func()) {
		s, err := sqlitestore.Open(t.Context(), filepath.Join(dir, "boundary.db"))
		require.NoError(t, err)
		return s, func() { require.NoError(t, s.Close()) }
	})
}

func TestStoreCoalesced(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		return store.Coalesce(open(t, filepath.Join(t.TempDir(), "boundary.db")))
	})
}

const issuer = "https://boundary.example"

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var alice = lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}

// adding is a Tx that adds a record of alice that carries other selectors as well.
func adding(t testing.TB, others ...lineage.Selector) store.Tx {
	t.Helper()
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: noon, Since: noon, ExpiresAt: noon.Add(time.Hour)},
		lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, Selectors: append(others, alice)})
	require.NoError(t, err)
	return store.Tx{Issuer: issuer, Time: noon, Records: []lineage.Record{r}}
}

func TestClosedStoreSaysSo(t *testing.T) {
	s, err := sqlitestore.Open(t.Context(), filepath.Join(t.TempDir(), "boundary.db"))
	require.NoError(t, err)
	tx := adding(t)
	require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{tx}))
	require.NoError(t, s.Close())
	require.EqualError(t, s.Commit(t.Context(), []store.Tx{tx})[0], "sqlitestore: sql: database is closed")
	entries, err := s.Get(t.Context(), issuer, []lineage.ID{tx.Records[0].ID()})
	require.EqualError(t, err, "sqlitestore: sql: database is closed")
	require.Nil(t, entries)
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	dir := t.TempDir()
	for name, statement := range map[string]string{
		"foreign.db": "CREATE TABLE accounts (id)",
		"newer.db":   "PRAGMA user_version = 1953431554",
	} {
		path := filepath.Join(dir, name)
		alter(t, path, statement)
		_, err := sqlitestore.Open(t.Context(), path)
		require.ErrorContains(t, err, "not a store with schema", name)
	}
	text := filepath.Join(dir, "text")
	require.NoError(t, os.WriteFile(text, []byte("anything but a database, and longer than its header would be"), 0o600))
	_, err := sqlitestore.Open(t.Context(), text)
	require.ErrorContains(t, err, "not a database")
	_, err = sqlitestore.Open(t.Context(), filepath.Join(dir, "none", "boundary.db"))
	require.ErrorContains(t, err, "unable to open database file")
}

// alter runs a statement on the database at path, beside the store.
func alter(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	require.NoError(t, err)
	_, err = db.Exec(statement)
	require.NoError(t, errors.Join(err, db.Close()))
}

// SQLite ignores a setting whose name it does not know.
func TestCommitsWaitForTheDisk(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "boundary.db"))
	for name, want := range map[string]string{"synchronous": "3", "fullfsync": "1", "journal_mode": "wal", "busy_timeout": "10000"} {
		got, err := s.Setting(name)
		require.NoError(t, err)
		require.Equal(t, want, got, name)
	}
	_, err := s.Setting("synchronuos")
	require.Error(t, err, "control")
}

func TestFilesAreTheOwners(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a name with % and ?.db"))
	require.NoError(t, s.Commit(t.Context(), []store.Tx{adding(t)})[0])
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, files, 3, "the database, its log, and what its users share")
	for _, f := range files {
		info, err := f.Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), f.Name())
	}
}

// What is damaged is an error, and never a record less.
func TestDamageIsAnError(t *testing.T) {
	for name, damage := range map[string]string{
		"a byte":   "UPDATE records SET envelope = CAST(replace(envelope, x'61', x'62') AS BLOB)",
		"its body": "UPDATE records SET body = x'7b7d'",
		"the row":  "DELETE FROM records",
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "boundary.db")
			s, tx := open(t, path), adding(t)
			require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
			scan := func() (n int, err error) {
				for _, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
					if err != nil {
						return n, err
					}
					n++
				}
				return n, nil
			}
			n, err := scan()
			require.NoError(t, err)
			require.Equal(t, 1, n, "control")
			alter(t, path, damage)
			n, err = scan()
			require.ErrorContains(t, err, "lineage: not a record")
			require.Zero(t, n)
			if name != "the row" {
				_, err = s.Get(t.Context(), issuer, []lineage.ID{tx.Records[0].ID()})
				require.ErrorContains(t, err, "lineage: not a record")
			}
		})
	}
}
