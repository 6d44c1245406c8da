package bolt

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// numbered returns the n-th of a row of transactions. Each writes a record, a head, a count and a revocation.
func numbered(t *testing.T, n int) store.Tx {
	t.Helper()
	at := epoch.Add(time.Duration(n) * time.Second)
	session := lineage.Selector{Kind: lineage.SelectSession, Value: fmt.Sprint(n)}
	return store.Tx{
		Issuer: issuer, Time: at, Records: []lineage.Record{recordAt(t, at, alice, session)},
		Swaps:       []store.Swap{{Key: session.String(), State: "on", Expires: at.Add(time.Hour)}},
		Adds:        []store.Add{{Key: "count", N: 1, Max: 1 << 40}},
		Revocations: []lineage.Revocation{{Selector: session, At: at}},
	}
}

// crash returns the path of a copy of what is on the disk of the open store at path.
func crash(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "store")
	for _, suffix := range []string{"", logSuffix} {
		data, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to+suffix, data, 0o600))
	}
	return to
}

// reopen opens the store at path, quickly.
func reopen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := open(path, bbolt.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

// requireNumbered requires that the store has just the first n of txs, each of them whole.
func requireNumbered(t *testing.T, s *Store, txs []store.Tx, n int) {
	t.Helper()
	var all []lineage.Record
	for i, tx := range txs {
		r, key := tx.Records[0], tx.Swaps[0].Key
		e, err := s.Get(t.Context(), issuer, []lineage.ID{r.ID()})
		require.NoError(t, err)
		heads, err := s.Heads(t.Context(), issuer, []string{key})
		require.NoError(t, err)
		if i >= n {
			require.True(t, e[0].Record.ID().IsZero(), "transaction %d of %d is there", i, n)
			require.Zero(t, heads[0].Version)
			continue
		}
		require.True(t, e[0].Record.Equal(r), "transaction %d of %d is not there", i, n)
		require.Len(t, e[0].Marks, 1)
		require.Len(t, e[0].Heads, 1)
		require.Equal(t, "on", heads[0].State)
		all = append(all, r)
	}
	requireScan(t, s, all, alice, store.Position{})
	count, err := s.Heads(t.Context(), issuer, []string{"count"})
	require.NoError(t, err)
	require.Equal(t, uint64(n), count[0].Count)
	seq := uint64(0)
	for r, err := range s.Feed(t.Context(), issuer, 0) {
		require.NoError(t, err)
		seq++
		require.Equal(t, seq, r.Seq)
	}
	require.Equal(t, uint64(n), seq)
}

// Whenever the process ends, what was acknowledged is there, and nothing else: before, at and after a checkpoint.
func TestACrashLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s := reopen(t, path)
	s.LimitLog(6000)
	var txs []store.Tx
	checkpoints := map[generation]bool{}
	for n := range 30 {
		txs = append(txs, numbered(t, n))
	}
	for n := range txs {
		require.NoError(t, s.Commit(t.Context(), txs[n:n+1])[0])
		checkpoints[s.log.generation] = true
		after := reopen(t, crash(t, path))
		requireNumbered(t, after, txs, n+1)
	}
	require.Greater(t, len(checkpoints), 3, "control: the log was begun anew")
	data, err := os.ReadFile(path + logSuffix)
	require.NoError(t, err)
	require.Greater(t, int64(len(data)), s.log.size, "control: frames of earlier generations lie behind those that count")
	requireNumbered(t, s, txs, len(txs))
	require.NoError(t, s.Close())
	requireNumbered(t, reopen(t, path), txs, len(txs))
}

// afterCrash returns a crashed store with a log of three commits, and where each frame ends.
func afterCrash(t *testing.T) (path string, txs []store.Tx, ends []int64) {
	t.Helper()
	original := filepath.Join(t.TempDir(), "store")
	s := reopen(t, original)
	for n := range 3 {
		txs = append(txs, numbered(t, n))
		require.NoError(t, s.Commit(t.Context(), txs[n:])[0])
		ends = append(ends, s.log.size)
	}
	return crash(t, original), txs, ends
}

