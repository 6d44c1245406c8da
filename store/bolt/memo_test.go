package bolt

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// remembered returns a store that has decoded the record before.
func remembered(t *testing.T) (*Store, lineage.Record) {
	t.Helper()
	s := openNew(t, filepath.Join(t.TempDir(), "store"))
	r := record(t, alice)
	require.NoError(t, s.Commit(t.Context(), []store.Tx{{Issuer: issuer, Time: epoch, Records: []lineage.Record{r}}})[0])
	for range 2 {
		require.True(t, get(t, s, r.ID()).Record.Equal(r))
	}
	_, known := s.seen.Get(r.ID())
	require.True(t, known)
	return s, r
}

func get(t *testing.T, s *Store, id lineage.ID) store.Entry {
	t.Helper()
	got, err := s.Get(t.Context(), issuer, []lineage.ID{id})
	require.NoError(t, err)
	return got[0]
}

// change writes or, where value is nil, removes the record's bytes behind the store's back.
func change(t *testing.T, s *Store, bucket string, key, value []byte) {
	t.Helper()
	require.NoError(t, s.view(t.Context(), issuer, func(sp *space) error {
		b := sp.cursor(bucket).Bucket()
		if value == nil {
			return b.Delete(key)
		}
		return b.Put(key, value)
	}))
}

func TestARememberedRecordHasFreshMarksAndHeads(t *testing.T) {
	s, r := remembered(t)
	require.Empty(t, get(t, s, r.ID()).Marks)
	tx := store.Tx{Issuer: issuer, Time: epoch, Revocations: txOf().Revocations}
	tx.Swaps = []store.Swap{{Key: alice.String(), State: "high", Expires: epoch.Add(time.Minute)}}
	require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
	e := get(t, s, r.ID())
	require.Equal(t, []lineage.Selector{alice}, []lineage.Selector{e.Marks[0].Selector})
	require.Equal(t, "high", e.Heads[0].State)

	tx = store.Tx{Issuer: issuer, Time: epoch.Add(time.Hour), Swaps: []store.Swap{{Key: alice.String(), Version: 1, State: "low"}}}
	require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
	require.Equal(t, uint64(2), get(t, s, r.ID()).Heads[0].Version)
}

func TestARememberedRecordIsErasedWithItsBody(t *testing.T) {
	s, r := remembered(t)
	at := placeOf(r)
	change(t, s, recordsBucket, at[:], seal(recordsBucket, at[:], encodeRecord(r.Erase())))
	require.Equal(t, r.Raw(), get(t, s, r.ID()).Record.Raw())
	require.Nil(t, get(t, s, r.ID()).Record.Body)
	change(t, s, recordsBucket, at[:], seal(recordsBucket, at[:], encodeRecord(r)))
	require.NotNil(t, get(t, s, r.ID()).Record.Body)
}

func TestARememberedRecordThatIsGoneIsGone(t *testing.T) {
	s, r := remembered(t)
	id, at := r.ID(), placeOf(r)
	change(t, s, recordsBucket, at[:], nil)
	_, err := s.Get(t.Context(), issuer, []lineage.ID{id})
	require.ErrorIs(t, err, errDamaged)
	change(t, s, idsBucket, id[:], nil)
	require.True(t, get(t, s, id).Record.ID().IsZero())
}

func TestARememberedRecordThatIsDamagedIsAnError(t *testing.T) {
	s, r := remembered(t)
	at, value := placeOf(r), encodeRecord(r)
	value[len(value)-2] ^= 1
	for _, bad := range [][]byte{value, seal(recordsBucket, at[:], value)} {
		change(t, s, recordsBucket, at[:], bad)
		_, err := s.Get(t.Context(), issuer, []lineage.ID{r.ID()})
		require.ErrorIs(t, err, errDamaged)
	}
}

// Of two issuers with the same file, neither is told what only the other has.
func TestARememberedRecordStaysWithItsIssuer(t *testing.T) {
	s, r := remembered(t)
	got, err := s.Get(t.Context(), "another", []lineage.ID{r.ID()})
	require.NoError(t, err)
	require.True(t, got[0].Record.ID().IsZero())
}
