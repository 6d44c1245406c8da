package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
)

// result is what a review gets from its Governor.
type result struct {
	out tokenboundary.Outcome
	err error
}

var done = result{out: tokenboundary.Outcome{Examined: 3, Kept: 2, Revoked: 1, Complete: true}}

// reviewed is a review whose Governor is the test.
type reviewed struct {
	*review
	clock   *clock.Mock
	began   chan tokenboundary.Signal // one for each run, when it begins
	answers chan result               // and it ends with one of these
	log     *lockedBuffer
	stop    func()
}

func newReviewed(t *testing.T) *reviewed {
	r := &reviewed{clock: clock.NewMock(), began: make(chan tokenboundary.Signal), answers: make(chan result), log: &lockedBuffer{}}
	r.review = newReview(r.clock, slog.New(slog.NewJSONHandler(r.log, nil)))
	r.signal = func(ctx context.Context, by tokenboundary.Client, s tokenboundary.Signal) (tokenboundary.Outcome, error) {
		if by.Kind != tokenboundary.KindOperator || by.ID != "policy-reload" {
			return tokenboundary.Outcome{}, tokenboundary.ErrForbidden
		}
		select {
		case r.began <- s:
		case <-ctx.Done():
			return tokenboundary.Outcome{}, nil // incomplete
		}
		select {
		case a := <-r.answers:
			return a.out, a.err
		case <-ctx.Done():
			return tokenboundary.Outcome{}, ctx.Err()
		}
	}
	r.stop = sync.OnceFunc(r.follow(t.Context()))
	t.Cleanup(r.stop)
	return r
}

// later lets the clock run until the next run begins.
func (r *reviewed) later(t *testing.T) {
	t.Helper()
	for range 50 {
		r.clock.Add(reviewPause)
		select {
		case <-r.began:
			return
		default:
		}
	}
	require.Fail(t, "it was not tried again")
}

func TestAReviewAtTheStartAndAfterEveryChange(t *testing.T) {
	r := newReviewed(t)
	require.Equal(t, tokenboundary.Signal{Reloaded: true}, <-r.began, "the store may hold tokens of another set")
	r.answers <- done
	r.changed("v2", nil)
	<-r.began
	// However much changes meanwhile, it is one more run, and never two at a time.
	for range 5 {
		r.changed("v3", nil)
	}
	r.answers <- done
	<-r.began
	r.changed("v3", errors.New("refused: the set in force stays"))
	r.answers <- done
	require.Empty(t, r.wanted)
	r.stop()
	require.Equal(t, 3, r.log.count(`"msg":"live tokens were decided anew","examined":3,"kept":2,"revoked":1`), r.log.text())
}

func TestAReviewThatFailedIsTriedAgain(t *testing.T) {
	r := newReviewed(t)
	<-r.began
	r.answers <- result{err: errors.New("the store is away")}
	r.later(t)
	r.answers <- result{out: tokenboundary.Outcome{Examined: 7, Kept: 7}}
	r.later(t)
	r.answers <- result{err: errors.New("the store is away")}
	r.changed("v2", nil) // and a change does not wait
	<-r.began
	r.answers <- done
	r.stop()
	require.Equal(t, 2, r.log.count(`"cause":"the store is away"`), r.log.text())
	require.Equal(t, 1, r.log.count(`"level":"WARN"`), r.log.text())
	require.Equal(t, 1, r.log.count("live tokens were decided anew"), r.log.text())
}

func TestAReviewEndsWithTheServer(t *testing.T) {
	r := newReviewed(t)
	<-r.began
	r.stop() // in the middle of a run: that the context ended is no failure
	require.Empty(t, r.log.text())

	r = newReviewed(t)
	<-r.began
	r.answers <- result{err: errors.New("the store is away")}
	require.Eventually(t, func() bool { return r.log.count("\n") == 1 }, time.Minute, time.Millisecond)
	r.stop() // or in a pause
	require.Equal(t, 1, r.log.count(`"cause":"the store is away"`), r.log.text())
}

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (b *lockedBuffer) count(part string) int { return bytes.Count([]byte(b.text()), []byte(part)) }
