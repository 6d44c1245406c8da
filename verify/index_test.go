package verify_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/verify"
)

func idOf(n int) string { return lineage.IDOf(fmt.Append(nil, n)).String() }

// entry is the n-th of a feed, made n seconds after now.
func entry(n int, kind, value string, action lineage.Action) lineage.Revocation {
	at := now.Add(time.Duration(n) * time.Second)
	return lineage.Revocation{
		Seq: uint64(n), Selector: lineage.Selector{Kind: kind, Value: value}, Action: action, At: at, Before: at.Add(5 * time.Second),
	}
}

func claimed(id int, issued time.Time) tokenboundary.Claims {
	return tokenboundary.Claims{ID: idOf(id), Grant: idOf(id), Subject: "alice", ClientID: "bot", Key: "k", IssuedAt: issued.Unix()}
}

// TestWhatIsOldIsForgotten: nothing that it concerns is unexpired.
func TestWhatIsOldIsForgotten(t *testing.T) {
	ix := verify.NewIndex(time.Hour, 1000)
	for n := 1; n <= 300; n += 3 {
		require.NoError(t, ix.Add(entry(n, lineage.SelectToken, idOf(n), lineage.Cut)))
		require.NoError(t, ix.Add(entry(n+1, lineage.SelectTask, idOf(n+1), lineage.Suspend)))
		require.NoError(t, ix.Add(entry(n+2, lineage.SelectClient, fmt.Sprint("c", n), lineage.Block)))
	}
	require.Equal(t, 300, ix.Entries())
	ix.Sweep(now.Add(time.Hour))
	require.Equal(t, 300, ix.Entries(), "a token of a moment before may live")
	_, dead := ix.Judge(claimed(1, now))
	require.ErrorIs(t, dead, verify.ErrInactive)
	ix.Sweep(now.Add(time.Hour + 150*time.Second + 65*time.Second))
	require.Equal(t, 151, ix.Entries())
	ix.Sweep(now.Add(3 * time.Hour))
	require.Zero(t, ix.Held())
}

// TestRepeatedEntriesTakeNoMemoryForEver: one selector that is cut again and again is remembered as its last cut.
func TestRepeatedEntriesTakeNoMemoryForEver(t *testing.T) {
	ix := verify.NewIndex(time.Minute, 50)
	for n := 1; n <= 5000; n++ {
		require.NoError(t, ix.Add(entry(n, lineage.SelectSubject, "alice", lineage.Cut)))
		ix.Sweep(now.Add(time.Duration(n) * time.Second))
		require.LessOrEqual(t, ix.Held(), 51)
	}
	_, dead := ix.Judge(claimed(1, now.Add(5000*time.Second)))
	require.ErrorIs(t, dead, verify.ErrInactive)
	asked, dead := ix.Judge(claimed(1, now.Add(5006*time.Second)))
	require.NoError(t, dead)
	require.Zero(t, asked)
}

// TestMoreEntriesThanFit: what they concern is asked about, and no token is let through because an entry did not fit.
func TestMoreEntriesThanFit(t *testing.T) {
	ix := verify.NewIndex(time.Hour, 10)
	for n := 1; n <= 30; n++ {
		require.NoError(t, ix.Add(entry(n, lineage.SelectToken, idOf(n), lineage.Cut)))
	}
	require.Equal(t, 10, ix.Entries())
	asked, dead := ix.Judge(claimed(5, now))
	require.NoError(t, dead)
	require.EqualValues(t, 20, asked, "the last that was forgotten before its time")
	_, dead = ix.Judge(claimed(25, now))
	require.ErrorIs(t, dead, verify.ErrInactive)
	asked, dead = ix.Judge(claimed(100, now.Add(time.Minute)))
	require.NoError(t, dead)
	require.Zero(t, asked, "it is younger")
}

// TestTheSecondOfACut: iat has seconds, a cut has milliseconds. Within them the boundary is asked.
func TestTheSecondOfACut(t *testing.T) {
	ix := verify.NewIndex(time.Hour, 10)
	r := entry(1, lineage.SelectSubject, "alice", lineage.Cut)
	r.Before = now.Add(5*time.Second + 300*time.Millisecond)
	require.NoError(t, ix.Add(r))
	for at, want := range map[time.Duration]string{4 * time.Second: "dead", 5 * time.Second: "asked", 6 * time.Second: "good"} {
		asked, dead := ix.Judge(claimed(7, now.Add(at)))
		switch want {
		case "dead":
			require.ErrorIs(t, dead, verify.ErrInactive)
		default:
			require.NoError(t, dead)
			require.Equal(t, want == "asked", asked == 1, at)
		}
	}
}

// TestEntriesThatAreNone are refused, and change nothing.
func TestEntriesThatAreNone(t *testing.T) {
	ix := verify.NewIndex(time.Hour, 10)
	require.NoError(t, ix.Add(entry(7, lineage.SelectSubject, "alice", lineage.Cut)), "a feed begins anywhere")
	good := entry(8, lineage.SelectSubject, "bob", lineage.Cut)
	for name, change := range map[string]func(*lineage.Revocation){
		"zero": func(r *lineage.Revocation) { r.Seq = 0 }, "again": func(r *lineage.Revocation) { r.Seq = 7 },
		"before": func(r *lineage.Revocation) { r.Seq = 6 }, "a gap": func(r *lineage.Revocation) { r.Seq = 9 },
		"no selector":    func(r *lineage.Revocation) { r.Selector = lineage.Selector{} },
		"unknown action": func(r *lineage.Revocation) { r.Action = "maybe" },
		"no block": func(r *lineage.Revocation) {
			r.Selector, r.Action = lineage.Selector{Kind: "key", Value: "k"}, lineage.Block
		},
		"no time": func(r *lineage.Revocation) { r.Before = time.Time{} },
	} {
		r := good
		change(&r)
		require.ErrorIs(t, ix.Add(r), verify.ErrFeed, name)
		require.Equal(t, 1, ix.Entries())
	}
	require.NoError(t, ix.Add(good))
}

// TestAnswersAreRememberedInBounds.
func TestAnswersAreRememberedInBounds(t *testing.T) {
	kept, last := verify.Remember(10 * verify.MaxAnswers)
	require.True(t, last)
	require.LessOrEqual(t, kept, 2*verify.MaxAnswers)
}

// TestProofsAreRememberedUntilTheyEnd: one that has ended makes room, and where there is none the next use is put off.
func TestProofsAreRememberedUntilTheyEnd(t *testing.T) {
	var p verify.Proofs
	for n := range verify.MaxProofs {
		require.NoError(t, p.Spend(fmt.Sprint(n), now.Add(time.Minute), now))
	}
	require.ErrorIs(t, p.Spend("one more", now.Add(time.Minute), now), tokenboundary.ErrUnavailable)
	require.ErrorIs(t, p.Spend("7", now.Add(time.Minute), now), verify.ErrProof)
	later := now.Add(time.Minute)
	require.NoError(t, p.Spend("one more", later.Add(time.Minute), later))
	require.Equal(t, 1, p.Len())
}
