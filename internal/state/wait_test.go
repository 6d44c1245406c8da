package state

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheFirstDecisionCountsAndOneRelease(t *testing.T) {
	allowed := map[[2]string]string{
		{Pending, Approve}: Approved, {Pending, Refuse}: Refused, {Waiting, Release}: Released, {Approved, Release}: Released,
	}
	n := 0
	for _, from := range []string{Pending, Waiting, Approved, Refused, Released, "", "unknown"} {
		for _, event := range []string{Approve, Refuse, Release, "", "unknown"} {
			to, ok := Wait(from, event)
			require.Equal(t, allowed[[2]string{from, event}], to, "%s %s", from, event)
			require.Equal(t, to != "", ok)
			if ok {
				n++
			}
		}
	}
	require.Equal(t, len(allowed), n)
}

func TestPollingTooFastSlowsDown(t *testing.T) {
	p := Pace{Interval: 5 * time.Second}
	poll := func(after, interval time.Duration, ok bool) {
		t.Helper()
		var got bool
		p, got = p.Poll(p.Last.Add(after))
		require.Equal(t, ok, got)
		require.Equal(t, interval, p.Interval)
	}
	p, ok := p.Poll(start)
	require.True(t, ok, "the first poll is never too early")
	require.Equal(t, 5*time.Second, p.Interval)
	poll(5*time.Second, 5*time.Second, true)
	poll(5*time.Second-1, 10*time.Second, false)
	poll(5*time.Second, 15*time.Second, false)
	poll(14*time.Second, 20*time.Second, false)
	poll(20*time.Second, 20*time.Second, true)
}
