package state

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func digest(n uint64) []byte {
	d := sha256.Sum256(binary.BigEndian.AppendUint64(nil, n))
	return d[:]
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestEveryRefreshTokenHasOneUseAndTheLastTwoARepeat(t *testing.T) {
	const grace, idle = 10 * time.Second, time.Minute
	uses := map[Use]int{}
	for seed := range uint64(50) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		now := start
		f := Family{}.Next(digest(1), now, now.Add(idle))
		used := map[uint64]bool{}
		rotated := now
		for range 200 {
			now = now.Add(time.Duration(rnd.IntN(20)) * time.Second)
			n := f.Generation - min(uint64(rnd.IntN(4)), f.Generation-1)
			got := f.Present(n, digest(n), now, grace)
			uses[got]++
			switch {
			case n == f.Generation && now.Before(f.Idle):
				require.Equal(t, Fresh, got)
				require.False(t, used[n], "a token is fresh once")
				used[n] = true
				f = f.Next(digest(n+1), now, now.Add(idle))
				rotated = now
			case n == f.Generation:
				require.Equal(t, Lapsed, got)
				f.Idle = now.Add(idle) // as if it had been used
			case n == f.Generation-1 && now.Before(rotated.Add(grace)):
				require.Equal(t, Repeat, got)
			default:
				require.Equal(t, Reused, got)
			}
		}
	}
	for _, u := range []Use{Fresh, Lapsed, Repeat, Reused} {
		require.Greater(t, uses[u], 100, "the histories must reach every use: %d", u)
	}
}

func TestWithoutGraceThereIsNoRepeat(t *testing.T) {
	f := Family{}.Next(digest(1), start, start.Add(time.Hour)).Next(digest(2), start, start.Add(time.Hour))
	require.Equal(t, Reused, f.Present(1, digest(1), start, 0))
	require.Equal(t, Repeat, f.Present(1, digest(1), start, time.Second))
	require.Equal(t, Fresh, f.Present(2, digest(2), start, 0))
}

func TestAFamilyKnowsOnlyItsOwnTokens(t *testing.T) {
	f := Family{}.Next(digest(1), start, start.Add(time.Hour))
	require.Equal(t, Fresh, f.Present(1, digest(1), start, 0))
	require.Equal(t, Reused, f.Present(1, digest(9), start, 0), "another secret")
	require.Equal(t, Reused, f.Present(1, nil, start, 0))
	require.Equal(t, Reused, f.Present(0, nil, start, time.Hour), "there is no previous one")
	require.Equal(t, Reused, f.Present(2, digest(1), start, 0), "another place")
	require.Equal(t, Lapsed, Family{}.Present(0, nil, start, time.Hour), "the zero family has no token")
}