// A log that was cut anywhere has the commits that are whole in it.
func TestACutLog(t *testing.T) {
	path, txs, ends := afterCrash(t)
	log, err := os.ReadFile(path + logSuffix)
	require.NoError(t, err)
	for n := 0; n <= len(log); n++ {
		if n%37 != 0 && n != len(log) && int64(n+1) != ends[1] && int64(n) != ends[1] {
			continue
		}
		cut := crash(t, path)
		require.NoError(t, os.WriteFile(cut+logSuffix, log[:n], 0o600))
		whole := 0
		for whole < len(ends) && ends[whole] <= int64(n) {
			whole++
		}
		requireNumbered(t, reopen(t, cut), txs, whole)
	}
}

// A changed byte of the log is an error. Only in the last frame it is taken for a write that did not end.
func TestAChangedLog(t *testing.T) {
	path, txs, ends := afterCrash(t)
	log, err := os.ReadFile(path + logSuffix)
	require.NoError(t, err)
	for n := 0; n < len(log); n += 23 {
		changed := crash(t, path)
		log[n] ^= 4
		require.NoError(t, os.WriteFile(changed+logSuffix, log, 0o600))
		log[n] ^= 4
		if int64(n) >= ends[1] {
			requireNumbered(t, reopen(t, changed), txs, 2)
			continue
		}
		_, err := open(changed, bbolt.Options{NoSync: true})
		require.ErrorIs(t, err, errDamaged)
		_, err = open(changed, bbolt.Options{NoSync: true})
		require.ErrorIs(t, err, errDamaged, "a second Open")
		require.NoError(t, os.WriteFile(changed+logSuffix, log, 0o600))
		requireNumbered(t, reopen(t, changed), txs, 3)
	}
}

func TestAStoreWithoutItsLogIsRefused(t *testing.T) {
	path, txs, _ := afterCrash(t)
	require.NoError(t, os.Rename(path+logSuffix, path+".away"))
	_, err := Open(path)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Rename(path+".away", path+logSuffix))
	s, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoFileExists(t, path+logSuffix, "a closed store is one file")
	requireNumbered(t, reopen(t, path), txs, 3)
	info, err := os.Stat(path + logSuffix)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

func TestAFailedWriteOfTheLogStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	txs := []store.Tx{numbered(t, 0), numbered(t, 1)}
	require.NoError(t, s.Commit(t.Context(), txs[:1])[0])
	require.NoError(t, s.log.file.Close())
	err = s.Commit(t.Context(), txs[1:])[0]
	require.ErrorIs(t, err, os.ErrClosed)
	require.ErrorContains(t, err, "a write failed and the store has stopped")
	_, got := s.Get(t.Context(), issuer, nil)
	require.Equal(t, err, got)
	require.Equal(t, err, s.Commit(t.Context(), txs[:1])[0])
	_ = s.Close()
	requireNumbered(t, reopen(t, path), txs, 1)
}

func FuzzReadFrames(f *testing.F) {
	g := generation{1}
	file, err := os.Create(filepath.Join(f.TempDir(), "log"))
	require.NoError(f, err)
	l := logFile{file: file, generation: g}
	require.NoError(f, l.append(nil))
	require.NoError(f, l.append(appendLogged(nil, logged{bucket: headsBucket, key: []byte("k"), value: []byte("v")})))
	data, err := os.ReadFile(l.Name())
	require.NoError(f, err)
	f.Add(data)
	f.Add(data[:len(data)-1])
	f.Add(append(data, g[:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		contents, err := readFrames(data, g)
		if err != nil {
			require.Nil(t, contents)
			return
		}
		for i, content := range contents {
			_, number, rest := readFrame(data, g)
			require.Equal(t, uint32(i), number)
			require.True(t, bytes.HasPrefix(data, g[:]))
			data = rest
			for d := (decoder{rest: content}); len(d.rest) > 0 && !d.bad; {
				_ = d.logged()
			}
		}
	})
}
