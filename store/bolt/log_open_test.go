package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/store"
)

// Who waits for the store gets it when the one before has done with its log too.
func TestCloseLeavesTheNextLogAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := reopen(t, path)
	for n := range 150 {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{numbered(t, n)})[0])
		next := make(chan *Store)
		go func() {
			for {
				if s, err := open(path, bbolt.Options{NoSync: true, Timeout: 1}); err == nil {
					next <- s
					return
				} else if !errors.Is(err, ErrLocked) {
					t.Error(err)
					close(next)
					return
				}
			}
		}()
		require.NoError(t, s.Close())
		s = <-next
		require.NotNil(t, s)
		require.FileExists(t, path+logSuffix)
	}
	require.NoError(t, s.Close())
}

// A log is read only with the store that it belongs to, as it was when it was written.
func TestAnotherLogIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := reopen(t, path)
	txs := []store.Tx{numbered(t, 0), numbered(t, 1), numbered(t, 2)}
	require.NoError(t, s.Commit(t.Context(), txs[:1])[0])
	before := crash(t, path)
	require.NoError(t, s.checkpoint(newGeneration()))
	fresh := crash(t, path)
	require.NoError(t, s.Commit(t.Context(), txs[1:2])[0])
	after := crash(t, path)
	other, _, _ := afterCrash(t)

	mix := func(of, log string) string {
		mixed := filepath.Join(t.TempDir(), "store")
		for suffix, from := range map[string]string{"": of, logSuffix: log + logSuffix} {
			data, err := os.ReadFile(from)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(mixed+suffix, data, 0o600))
		}
		return mixed
	}
	for _, m := range []string{mix(before, after), mix(before, other), mix(fresh, other), mix(after, other)} {
		for range 2 {
			_, err := open(m, bbolt.Options{NoSync: true})
			require.ErrorContains(t, err, "is the log of another store, or of another time")
		}
	}
	requireNumbered(t, reopen(t, mix(fresh, before)), txs, 1)
	requireNumbered(t, reopen(t, mix(fresh, after)), txs, 2)
	requireNumbered(t, reopen(t, mix(after, after)), txs, 2)
}

func TestALogWithoutItsStoreIsRefused(t *testing.T) {
	path, txs, _ := afterCrash(t)
	require.NoError(t, os.Rename(path, path+".away"))
	for range 2 {
		_, err := Open(path)
		require.EqualError(t, err, "bolt: "+path+": is not there, but its log is: "+path+logSuffix)
	}
	require.NoError(t, os.Rename(path+".away", path))
	requireNumbered(t, reopen(t, path), txs, 3)

	empty := filepath.Join(t.TempDir(), "store")
	require.NoError(t, os.WriteFile(empty+logSuffix, nil, 0o600))
	requireNumbered(t, reopen(t, empty), nil, 0)
}

// A scan goes on over checkpoints.
func TestScanOverCheckpoints(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "store"))
	var txs []store.Tx
	for n := range 2*chunkEntries + 10 {
		txs = append(txs, numbered(t, n))
	}
	for i := 0; i < len(txs); i += 100 {
		s.Commit(t.Context(), txs[i:min(i+100, len(txs))])
	}
	s.LimitLog(0)
	n := 0
	for r, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
		require.NoError(t, err)
		require.True(t, r.Equal(txs[n].Records[0]))
		if n++; n%50 == 0 {
			before := s.log.generation
			late := store.Tx{Issuer: issuer, Time: txs[len(txs)-1].Time.Add(time.Duration(n) * time.Millisecond)}
			require.NoError(t, s.Commit(t.Context(), []store.Tx{late})[0])
			require.NotEqual(t, before, s.log.generation, "control: that was a checkpoint")
		}
	}
	require.Equal(t, len(txs), n)
}

// Where both of bbolt's own first pages are gone, it never lets go of its lock. Close does not wait for that.
func TestCloseAfterTheFileWasEmptied(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{numbered(t, 0)})[0])
	require.NoError(t, s.checkpoint(newGeneration()))
	require.NoError(t, os.Truncate(path, 0))
	require.ErrorIs(t, s.Commit(t.Context(), []store.Tx{numbered(t, 1)})[0], errDamaged)
	require.ErrorIs(t, s.Close(), errDamaged)
	require.ErrorIs(t, s.Close(), errDamaged)
}
