package bolt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// late is when everything that tests make has expired.
var late = epoch.Add(10_000 * time.Hour)

func tick(t *testing.T, s *Store) {
	t.Helper()
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: late}})[0])
}

// checkpointed writes everything into the file.
func checkpointed(t *testing.T, s *Store) {
	t.Helper()
	before := s.log.generation
	s.LimitLog(1)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: late, Adds: []store.Add{{Key: "n", N: 1, Max: 1000}}}})[0])
	s.LimitLog(logLimit)
	require.NotEqual(t, before, s.log.generation)
}

func idsOf(records []lineage.Record) (out []lineage.ID) {
	for _, r := range records {
		out = append(out, r.ID())
	}
	return out
}

// requireTidy requires that every posting is of a block that has its selector, and the other way round.
func requireTidy(t *testing.T, s *Store) (postings int) {
	t.Helper()
	require.NoError(t, s.indexed(t.Context(), issuer, func(sp *space) error {
		have := map[posting]bool{}
		if c := sp.cursor(postingsBucket); c != nil {
			for key, _ := c.First(); key != nil; key, _ = c.Next() {
				have[posting(key)] = true
			}
		}
		postings = len(have)
		if c := sp.cursor(indexBucket); c != nil {
			for key, sealed := c.First(); key != nil; key, sealed = c.Next() {
				b, err := openBlock(key, sealed)
				require.NoError(t, err)
				for j := range b.selectors() {
					p := postingOf(b.digest(j), key)
					require.True(t, have[p], "a selector of a block without a posting")
					delete(have, p)
				}
			}
		}
		require.Empty(t, have, "postings of what is not in their block")
		return nil
	}))
	return postings
}

// Whatever is put, erased and forgotten, in whatever order, over checkpoints and crashes: scans see exactly what is left, and
// the index holds nothing else.
func TestIndexFollowsWhatIsForgotten(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			random := rand.New(rand.NewPCG(seed, 7))
			path := filepath.Join(t.TempDir(), "store")
			s, err := Open(path)
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()
			tick(t, s)
			var all []lineage.Record
			sels := []lineage.Selector{alice, {Kind: lineage.SelectSession, Value: "7"}}
			for step := range 60 {
				switch random.IntN(6) {
				case 0, 1, 2:
					var fresh []lineage.Record
					for range 1 + random.IntN(40) {
						at := step
						if random.IntN(10) == 0 {
							at = random.IntN(60)
						}
						fresh = append(fresh, recordAt(t, epoch.Add(time.Duration(at)*time.Millisecond), sels[:random.IntN(3)]...))
					}
					addLate(t, s, fresh)
					all = append(all, fresh...)
				case 3:
					n := random.IntN(len(all) + 1)
					slices.SortFunc(all, func(a, b lineage.Record) int { return entryOf(a).compare(entryOf(b)) })
					require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(all[:n])}))
					all = slices.Clone(all[n:])
				case 4:
					random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
					n, m := random.IntN(len(all)/2+1), random.IntN(len(all)/2+1)
					r := store.Removal{Issuer: issuer, Records: idsOf(all[:n]), Bodies: idsOf(all[n : n+m])}
					require.NoError(t, s.Forget(t.Context(), r))
					for i := n; i < n+m; i++ {
						all[i] = all[i].Erase()
					}
					all = slices.Clone(all[n:])
				case 5:
					if random.IntN(2) == 0 {
						checkpointed(t, s)
						break
					}
					copied := crash(t, path)
					require.NoError(t, s.Close())
					path = copied
					s, err = Open(path)
					require.NoError(t, err)
				}
			}
			slices.SortFunc(all, func(a, b lineage.Record) int { return entryOf(a).compare(entryOf(b)) })
			for _, sel := range sels {
				requireScan(t, s, all, sel, store.Position{})
			}
			var got []lineage.Record
			for r, err := range s.Records(t.Context(), issuer, store.Position{}) {
				require.NoError(t, err)
				got = append(got, r)
			}
			require.Equal(t, idsOf(all), idsOf(got))
			for i := range got {
				require.Equal(t, all[i].RawBody(), got[i].RawBody())
			}
			requireTidy(t, s)
			blocksOf(t, s)
			require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(all)}))
			require.Zero(t, requireTidy(t, s), "something is left of nothing")
		})
	}
}

func addLate(t *testing.T, s *Store, records []lineage.Record) {
	t.Helper()
	addAt(t, s, records, 13)
}

// What was forgotten makes room: the file does not grow while as much comes as goes.
func TestFreedSpaceIsUsedAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	s.LimitLog(64 << 10)
	tick(t, s)
	sizes := make([]int64, 12)
	for round := range sizes {
		var part []lineage.Record
		for i := range 300 {
			part = append(part, recordAt(t, epoch.Add(time.Duration(round*300+i)*time.Millisecond), alice))
		}
		addLate(t, s, part)
		require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(part)}))
		info, err := os.Stat(path)
		require.NoError(t, err)
		sizes[round] = info.Size()
	}
	require.LessOrEqual(t, sizes[11], sizes[5], "the file went on growing: %v", sizes)
}

