package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
	"github.com/tokenboundary/tokenboundary/store/memory"
)

var errView = errors.New("disk on fire")

// plainView is a View over maps whose n-th call fails.
type plainView struct {
	now    time.Time
	calls  int
	fail   int
	writes int
	marks  map[lineage.Selector]lineage.Mark
}

func (v *plainView) step() error {
	if v.calls++; v.calls == v.fail {
		return errView
	}
	return nil
}

func (v *plainView) write() error { v.writes++; return v.step() }

func (v *plainView) Clock() (time.Time, uint64, error) { return v.now, 0, v.step() }
func (v *plainView) Record(lineage.ID) (lineage.Record, bool, error) {
	return lineage.Record{}, false, v.step()
}
func (v *plainView) Head(key string) (store.Head, error) { return store.Head{Key: key}, v.step() }
func (v *plainView) Mark(sel lineage.Selector) (lineage.Mark, error) {
	return v.marks[sel], v.step()
}
func (v *plainView) SetClock(now time.Time, _ uint64) error { v.now = now; return v.write() }
func (v *plainView) PutRecord(lineage.Record) error         { return v.write() }
func (v *plainView) PutHead(store.Head) error               { return v.write() }
func (v *plainView) PutMark(lineage.Mark) error             { return v.write() }
func (v *plainView) PutRevocation(lineage.Revocation) error { return v.write() }

func fullTx(t *testing.T) store.Tx {
	t.Helper()
	r, err := lineage.Seal(
		lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer, IssuedAt: noon, Since: noon, ExpiresAt: noon.Add(time.Hour)},
		lineage.Body{Client: "c", Subject: lineage.Party{ID: "alice"}})
	require.NoError(t, err)
	alice := lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"}
	return store.Tx{
		Issuer: issuer, Time: noon, Records: []lineage.Record{r},
		Revocations: []lineage.Revocation{{Selector: alice, At: noon}},
		Swaps:       []store.Swap{{Key: "swap"}}, Adds: []store.Add{{Key: "add", N: 1, Max: 1}},
		Requires:  []store.Require{{Key: "require"}},
		Unrevoked: []store.Unrevoked{{Selectors: []lineage.Selector{alice}, Since: noon}},
	}
}

// An error of the view is never taken for a result of the transaction, wherever it happens.
func TestApplyPassesOnEveryErrorOfTheView(t *testing.T) {
	control := &plainView{}
	require.NoError(t, store.Apply(control, fullTx(t)))
	require.Greater(t, control.calls, 10)
	for n := 1; n <= control.calls; n++ {
		v := &plainView{fail: n}
		err := store.Apply(v, fullTx(t))
		require.ErrorIs(t, err, errView, "call %d", n)
		require.Equal(t, n, v.calls, "a view that has failed is not asked again")
		for _, own := range []error{store.ErrConflict, store.ErrBehind, store.ErrInvalid} {
			require.NotErrorIs(t, err, own, "call %d", n)
		}
	}
}

func TestApplyWritesNothingWhenItRefuses(t *testing.T) {
	for name, change := range map[string]func(tx *store.Tx){
		"require": func(tx *store.Tx) { tx.Requires[0].Version = 1 },
		"swap":    func(tx *store.Tx) { tx.Swaps[0].Version = 1 },
		"add":     func(tx *store.Tx) { tx.Adds[0].Max = 0 },
		"behind":  func(tx *store.Tx) { tx.Time = tx.Time.Add(-time.Second) },
		"invalid": func(tx *store.Tx) { tx.Revocations[0].Action = "shred" },
	} {
		v, tx := &plainView{now: noon}, fullTx(t)
		change(&tx)
		require.Error(t, store.Apply(v, tx), name)
		require.Zero(t, v.writes, name)
	}
}

// A revocation reaches everything that was issued before it, also within its own millisecond.
func TestApplyRoundsBeforeUp(t *testing.T) {
	v, tx := &plainView{marks: map[lineage.Selector]lineage.Mark{}}, fullTx(t)
	tx.Time = noon.Add(10*time.Millisecond + 500*time.Microsecond)
	tx.Revocations[0].At = tx.Time
	got := &revocations{plainView: v}
	require.NoError(t, store.Apply(got, tx))
	require.Equal(t, noon.Add(11*time.Millisecond), got.all[0].Before)
	require.Equal(t, noon.Add(10*time.Millisecond), got.all[0].At)
	require.Equal(t, tx.Time, v.now, "the store time keeps its precision")
}

type revocations struct {
	*plainView
	all []lineage.Revocation
}

func (v *revocations) PutRevocation(r lineage.Revocation) error {
	v.all = append(v.all, r)
	return v.plainView.PutRevocation(r)
}

// Two readings of a clock that was set back between them compare by their monotonic part unless it is dropped.
func TestStoreTimeIsWallTime(t *testing.T) {
	v := &plainView{}
	require.NoError(t, store.Apply(v, store.Tx{Issuer: issuer, Time: clock.New().Now()}))
	require.Equal(t, v.now.Round(0), v.now, "the store time has a monotonic reading")
	require.Equal(t, time.UTC, v.now.Location())
}

func TestConflictSaysWhatDidNotFit(t *testing.T) {
	s := memory.New()
	tx := fullTx(t)
	tx.Records, tx.Unrevoked = nil, nil
	require.NoError(t, s.Commit(t.Context(), []store.Tx{tx})[0])
	for want, change := range map[string]func(tx *store.Tx){
		"store: conflict: head has changed":        func(tx *store.Tx) { tx.Swaps = []store.Swap{{Key: "swap"}} },
		"store: conflict: count at its maximum":    func(tx *store.Tx) { tx.Adds = []store.Add{{Key: "add", N: 1, Max: 1}} },
		"store: conflict: subject is revoked":      func(tx *store.Tx) { tx.Unrevoked = fullTx(t).Unrevoked; tx.Unrevoked[0].Since = time.Time{} },
		"store: invalid transaction: no issuer":    func(tx *store.Tx) { tx.Issuer = "" },
		"store: invalid transaction: key too long": func(tx *store.Tx) { tx.Swaps = []store.Swap{{Key: string(make([]byte, 2049))}} },
	} {
		tx := store.Tx{Issuer: issuer, Time: noon}
		change(&tx)
		require.EqualError(t, s.Commit(t.Context(), []store.Tx{tx})[0], want)
	}
}
