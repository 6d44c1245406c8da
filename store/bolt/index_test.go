package bolt

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// recordAt returns a record that was issued at t.
func recordAt(t *testing.T, at time.Time, sels ...lineage.Selector) lineage.Record {
	t.Helper()
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: at, Since: at, ExpiresAt: at.Add(time.Hour)},
		lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials", Selectors: sels})
	require.NoError(t, err)
	return r
}

// openUnsynced opens a store that is quick, and not durable.
func openUnsynced(t *testing.T) *Store {
	t.Helper()
	s, err := open(filepath.Join(t.TempDir(), "store"), bbolt.Options{NoSync: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func addAll(t *testing.T, s *Store, records []lineage.Record, perCommit int) {
	t.Helper()
	for part := range slices.Chunk(records, perCommit) {
		for _, err := range s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Leeway: 1000 * time.Hour, Records: part}}) {
			require.NoError(t, err)
		}
	}
}

// blocksOf returns how many records are in each block, in order, and requires that they are in order.
func blocksOf(t *testing.T, s *Store) (sizes []int) {
	t.Helper()
	require.NoError(t, s.indexed(t.Context(), issuer, func(sp *space) error {
		c, last := sp.cursor(indexBucket), []byte(nil)
		for key, sealed := c.First(); key != nil; key, sealed = c.Next() {
			b, err := openBlock(key, sealed)
			require.NoError(t, err)
			require.True(t, slices.IsSortedFunc(b.entries(), entry.compare))
			require.LessOrEqual(t, bytes.Compare(key, b.place(0)), 0)
			require.Negative(t, bytes.Compare(last, key), "a block reaches beyond the beginning of the next")
			last = b.place(b.places() - 1)
			sizes = append(sizes, b.places())
		}
		return nil
	}))
	return sizes
}

// Whatever the order in which records come, and however many at once, a scan sees those that carry the selector, in order.
func TestScanSeesWhatWasWrittenInAnyOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, perCommit := range []int{1, 7, 100, 400} {
		for name, moment := range map[string]func(i int) int{
			"forward":     func(i int) int { return i },
			"backward":    func(i int) int { return -i },
			"all at once": func(int) int { return 0 },
			"anyhow":      func(int) int { return random.IntN(1000) - 500 },
			"nearly":      func(i int) int { return i + random.IntN(20) },
		} {
			t.Run(fmt.Sprint(name, " by ", perCommit), func(t *testing.T) {
				s := openUnsynced(t)
				var all []lineage.Record
				for i := range 400 {
					at := epoch.Add(time.Duration(moment(i)) * time.Millisecond)
					sels := []lineage.Selector{alice, {Kind: lineage.SelectSession, Value: fmt.Sprint(i % 50)}}
					all = append(all, recordAt(t, at, sels[:1+i%2]...))
				}
				addAll(t, s, all, perCommit)
				slices.SortFunc(all, func(a, b lineage.Record) int {
					p, q := placeOf(a), placeOf(b)
					return bytes.Compare(p[:], q[:])
				})
				for _, sel := range []lineage.Selector{alice, {Kind: lineage.SelectSession, Value: "7"}, {Kind: lineage.SelectSession, Value: "none"}} {
					requireScan(t, s, all, sel, store.Position{})
					requireScan(t, s, all, sel, store.Position{After: all[random.IntN(len(all))].ID()})
					requireScan(t, s, all, sel, store.Position{Since: all[random.IntN(len(all))].IssuedAt})
				}
				for i, n := range blocksOf(t, s) {
					require.True(t, n > 0 && n <= blockFull, "block %d has %d records", i, n)
				}
			})
		}
	}
}

func requireScan(t *testing.T, s *Store, all []lineage.Record, sel lineage.Selector, from store.Position) {
	t.Helper()
	var want, got []lineage.ID
	behind := from.After.IsZero()
	for _, r := range all {
		if behind && !r.IssuedAt.Before(from.Since) && slices.Contains(r.Selectors(), sel) {
			want = append(want, r.ID())
		}
		behind = behind || r.ID() == from.After
	}
	for r, err := range s.Scan(t.Context(), issuer, sel, from) {
		require.NoError(t, err)
		got = append(got, r.ID())
	}
	require.Equal(t, want, got)
}

func TestBlocksFillUp(t *testing.T) {
	for _, perCommit := range []int{1, 20, 100} {
		s := openUnsynced(t)
		var all []lineage.Record
		for i := range 100 {
			all = append(all, recordAt(t, epoch.Add(time.Duration(i)*time.Millisecond), alice))
		}
		addAll(t, s, all, perCommit)
		require.Equal(t, []int{blockFull, blockFull, blockFull, 100 - 3*blockFull}, blocksOf(t, s))
	}
}

// A scan costs what it finds: blocks without the selector are not looked at. Here nobody could read them.
func TestScanLooksAtNoOtherBlock(t *testing.T) {
	s := openUnsynced(t)
	var others []lineage.Record
	for i := range 10 * blockFull {
		others = append(others, recordAt(t, epoch.Add(time.Duration(i-5*blockFull)*time.Millisecond), lineage.Selector{Kind: lineage.SelectSession, Value: "x"}))
	}
	last := record(t, alice)
	addAll(t, s, append(others, last), 100)
	require.NoError(t, s.indexed(t.Context(), issuer, func(sp *space) error {
		b := sp.root.Bucket([]byte(indexBucket))
		return b.ForEach(func(key, sealed []byte) error {
			if block, err := openBlock(key, sealed); err != nil || len(block.behind(hashed(alice), firstPlace[:])) > 0 {
				return err
			}
			return b.Put(key, []byte("damaged"))
		})
	}))
	requireScan(t, s, []lineage.Record{last}, alice, store.Position{})
	requireScan(t, s, []lineage.Record{last}, alice, store.Position{Since: last.IssuedAt})
	for _, err := range s.Scan(t.Context(), issuer, lineage.Selector{Kind: lineage.SelectSession, Value: "x"}, store.Position{}) {
		if err != nil {
			require.ErrorIs(t, err, errDamaged, "control")
			return
		}
	}
	t.Fatal("control: the blocks of the others are damaged")
}

func hashed(sel lineage.Selector) []byte {
	d := hashSelector(sel)
	return d[:shortSize]
}

func TestBlockKeepsItsEntries(t *testing.T) {
	var entries []entry
	for i := range blockFull {
		e := entry{place: moment(epoch.Add(time.Duration(i) * time.Second))}
		for d := range i % 4 {
			e.selectors = append(e.selectors, short{byte(d), byte(i * d % 7)})
		}
		entries = append(entries, e)
	}
	whole := blockOf(entries)
	require.NoError(t, whole.check())
	require.Equal(t, entries, whole.entries())
	for n := 1; n < blockFull; n++ {
		require.Equal(t, whole, blockOf(entries[:n]).add(blockOf(entries[n:])))
	}
	for n := range whole {
		require.ErrorIs(t, whole[:n].check(), errDamaged, "cut to %d bytes", n)
	}
}
