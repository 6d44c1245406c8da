package bolt

import (
	"bytes"
	"fmt"
	"maps"
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

// examined is what Examine says of a store: how many of each piece, and the faults by where they are.
func examine(t *testing.T, s *Store) (pieces map[string]int, faults []store.Fault) {
	t.Helper()
	pieces = map[string]int{}
	for p, err := range s.Examine(t.Context(), issuer) {
		require.NoError(t, err)
		switch {
		case p.Clock != nil:
			pieces["clock"]++
		case p.Revocation != nil:
			pieces["feed"]++
		case p.Mark != nil:
			pieces["mark"]++
		case p.Head != nil:
			pieces["head"]++
		case p.Record != nil:
			pieces["record"]++
		default:
			faults = append(faults, *p.Fault)
		}
	}
	return pieces, faults
}

// history fills a store with records that share selectors over some minutes, an erased one and one that was forgotten among
// them, and leaves a part of it in the log.
func history(t *testing.T, path string, n int) []lineage.Record {
	t.Helper()
	s, err := open(path, bbolt.Options{NoSync: true})
	require.NoError(t, err)
	var out []lineage.Record
	commit := func(i int) {
		at := epoch.Add(time.Duration(i) * time.Second)
		r, err := lineage.Seal(
			lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: at, Since: at, ExpiresAt: at.Add(time.Minute)},
			lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials", Selectors: []lineage.Selector{
				alice, {Kind: lineage.SelectClient, Value: fmt.Sprint("c", i%7)},
			}})
		require.NoError(t, err)
		tx := store.Tx{Issuer: issuer, Time: at, Records: []lineage.Record{r}}
		tx.Swaps = []store.Swap{{Key: r.ID().String(), State: "on", Value: []byte("v"), Expires: at.Add(90 * time.Second)}}
		if i%5 == 0 {
			tx.Revocations = []lineage.Revocation{{Selector: lineage.Selector{Kind: lineage.SelectToken, Value: r.ID().String()}, At: at}}
		}
		require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
		out = append(out, r)
	}
	for i := range n {
		commit(i)
	}
	if n > 80 { // so that these are over
		removal := store.Removal{Issuer: issuer, Records: []lineage.ID{out[3].ID()}, Bodies: []lineage.ID{out[4].ID()}, Feed: 1}
		require.NoError(t, s.Forget(t.Context(), removal))
	}
	require.NoError(t, s.guard(func() error { return s.checkpoint(newGeneration()) }))
	for i := n; i < n+9; i++ {
		commit(i)
	}
	s.abandon() // as a process that is killed leaves it
	require.NoError(t, s.release())
	return out
}

func TestExamineSeesAWholeStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	records := history(t, path, 400)
	before := files(t, path)
	s, err := Open(path, Options{ReadOnly: true})
	require.NoError(t, err)
	pieces, faults := examine(t, s)
	require.Empty(t, faults)
	require.Equal(t, len(records)-1, pieces["record"])
	require.Equal(t, 1, pieces["clock"])
	require.Equal(t, len(records)/5, pieces["feed"])
	require.Equal(t, len(records)/5+1, pieces["mark"])
	require.Positive(t, pieces["head"])
	require.ErrorIs(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch}})[0], errReadOnly)
	require.ErrorIs(t, s.Forget(t.Context(), store.Removal{Issuer: issuer}), errReadOnly)
	var found int
	for _, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
		require.NoError(t, err)
		found++
	}
	require.Equal(t, len(records)-2, found, "without the one that was erased")
	require.NoError(t, s.Close())
	require.Equal(t, before, files(t, path), "nothing was written")

	s, err = Open(path) // which makes a checkpoint and lets go of the log
	require.NoError(t, err)
	require.NoError(t, s.Close())
	require.NoError(t, os.Chmod(path, 0o400))
	s, err = Open(path, Options{ReadOnly: true})
	require.NoError(t, err)
	defer s.Close()
	closed, faults := examine(t, s)
	require.Empty(t, faults)
	require.Equal(t, pieces, closed)
	for p := range s.Examine(t.Context(), "https://other.example") {
		t.Fatalf("%+v of an issuer that has nothing", p)
	}
}

// files are the contents of a store's files.
func files(t *testing.T, path string) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	for _, name := range []string{path, path + logSuffix} {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		out[name] = data
	}
	return out
}

