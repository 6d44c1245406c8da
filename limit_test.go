package tokenboundary

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"
)

// Who only asks now and then finds out by the clock, and no timer was set for it.
func TestALimitEndsByTheClock(t *testing.T) {
	mock := clock.NewMock()
	l := newLimit(t.Context(), mock, time.Second)
	mock.Add(time.Second - 1)
	require.NoError(t, l.Err(), "positive control")
	mock.Add(1)
	require.ErrorIs(t, l.Err(), context.DeadlineExceeded)
	require.Nil(t, l.timer.Load())
}

func TestALimitEndsWithItsRequest(t *testing.T) {
	type key struct{}
	ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
	l, waits := newLimit(ctx, clock.New(), time.Hour), newLimit(ctx, clock.New(), time.Hour)
	require.Equal(t, "value", l.Value(key{}))
	select {
	case <-waits.Done():
		t.Fatal("positive control: it has not ended")
	default:
	}
	cancel()
	<-waits.Done()
	require.ErrorIs(t, waits.Err(), context.Canceled)
	require.ErrorIs(t, l.Err(), context.Canceled)
}

// Who waits is told without asking, and so is what was made from it.
func TestALimitEndsByItself(t *testing.T) {
	l := newLimit(t.Context(), clock.New(), time.Millisecond)
	at, ok := l.Deadline()
	require.True(t, ok)
	require.WithinDuration(t, l.end, at, time.Minute)
	below, cancel := context.WithCancel(newLimit(t.Context(), clock.New(), time.Millisecond))
	defer cancel()
	<-l.Done()
	<-below.Done()
	require.ErrorIs(t, l.Err(), context.DeadlineExceeded)
	require.ErrorIs(t, below.Err(), context.DeadlineExceeded)
}

func TestALimitThatIsReleasedHasEnded(t *testing.T) {
	fresh, waited := newLimit(t.Context(), clock.New(), time.Hour), newLimit(t.Context(), clock.New(), time.Hour)
	var all sync.WaitGroup
	for range 8 { // whoever comes first sets the timer
		all.Go(func() { waited.Done() })
	}
	all.Wait()
	timer := waited.timer.Load()
	require.NoError(t, timer.Err(), "positive control")
	for _, l := range []*limit{fresh, waited} {
		l.release()
		<-l.Done()
		require.ErrorIs(t, l.Err(), context.Canceled)
	}
	require.ErrorIs(t, timer.Err(), context.Canceled, "its timer is stopped")
}
