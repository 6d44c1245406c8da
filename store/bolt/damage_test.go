package bolt

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
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

const issuer = "https://boundary.example"

var (
	epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	alice = lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
)

func record(t testing.TB, sels ...lineage.Selector) lineage.Record {
	t.Helper()
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: epoch, Since: epoch, ExpiresAt: epoch.Add(time.Hour)},
		lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials", Selectors: sels})
	require.NoError(t, err)
	return r
}

func txOf(records ...lineage.Record) store.Tx {
	return store.Tx{
		Issuer: issuer, Time: epoch, Records: records,
		Swaps:       []store.Swap{{Key: "k", State: "on", Value: []byte("v"), Expires: epoch.Add(time.Hour)}},
		Revocations: []lineage.Revocation{{Selector: alice, At: epoch, Reason: "r"}},
	}
}

// answers is what the store says to every question about r, the error of an answer in its place.
func answers(t *testing.T, s *Store, r lineage.Record) map[string]any {
	t.Helper()
	out := map[string]any{}
	put := func(name string, value any, err error) {
		plain, failed := json.Marshal(value)
		require.NoError(t, failed)
		if out[name] = string(plain); err != nil {
			require.ErrorIs(t, err, errDamaged)
			out[name] = err
		}
	}
	entries, err := s.Get(t.Context(), issuer, []lineage.ID{r.ID()})
	put("get", entries, err)
	heads, err := s.Heads(t.Context(), issuer, []string{"k"})
	put("heads", heads, err)
	marks, err := s.Revoked(t.Context(), issuer, []lineage.Selector{alice})
	put("revoked", marks, err)
	var scanned, fed []any
	var scanErr, feedErr error
	for _, sel := range r.Selectors() {
		for r, err := range s.Scan(t.Context(), issuer, sel, store.Position{}) {
			scanned, scanErr = append(scanned, r), errors.Join(scanErr, err)
		}
	}
	put("scan", scanned, scanErr)
	for r, err := range s.Feed(t.Context(), issuer, 0) {
		fed, feedErr = append(fed, r), errors.Join(feedErr, err)
	}
	put("feed", fed, feedErr)
	late := store.Tx{Issuer: issuer, Time: epoch.Add(2 * time.Hour)} // forgets the head
	put("forget", "done", s.Commit(t.Context(), []store.Tx{late})[0])
	return out
}

// edit calls f with each value of the store at path, by bucket, in one unsynced write.
func edit(t *testing.T, path string, f func(bucket *bbolt.Bucket, name string, key, value []byte)) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(func(tx *bbolt.Tx) error {
		space := tx.Bucket([]byte(issuersBucket)).Bucket(issuerName(issuer))
		return space.ForEachBucket(func(name []byte) error {
			b := space.Bucket(name)
			pairs := map[string][]byte{}
			err := b.ForEach(func(k, v []byte) error { pairs[string(k)] = bytes.Clone(v); return nil })
			for k, v := range pairs {
				f(b, string(name), []byte(k), v)
			}
			return err
		})
	}))
	require.NoError(t, db.Close())
}

// TestEveryChangedByteIsFound changes one byte of one value at a time.
func TestEveryChangedByteIsFound(t *testing.T) {
	dir := t.TempDir()
	original := filepath.Join(dir, "original")
	s, err := open(original, bbolt.Options{}) // which makes a small file
	require.NoError(t, err)
	r := record(t, alice)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{txOf(r)})[0])
	require.NoError(t, s.Close())
	file, err := os.ReadFile(original)
	require.NoError(t, err)

	type place struct {
		bucket, key string
		at          int
	}
	var places []place
	edit(t, original, func(_ *bbolt.Bucket, name string, key, value []byte) {
		for i := 0; i < len(value); i += 1 + len(value)/24 {
			places = append(places, place{name, string(key), i})
		}
	})
	path := filepath.Join(dir, "changed")
	ask := func(change *place) map[string]any {
		require.NoError(t, os.WriteFile(path, file, 0o600))
		if change != nil {
			edit(t, path, func(b *bbolt.Bucket, name string, key, value []byte) {
				if name == change.bucket && string(key) == change.key {
					value[change.at] ^= 0x10
					require.NoError(t, b.Put(key, value))
				}
			})
		}
		s, err := open(path, bbolt.Options{NoSync: true})
		require.NoError(t, err)
		defer s.Close()
		return answers(t, s, r)
	}
	want := ask(nil)
	for name, answer := range want {
		require.IsType(t, "", answer, name) // the control: none is an error
	}
	touched := map[string]bool{}
	for _, p := range places {
		found := false
		for name, answer := range ask(&p) {
			if _, isErr := answer.(error); isErr {
				found = true
				continue
			}
			require.Equal(t, want[name], answer, "%s: byte %d of a value in %q was changed", name, p.at, p.bucket)
		}
		require.True(t, found, "byte %d of a value in %q was changed", p.at, p.bucket)
		touched[p.bucket] = true
	}
	require.ElementsMatch(t, []string{recordsBucket, idsBucket, indexBucket, postingsBucket, marksBucket, headsBucket, expiryBucket, feedBucket, clockBucket},
		slices.Collect(maps.Keys(touched)))
}

func TestExchangedValuesAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	one, two := record(t, alice), record(t)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{txOf(one, two)})[0])
	require.NoError(t, s.Close())
	idOne, idTwo := one.ID(), two.ID()
	placeOne, placeTwo := placeOf(one), placeOf(two)
	edit(t, path, func(b *bbolt.Bucket, name string, key, _ []byte) {
		if name == recordsBucket && bytes.Equal(key, placeOne[:]) {
			require.NoError(t, b.Put(key, bytes.Clone(b.Get(placeTwo[:]))))
		}
	})
	s, err = Open(path)
	require.NoError(t, err)
	defer s.Close()
	_, err = s.Get(t.Context(), issuer, []lineage.ID{idOne})
	require.ErrorIs(t, err, errDamaged)
	got, err := s.Get(t.Context(), issuer, []lineage.ID{idTwo})
	require.NoError(t, err)
	require.True(t, got[0].Record.Equal(two))
}

func TestMissingEntriesAreFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	for range 3 {
		tx := txOf(record(t, alice))
		tx.Swaps = nil
		require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
	}
	require.NoError(t, s.Close())
	edit(t, path, func(b *bbolt.Bucket, name string, key, _ []byte) {
		if name == recordsBucket || name == feedBucket && bytes.Equal(key, sequenceKey(2)) {
			require.NoError(t, b.Delete(key))
		}
	})
	s, err = Open(path)
	require.NoError(t, err)
	defer s.Close()
	for _, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
		require.ErrorIs(t, err, errDamaged, "an index entry without its record")
	}
	for _, err := range s.Feed(t.Context(), issuer, 1) {
		require.ErrorIs(t, err, errDamaged, "a feed with a gap")
	}
}

// TestAShortenedFeedIsFound has a feed that lacks its oldest entries, although none was forgotten.
func TestAShortenedFeedIsFound(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	for range 3 {
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Revocations: txOf().Revocations}})[0])
	}
	require.NoError(t, s.Close())
	edit(t, path, func(b *bbolt.Bucket, name string, key, _ []byte) {
		if name == feedBucket && bytes.Compare(key, sequenceKey(2)) <= 0 {
			require.NoError(t, b.Delete(key))
		}
	})
	s, err = Open(path)
	require.NoError(t, err)
	defer s.Close()
	for _, after := range []uint64{0, 1} {
		for _, err := range s.Feed(t.Context(), issuer, after) {
			require.ErrorIs(t, err, errDamaged)
		}
	}
	for r, err := range s.Feed(t.Context(), issuer, 2) {
		require.NoError(t, err)
		require.Equal(t, uint64(3), r.Seq)
	}
}

// TestShortenedFileIsAnError has pages that are mapped and not there: a fault, not a wrong answer or a crash.
func TestShortenedFileIsAnError(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := Open(path)
	require.NoError(t, err)
	var ids []lineage.ID
	for range 20 {
		r := record(t, alice)
		ids = append(ids, r.ID())
		require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Records: []lineage.Record{r}}})[0])
	}
	require.NoError(t, s.Close())
	s, err = Open(path)
	require.NoError(t, err)
	_, err = s.Get(t.Context(), issuer, ids)
	require.NoError(t, err)
	require.NoError(t, os.Truncate(path, 2*4096))
	_, err = s.Get(t.Context(), issuer, ids)
	require.ErrorIs(t, err, errDamaged)
	for _, err := range s.Scan(t.Context(), issuer, alice, store.Position{}) {
		require.ErrorIs(t, err, errDamaged)
	}
	err = s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Records: []lineage.Record{record(t)}}})[0]
	require.ErrorIs(t, err, errDamaged)
}

// TestFailedWriteStopsTheStore fills a file up to its bound. Nothing of the failed commit is answered, before or after
// the file is opened again, and what was acknowledged is all there.
func TestFailedWriteStopsTheStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "store")
	s, err := open(path, bbolt.Options{MaxSize: 1 << 20})
	require.NoError(t, err)
	var acknowledged []lineage.ID
	var failed lineage.Record
	for failed.ID().IsZero() {
		r := record(t, alice)
		r2 := record(t)
		errs := s.Commit(t.Context(), []store.Tx{
			{Issuer: issuer, Time: epoch, Records: []lineage.Record{r}, Swaps: []store.Swap{{Key: r.ID().String(), Value: make([]byte, 20_000)}}},
			{Issuer: issuer, Time: epoch, Records: []lineage.Record{r2}},
		})
		require.Equal(t, errs[0], errs[1])
		if err = errs[0]; err != nil {
			failed = r
			continue
		}
		acknowledged = append(acknowledged, r.ID(), r2.ID())
	}
	require.ErrorContains(t, err, "a write failed and the store has stopped")
	_, got := s.Get(t.Context(), issuer, []lineage.ID{failed.ID()})
	require.Equal(t, err, got, "a read after a failed write")
	require.Equal(t, err, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch}})[0], "a commit after a failed write")
	for _, got := range s.Feed(t.Context(), issuer, 0) {
		require.Equal(t, err, got)
	}
	require.NoError(t, s.Close())

	s, err = Open(path)
	require.NoError(t, err)
	defer s.Close()
	entries, err := s.Get(t.Context(), issuer, append(acknowledged, failed.ID()))
	require.NoError(t, err)
	for i, id := range acknowledged {
		require.Equal(t, id, entries[i].Record.ID())
	}
	require.True(t, entries[len(acknowledged)].Record.ID().IsZero())
	heads, err := s.Heads(t.Context(), issuer, []string{failed.ID().String()})
	require.NoError(t, err)
	require.Zero(t, heads[0].Version)
}