// After Close nothing in the file is found by the name of whom nothing is left of, other than in pages that are free.
func TestAnErasedNameIsInNoBucket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	name := lineage.Selector{Kind: lineage.SelectSubject, Value: "zaphod@example.com"}
	var records []lineage.Record
	for i := range 40 {
		records = append(records, recordAt(t, epoch.Add(time.Duration(i)*time.Millisecond), name, alice))
	}
	addLate(t, s, records)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: late, Swaps: []store.Swap{{Key: name.String(), State: "set"}}}})[0])
	require.NoError(t, s.Close())
	holds := func() (found []string) {
		digest, key := hashed(name), hashText(name)
		edit(t, path, func(_ *bbolt.Bucket, bucket string, k, v []byte) {
			if bytes.Contains(v, []byte(name.Value)) || bytes.Contains(v, digest) || bytes.Contains(k, digest) || bytes.Equal(k, key[:]) {
				found = append(found, bucket)
			}
		})
		slices.Sort(found)
		return slices.Compact(found)
	}
	require.Equal(t, []string{headsBucket, indexBucket, postingsBucket, recordsBucket}, holds(), "control")
	s, err = Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Forget(t.Context(), store.Removal{
		Issuer: issuer, Bodies: idsOf(records), Heads: []store.HeadVersion{{Key: name.String(), Version: 1}}, Unused: []lineage.Selector{name},
	}))
	require.NoError(t, s.Close())
	require.Empty(t, holds())
}

// TestAWriteThatFailsUnderForget leaves what the log holds: all of it or nothing.
func TestAWriteThatFailsUnderForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	records := []lineage.Record{recordAt(t, epoch, alice), recordAt(t, epoch, alice)}
	addLate(t, s, records)
	require.NoError(t, s.log.Close())
	err = s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(records)})
	require.ErrorIs(t, err, os.ErrClosed)
	_, err = s.Get(t.Context(), issuer, idsOf(records))
	require.ErrorContains(t, err, "the store has stopped")
	_ = s.Close()
	s, err = Open(path)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	slices.SortFunc(records, func(a, b lineage.Record) int { return entryOf(a).compare(entryOf(b)) })
	requireScan(t, s, records, alice, store.Position{})
}

// Until a checkpoint there are pages of which everything was deleted. They are neither the beginning nor the end.
func TestAnEmptiedPageIsNoEnd(t *testing.T) {
	for name, gap := range map[string][2]int{"in the middle": {600, 1200}, "at the beginning": {0, 800}, "at the end": {900, 2000}} {
		t.Run(name, func(t *testing.T) {
			s := openUnsynced(t)
			tick(t, s)
			var all []lineage.Record
			for i := range 2000 {
				all = append(all, recordAt(t, epoch.Add(time.Duration(i)*time.Millisecond), alice, lineage.Selector{Kind: lineage.SelectSession, Value: fmt.Sprint(i % 3)}))
			}
			addAt(t, s, all, 100)
			checkpointed(t, s)
			before := s.log.generation
			for part := range slices.Chunk(all[gap[0]:gap[1]], 100) {
				require.NoError(t, s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(part)}))
			}
			left := slices.Concat(all[:gap[0]], all[gap[1]:])
			requireScan(t, s, left, alice, store.Position{})
			requireScan(t, s, left, alice, store.Position{Since: all[(gap[0]+gap[1])/2].IssuedAt})
			for _, i := range []int{gap[0] + 10, (gap[0] + gap[1]) / 2, gap[1] - 10} {
				more := recordAt(t, all[i].IssuedAt, alice)
				addAt(t, s, []lineage.Record{more}, 1)
				left = append(left, more)
				slices.SortFunc(left, func(a, b lineage.Record) int { return entryOf(a).compare(entryOf(b)) })
				requireScan(t, s, left, alice, store.Position{})
				requireScan(t, s, left, lineage.Selector{Kind: lineage.SelectSession, Value: "1"}, store.Position{Since: all[i].IssuedAt})
			}
			require.Equal(t, before, s.log.generation, "control: there was no checkpoint")
			requireTidy(t, s)
			blocksOf(t, s)
		})
	}
}

func addAt(t *testing.T, s *Store, records []lineage.Record, perCommit int) {
	t.Helper()
	for part := range slices.Chunk(records, perCommit) {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: late, Records: part}})[0])
	}
}

// TestPowerLossUnderForget ends the power after every step of a Forget, in the log and as a checkpoint: it has taken out all or
// nothing, and when it had returned, all.
func TestPowerLossUnderForget(t *testing.T) {
	for name, limit := range map[string]int64{"in the log": logLimit, "as a checkpoint": 0} {
		t.Run(name, func(t *testing.T) {
			outcomes := map[int]int{}
			for steps, ended := 0, 0; ended <= steps; ended++ {
				m := &mortal{T: t, rng: rand.New(rand.NewPCG(uint64(ended), 3)), total: map[string]int{}}
				m.start()
				records := []lineage.Record{recordAt(t, epoch, alice), recordAt(t, epoch, alice), recordAt(t, epoch, alice)}
				addLate(t, m.s, records)
				m.disk.do(m.done(false)...)
				m.s.LimitLog(limit)
				require.NoError(t, m.s.Forget(t.Context(), store.Removal{Issuer: issuer, Records: idsOf(records[:1]), Bodies: idsOf(records[1:2])}))
				did := m.done(false)
				steps = len(did)
				m.die(did[:min(ended, steps)], true)
				m.begin()
				left := 0
				for range m.s.Scan(t.Context(), issuer, alice, store.Position{}) {
					left++
				}
				require.Contains(t, []int{1, 3}, left, "ended after %d of %d steps", ended, steps)
				if ended == steps {
					require.Equal(t, 1, left, "what was acknowledged is gone")
				}
				outcomes[left]++
				requireTidy(t, m.s)
				require.NoError(t, m.s.release())
			}
			require.Len(t, outcomes, 2, "control: both were seen")
		})
	}
}
