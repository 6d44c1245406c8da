package bolt_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/bolt"
	"github.com/tokenboundary/tokenboundary/store/storetest"
)

func openNew(t testing.TB) *bolt.Store {
	t.Helper()
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return openNew(t) }, storetest.Options{Lingers: true, Forgets: true})
}

func TestStoreCoalesced(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store { return store.Coalesce(openNew(t)) }, storetest.Options{Repeats: true, Forgets: true})
}

// Every few commits are a checkpoint.
func TestStoreOverCheckpoints(t *testing.T) {
	storetest.Run(t, func(t *testing.T) store.Store {
		s := openNew(t)
		s.LimitLog(1000)
		return s
	}, storetest.Options{Repeats: true, Lingers: true, Forgets: true})
}

func TestDurable(t *testing.T) {
	storetest.RunDurable(t, func(t *testing.T, dir string) (store.Store, func()) {
		s, err := bolt.Open(filepath.Join(dir, "store"))
		require.NoError(t, err)
		return s, func() { require.NoError(t, s.Close()) }
	})
}

func TestOpenMakesAPrivateFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := bolt.Open(path)
	require.NoError(t, err)
	defer s.Close()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestOpenRefusesASecondStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := bolt.Open(path)
	require.NoError(t, err)
	_, err = bolt.Open(path, bolt.Options{LockTimeout: time.Millisecond})
	require.ErrorIs(t, err, bolt.ErrLocked)
	require.EqualError(t, err, "bolt: "+path+": already open")
	require.NoError(t, s.Close())

	s, err = bolt.Open(path)
	require.NoError(t, err, "the lock outlives the store that held it")
	require.NoError(t, s.Close())
}

func TestOpenRefusesWhatIsNoStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	refused := func(want string) {
		t.Helper()
		before, err := os.ReadFile(path)
		require.NoError(t, err)
		_, err = bolt.Open(path)
		require.ErrorContains(t, err, want)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after, "a refused file was changed")
	}
	for _, size := range []int{1, 100, 5000, 100_000} {
		require.NoError(t, os.WriteFile(path, make([]byte, size), 0o600))
		refused("is not a store")
	}
	require.NoError(t, os.Remove(path))
	other := func(fill func(tx *bbolt.Tx) error) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		require.NoError(t, err)
		require.NoError(t, db.Update(fill))
		require.NoError(t, db.Close())
	}
	other(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("photos")); return err })
	refused("is a bbolt file of another program")

	require.NoError(t, os.Remove(path))
	s, err := bolt.Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	other(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("tokenboundary")).Put([]byte("format"), []byte("4")) })
	refused(`has format version "4", and this program knows only 3`)
	other(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("tokenboundary")).Put([]byte("format"), nil) })
	refused(`has format version ""`)

	_, err = bolt.Open(filepath.Join(path, "below", "a", "file"))
	require.Error(t, err)
}

func TestClosedStoreFails(t *testing.T) {
	s, err := bolt.Open(filepath.Join(t.TempDir(), "store"))
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "a second Close")
	tx := store.Tx{Issuer: "i", Time: time.Unix(1, 0)}
	for _, err := range s.Commit(t.Context(), []store.Tx{tx, tx}) {
		require.ErrorContains(t, err, "the store is closed")
	}
	_, err = s.Get(t.Context(), "i", nil)
	require.ErrorContains(t, err, "the store is closed")
	for _, err := range s.Feed(t.Context(), "i", 0) {
		require.ErrorContains(t, err, "the store is closed")
	}
	for _, err := range s.Scan(t.Context(), "i", lineage.Selector{}, store.Position{}) {
		require.ErrorContains(t, err, "the store is closed")
	}
}
