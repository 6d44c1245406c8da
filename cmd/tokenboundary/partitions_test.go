package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"
)

// TestPartitionsAreSeenToEveryDay: also after a day on which they could not be made, which is logged.
func TestPartitionsAreSeenToEveryDay(t *testing.T) {
	clk := clock.NewMock()
	clk.Set(time.Date(2026, 12, 31, 12, 0, 0, 0, time.UTC))
	var log bytes.Buffer
	calls, answers := make(chan [2]string, 1), make(chan error, 1)
	p := &partitions{clock: clk, log: slog.New(slog.NewTextHandler(&log, nil)), create: func(_ context.Context, from, until time.Time) error {
		calls <- [2]string{from.Format("2006-01"), until.Format("2006-01")}
		return <-answers
	}}
	answers <- nil
	p.keep(t.Context())
	require.Equal(t, [2]string{"2026-12", "2027-02"}, <-calls, "the last day of a month has the same two after it")
	require.Empty(t, log.String())

	stop := p.follow(t.Context())
	for _, err := range []error{errors.New("the database does not answer"), nil} {
		clk.Add(24 * time.Hour)
		require.Equal(t, [2]string{"2027-01", "2027-03"}, <-calls)
		answers <- err
	}
	stop()
	require.Equal(t, 1, bytes.Count(log.Bytes(), []byte("level=WARN")))
	require.Contains(t, log.String(), "the database does not answer")
	clk.Add(24 * time.Hour)
	require.Empty(t, calls, "it has stopped")
}

// A server that keeps none has nothing to stop.
func TestNoPartitionsAreFollowed(*testing.T) { (*partitions)(nil).follow(context.Background())() }
