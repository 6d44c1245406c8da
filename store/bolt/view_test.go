package bolt

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func openNew(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func entriesIn(t *testing.T, s *Store, bucket string) (n int) {
	t.Helper()
	require.NoError(t, s.view(t.Context(), issuer, func(sp *space) error {
		if c := sp.cursor(bucket); c != nil {
			for key, _ := c.First(); key != nil; key, _ = c.Next() {
				n++
			}
		}
		return nil
	}))
	return n
}

// Expired heads are removed a bounded number at a time, and each Expires has one entry, however often it was moved.
func TestExpiredHeadsAreForgotten(t *testing.T) {
	s := openNew(t, filepath.Join(t.TempDir(), "store"))
	const n = 2*maxForget + 10
	var txs []store.Tx
	for i := range n {
		for v := range uint64(3) {
			txs = append(txs, store.Tx{Issuer: issuer, Time: epoch, Swaps: []store.Swap{
				{Key: fmt.Sprint(i), Version: v, Expires: epoch.Add(time.Duration(v+1) * time.Minute)},
			}})
		}
	}
	for _, err := range s.Commit(t.Context(), txs) {
		require.NoError(t, err)
	}
	require.Equal(t, n, entriesIn(t, s, headsBucket))
	require.Equal(t, n, entriesIn(t, s, expiryBucket))
	tick := []store.Tx{{Issuer: issuer, Time: epoch.Add(3 * time.Minute)}}
	for _, left := range []int{n, n} { // the moment itself is not after it
		require.NoError(t, s.Commit(t.Context(), tick)[0])
		require.Equal(t, left, entriesIn(t, s, headsBucket))
	}
	tick[0].Time = tick[0].Time.Add(time.Millisecond)
	for _, left := range []int{n - maxForget, n - 2*maxForget, 0, 0} {
		require.NoError(t, s.Commit(t.Context(), tick)[0])
		require.Equal(t, left, entriesIn(t, s, headsBucket))
		require.Equal(t, left, entriesIn(t, s, expiryBucket))
	}
}

// Damage that one transaction meets fails the commit for all, and nothing of any is kept.
func TestDamageFailsTheWholeCommit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{txOf(record(t, alice))})[0])
	require.NoError(t, s.Close())
	edit(t, path, func(b *bbolt.Bucket, name string, key, value []byte) {
		if name == marksBucket {
			value[len(value)-1] ^= 1
			require.NoError(t, b.Put(key, value))
		}
	})
	s = openNew(t, path)
	before := store.Tx{Issuer: issuer, Time: epoch, Swaps: []store.Swap{{Key: "before"}}}
	require.NoError(t, s.Commit(t.Context(), []store.Tx{before})[0])
	good := store.Tx{Issuer: issuer, Time: epoch, Swaps: []store.Swap{{Key: "good"}}}
	bad := store.Tx{Issuer: issuer, Time: epoch, Unrevoked: []store.Unrevoked{{Selectors: []lineage.Selector{alice}, Since: epoch}}}
	errs := s.Commit(t.Context(), []store.Tx{good, bad, good})
	for _, err := range errs {
		require.ErrorIs(t, err, errDamaged)
	}
	heads, err := s.Heads(t.Context(), issuer, []string{"good", "before"})
	require.NoError(t, err)
	require.Zero(t, heads[0].Version)
	require.Equal(t, uint64(1), heads[1].Version, "what was committed before is there")
	require.Equal(t, []error{nil}, s.Commit(t.Context(), []store.Tx{good}), "the store goes on")
}

// A commit that changes nothing costs no write: a replayed credential must not buy a sync.
func TestNothingToWriteIsNotWritten(t *testing.T) {
	s := openNew(t, filepath.Join(t.TempDir(), "store"))
	r := record(t)
	tx := txOf(r)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
	version := func() uint32 { return s.log.frames }
	before := version()
	replay := store.Tx{Issuer: issuer, Time: epoch.Add(time.Hour), Swaps: tx.Swaps}
	require.ErrorIs(t, s.Commit(t.Context(), []store.Tx{replay})[0], store.ErrConflict)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0], "a repeat")
	require.ErrorIs(t, s.Commit(t.Context(), []store.Tx{{Issuer: "another", Time: epoch, Swaps: []store.Swap{{Version: 1}}}})[0], store.ErrConflict)
	require.Equal(t, before, version())
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch.Add(time.Second)}})[0])
	require.Equal(t, before+1, version(), "the control: a later time is written")
}

// A revocation is one small frame of the log, and later a few pages of the store, whatever descends from what it cuts.
func TestRevocationIsOneSmallWrite(t *testing.T) {
	pages := func(derived int) int64 {
		s := openNew(t, filepath.Join(t.TempDir(), "store"))
		var txs []store.Tx
		for range derived {
			txs = append(txs, store.Tx{Issuer: issuer, Time: epoch, Records: []lineage.Record{record(t, alice)}})
		}
		for len(txs) > 0 {
			n := min(len(txs), 200)
			for _, err := range s.Commit(t.Context(), txs[:n]) {
				require.NoError(t, err)
			}
			txs = txs[n:]
		}
		require.NoError(t, s.checkpoint(newGeneration()))
		before := s.db.Stats().TxStats
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Revocations: txOf().Revocations}})[0])
		require.Equal(t, uint32(1), s.log.frames)
		require.Less(t, s.log.size, int64(1000))
		require.NoError(t, s.checkpoint(newGeneration()))
		after := s.db.Stats().TxStats
		diff := after.Sub(&before)
		return diff.GetWrite()
	}
	few, many := pages(10), pages(2000)
	t.Log(few, many)
	require.LessOrEqual(t, many, few+4)
	require.Less(t, many, int64(15))
}