func TestReadOnlyNeedsAStoreThatIsThere(t *testing.T) {
	dir := t.TempDir()
	_, err := Open(filepath.Join(dir, "none"), Options{ReadOnly: true})
	require.ErrorIs(t, err, os.ErrNotExist)
	empty := filepath.Join(dir, "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	_, err = Open(empty, Options{ReadOnly: true})
	require.ErrorContains(t, err, "is not a store: it is empty")
	info, err := os.Stat(empty)
	require.NoError(t, err)
	require.Zero(t, info.Size(), "it is still empty")
	path := filepath.Join(dir, "store")
	history(t, path, 10)
	s, err := Open(path, Options{LockTimeout: 10 * time.Millisecond})
	require.NoError(t, err)
	_, err = Open(path, Options{ReadOnly: true, LockTimeout: 10 * time.Millisecond})
	require.ErrorIs(t, err, ErrLocked)
	require.NoError(t, s.Close())
	require.NoFileExists(t, path+logSuffix)
	s, err = Open(path, Options{ReadOnly: true}) // the control
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestExamineFindsEveryChangedValue changes a byte of each value, moves values, and takes each out, in every bucket.
func TestExamineFindsEveryChangedValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	history(t, path, 90)
	s, err := Open(path)
	require.NoError(t, err)
	require.NoError(t, s.Close())
	original, err := os.ReadFile(path)
	require.NoError(t, err)
	type place struct{ bucket, key string }
	var places []place
	edit(t, path, func(_ *bbolt.Bucket, name string, key, _ []byte) { places = append(places, place{name, string(key)}) })
	slices.SortFunc(places, func(a, b place) int { return bytes.Compare([]byte(a.bucket+a.key), []byte(b.bucket+b.key)) })
	rng := rand.New(rand.NewPCG(7, 7))
	changes := map[string]func(b *bbolt.Bucket, key, value []byte) error{
		"a changed byte": func(b *bbolt.Bucket, key, value []byte) error {
			value[rng.IntN(len(value))] ^= 1 << rng.IntN(8)
			return b.Put(key, value)
		},
		"a value that is gone": func(b *bbolt.Bucket, key, _ []byte) error { return b.Delete(key) },
		"a value at another key": func(b *bbolt.Bucket, key, value []byte) error {
			moved := bytes.Clone(key)
			moved[len(moved)-1] ^= 1
			return b.Put(moved, value)
		},
	}
	seen := map[string]int{}
	for name, change := range changes {
		for i := 0; i < len(places); i += 1 + rng.IntN(30) {
			p := places[i]
			if name == "a value that is gone" && (p.bucket == feedBucket || p.bucket == marksBucket) || p.bucket == clockBucket && name != "a changed byte" {
				continue // what only the laws between pieces show
			}
			require.NoError(t, os.WriteFile(path, original, 0o600))
			edit(t, path, func(b *bbolt.Bucket, bucket string, key, value []byte) {
				if bucket == p.bucket && string(key) == p.key {
					require.NoError(t, change(b, key, value))
				}
			})
			s, err := Open(path, Options{ReadOnly: true})
			require.NoError(t, err)
			_, faults := examine(t, s)
			require.NotEmpty(t, faults, "%s in %s", name, p.bucket)
			require.NoError(t, s.Close())
			seen[p.bucket]++
		}
	}
	require.Len(t, slices.Collect(maps.Keys(seen)), 9, "%v", seen)
}

// TestExamineSurvivesAnyDamage changes bytes of the file itself, where bbolt keeps its pages: each is refused, or found, or in
// a part that nothing leads to.
func TestExamineSurvivesAnyDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	records := history(t, path, 300)
	original := files(t, path)
	file := original[path]
	rng := rand.New(rand.NewPCG(11, 11))
	want := len(records) - 1
	rounds := 400
	if testing.Short() {
		rounds = 60
	}
	found := map[bool]int{}
	for range rounds {
		damaged := bytes.Clone(file)
		at := rng.IntN(len(damaged))
		if rng.IntN(2) == 0 { // the head of a page, or of its elements
			at = at/4096*4096 + rng.IntN(64)
		}
		damaged[at] ^= 1 << rng.IntN(8)
		require.NoError(t, os.WriteFile(path, damaged, 0o600))
		s, err := Open(path, Options{ReadOnly: true})
		if err != nil {
			found[true]++
			continue
		}
		pieces, faults := examine(t, s)
		lost := pieces["feed"] != len(records)/5 // the issuer has another name: what is in the log is all there is of this one
		if len(faults) == 0 && !lost {
			require.Equal(t, want, pieces["record"], "byte %d", at)
		}
		found[len(faults) > 0 || lost]++
		require.NoError(t, s.guard(s.Close))
	}
	require.Positive(t, found[true])
	require.Positive(t, found[false], "the control: pages that are free")
}

// TestPagesInACircleAreRefused has a branch page that leads to itself, which bbolt would follow until the stack is used up.
func TestPagesInACircleAreRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	history(t, path, 1500)
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	turned := 0
	for page := 2; (page+1)*4096 <= len(file); page++ {
		head := file[page*4096:]
		if head[8] == branchPage && head[9] == 0 && head[10] > 0 && int(head[0])|int(head[1])<<8 == page {
			copy(head[pageHead+8:], head[:8])
			turned++
		}
	}
	require.Positive(t, turned)
	require.NoError(t, os.WriteFile(path, file, 0o600))
	_, err = Open(path, Options{ReadOnly: true})
	require.ErrorContains(t, err, "is reached twice")
}
