package agent_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/agent"
)

func TestCompletingATaskEndsItsCallsAndNoOthers(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		one, two := w.start(t, w.config(b)), w.start(t, w.config(b))
		first, err := one.Token(t.Context(), readCases)
		require.NoError(t, err)
		second, err := two.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.NotEqual(t, first.AccessToken, second.AccessToken)

		require.NoError(t, one.Complete(t.Context()))
		require.Equal(t, tokenboundary.TaskCompleted, w.taskState(t, one))
		require.False(t, w.state(t, first.AccessToken).Active)
		_, err = one.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrEnded)
		require.ErrorIs(t, one.Suspend(t.Context()), agent.ErrEnded)
		require.ErrorIs(t, one.Resume(t.Context()), agent.ErrEnded)
		require.NoError(t, one.Complete(t.Context()), "again")

		require.True(t, w.state(t, second.AccessToken).Active)
		_, err = two.Token(t.Context(), agent.Call{Resource: mail, Scopes: []string{"messages:send"}})
		require.NoError(t, err)
	})
}

func TestTheEndOfTheContextCompletesTheTask(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		ctx, cancel := context.WithCancel(t.Context())
		s, err := agent.Start(ctx, w.config(b))
		require.NoError(t, err)
		tok, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.True(t, w.state(t, tok.AccessToken).Active)
		cancel()
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrEnded, "at once")
		require.Eventually(t, func() bool { return w.taskState(t, s) == tokenboundary.TaskCompleted }, time.Minute, time.Millisecond)
		require.False(t, w.state(t, tok.AccessToken).Active)
		require.NoError(t, s.Complete(t.Context()))
		require.LessOrEqual(t, w.count("complete"), 1, "once")
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrEnded)
	})
}

func TestWhoWaitsForATokenIsToldOfTheEndAtOnce(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	hang := make(chan struct{})
	defer close(hang)
	w.meanwhile(func(_ http.ResponseWriter, what string) bool {
		if what == "token-exchange" {
			<-hang
		}
		return false
	}, nil)
	waits := make(chan error)
	for range 3 {
		go func() { _, err := s.Token(t.Context(), readCases); waits <- err }()
	}
	require.Eventually(t, func() bool { return w.count("token-exchange") == 2 }, time.Minute, time.Millisecond)
	require.NoError(t, s.Complete(t.Context()))
	for range 3 {
		require.ErrorIs(t, <-waits, agent.ErrEnded)
	}
}

// stubborn is a boundary whose exchanges do not end with their context.
type stubborn struct {
	agent.Boundary
	asked, release chan struct{}
}

func (b stubborn) Issue(ctx context.Context, req tokenboundary.Request) (agent.Granted, error) {
	if req.Task == nil {
		close(b.asked)
		<-b.release
	}
	return b.Boundary.Issue(context.WithoutCancel(ctx), req)
}

func TestTheEndDoesNotWaitForTheBoundary(t *testing.T) {
	w := newWorld(t)
	b := stubborn{w.local(), make(chan struct{}), make(chan struct{})}
	s := w.start(t, w.config(b))
	waits := make(chan error)
	go func() { _, err := s.Token(t.Context(), readCases); waits <- err }()
	<-b.asked
	require.NoError(t, s.Complete(t.Context()))
	require.ErrorIs(t, <-waits, agent.ErrEnded)
	close(b.release)
}

// TestATokenFromBeforeASuspensionIsNotKept: its exchange was under way when everything that was kept was dropped.
func TestATokenFromBeforeASuspensionIsNotKept(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	decided, release := make(chan struct{}), make(chan struct{})
	w.meanwhile(nil, func(what string) {
		if what == "token-exchange" {
			close(decided)
			<-release
		}
	})
	first := make(chan string)
	go func() {
		tok, err := s.Token(t.Context(), readCases)
		if err != nil {
			first <- err.Error()
			return
		}
		first <- tok.AccessToken
	}()
	<-decided
	w.meanwhile(nil, nil)
	require.NoError(t, s.Suspend(t.Context()))
	require.NoError(t, s.Resume(t.Context()))
	close(release)
	got := <-first
	next, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.NotEqual(t, got, next.AccessToken)
	require.Equal(t, 3, w.count("token-exchange"))
}

func TestATaskWhoseStartWasGivenUpIsCompleted(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	given := make(chan struct{})
	w.meanwhile(func(_ http.ResponseWriter, what string) bool {
		if what == "token-exchange" {
			cancel()
			<-given
		}
		return false
	}, nil)
	_, err := agent.Start(ctx, w.config(w.remote()))
	require.ErrorIs(t, err, context.Canceled)
	close(given)
	require.Eventually(t, func() bool { return w.count("complete") == 1 }, time.Minute, time.Millisecond, "nobody else could end it")
}

func TestSuspendAndResume(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		s := w.start(t, w.config(b))
		tok, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.NoError(t, s.Suspend(t.Context()))
		require.NoError(t, s.Suspend(t.Context()), "again")
		require.Equal(t, tokenboundary.TaskSuspended, w.taskState(t, s))
		require.False(t, w.state(t, tok.AccessToken).Active)
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrSuspended)

		w.decide(func(tokenboundary.Facts) tokenboundary.Verdict { return tokenboundary.Verdict{} })
		require.ErrorIs(t, s.Resume(t.Context()), tokenboundary.ErrDenied)
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, agent.ErrSuspended)

		w.decide(grants)
		require.NoError(t, s.Resume(t.Context()))
		next, err := s.Token(t.Context(), readCases)
		require.NoError(t, err)
		require.True(t, w.state(t, next.AccessToken).Active)
		require.NotEqual(t, tok.AccessToken, next.AccessToken, "what was kept is not believed to have come back")

		require.NoError(t, s.Suspend(t.Context()))
		require.NoError(t, s.Complete(t.Context()), "a suspended task can end")
		require.Equal(t, tokenboundary.TaskCompleted, w.taskState(t, s))
	})
}

func TestWhatAnOperatorSuspendsTheAgentDoesNotResume(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		s := w.start(t, w.config(b))
		_, err := w.g.SetTask(t.Context(), w.ops(t), s.TaskID(), tokenboundary.TaskSuspended)
		require.NoError(t, err)
		_, err = s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, tokenboundary.ErrDenied)
		require.ErrorIs(t, s.Resume(t.Context()), tokenboundary.ErrDenied)
		_, err = w.g.SetTask(t.Context(), w.ops(t), s.TaskID(), tokenboundary.TaskActive)
		require.NoError(t, err)
		_, err = s.Token(t.Context(), readCases)
		require.NoError(t, err)
	})
}

func TestASessionOutlivesARestartOfTheBoundary(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	kept, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	address := w.server.Listener.Addr().String()
	w.server.Close()

	other := agent.Call{Resource: mail, Scopes: []string{"messages:send"}}
	_, err = s.Token(t.Context(), other)
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	require.ErrorContains(t, err, "connection refused")
	same, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Equal(t, kept.AccessToken, same.AccessToken, "what is kept needs no boundary")

	listener, err := net.Listen("tcp", address)
	require.NoError(t, err)
	w.serve(t, listener)
	tok, err := s.Token(t.Context(), other)
	require.NoError(t, err)
	require.True(t, w.state(t, tok.AccessToken).Active)
	require.True(t, w.state(t, kept.AccessToken).Active)
	require.NoError(t, s.Complete(t.Context()))
}

func TestACompletionThatFailsIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	s, err := agent.Start(ctx, w.config(w.remote()))
	require.NoError(t, err)
	w.meanwhile(func(rw http.ResponseWriter, what string) bool {
		if what == "complete" && w.count("complete") < 3 {
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}, nil)
	require.ErrorIs(t, s.Complete(t.Context()), tokenboundary.ErrUnavailable)
	_, err = s.Token(t.Context(), readCases)
	require.ErrorIs(t, err, agent.ErrEnded, "all the same")
	require.ErrorIs(t, s.Complete(t.Context()), tokenboundary.ErrUnavailable)
	require.NoError(t, s.Complete(t.Context()))
	cancel()

	ctx, cancel = context.WithCancel(t.Context())
	s, err = agent.Start(ctx, w.config(w.remote()))
	require.NoError(t, err)
	before := w.count("complete")
	w.meanwhile(func(rw http.ResponseWriter, what string) bool {
		if what == "complete" && w.count("complete") < before+3 {
			rw.WriteHeader(http.StatusBadGateway)
			return true
		}
		return false
	}, nil)
	cancel()
	require.Eventually(t, func() bool {
		w.clock.Add(time.Second)
		return w.taskState(t, s) == tokenboundary.TaskCompleted
	}, time.Minute, time.Millisecond)
}

func TestACompletionThatCannotBeHadIsLogged(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	_, err := agent.Start(ctx, w.config(w.remote()))
	require.NoError(t, err)
	w.server.Close()
	cancel()
	require.Eventually(t, func() bool {
		w.clock.Add(time.Second)
		return strings.Contains(w.logs.String(), "a task could not be completed")
	}, time.Minute, time.Millisecond)
}

func TestTheTaskTokenIsRenewed(t *testing.T) {
	both(t, func(t *testing.T, w *world, b agent.Boundary) {
		w.decide(refreshes)
		s := w.start(t, w.config(b))
		for i := range 11 {
			tok, err := s.Token(t.Context(), readCases)
			require.NoError(t, err, i)
			require.True(t, w.state(t, tok.AccessToken).Active)
			w.clock.Add(5 * time.Minute)
		}
		require.NoError(t, s.Complete(t.Context()))
	})
}

func TestARenewalWhoseAnswerIsLostIsRepeated(t *testing.T) {
	w := newWorld(t)
	w.decide(refreshes)
	s := w.start(t, w.config(w.remote()))
	var lost atomic.Bool
	w.meanwhile(nil, func(what string) {
		if what == "refresh_token" && lost.CompareAndSwap(false, true) {
			panic(http.ErrAbortHandler) // decided and recorded, and never answered
		}
	})
	w.clock.Add(4 * time.Minute)
	_, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.True(t, lost.Load())
	require.Equal(t, 2, w.count("refresh_token"))
	w.clock.Add(5*time.Minute - time.Second)
	tok, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.True(t, w.state(t, tok.AccessToken).Active, "the family lives")
	require.Equal(t, 3, w.count("refresh_token"))
}

func TestATaskTokenThatCannotBeRenewedServesToItsEnd(t *testing.T) {
	w := newWorld(t)
	w.decide(refreshes)
	s := w.start(t, w.config(w.remote()))
	w.meanwhile(func(rw http.ResponseWriter, what string) bool {
		if what == "refresh_token" {
			rw.WriteHeader(http.StatusInternalServerError)
		}
		return what == "refresh_token"
	}, nil)
	w.clock.Add(4 * time.Minute)
	_, err := s.Token(t.Context(), readCases)
	require.NoError(t, err)
	require.Contains(t, w.logs.String(), "could not be renewed yet")
	w.clock.Add(time.Minute)
	_, err = s.Token(t.Context(), readCases)
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	w.meanwhile(nil, nil)
	_, err = s.Token(t.Context(), readCases)
	require.NoError(t, err, "the boundary is back")
}

func TestABoundaryThatAsksToBeLeftAloneIs(t *testing.T) {
	w := newWorld(t)
	s := w.start(t, w.config(w.remote()))
	answer := func(status int, after string) {
		w.meanwhile(func(rw http.ResponseWriter, what string) bool {
			rw.Header().Set("Content-Type", "application/json")
			rw.Header().Set("Retry-After", after)
			rw.WriteHeader(status)
			_, _ = rw.Write([]byte(`{"error":"temporarily_unavailable"}`))
			return true
		}, nil)
	}
	answer(503, "7200")
	for range 5 {
		_, err := s.Token(t.Context(), readCases)
		require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	}
	require.Equal(t, 2, w.count("token-exchange"), "the task, and one")
	other := readCases
	other.Tool = "other"
	_, err := s.Token(t.Context(), other)
	require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	require.Equal(t, 3, w.count("token-exchange"), "another call asks for itself")

	w.meanwhile(nil, nil)
	w.clock.Add(time.Minute)
	_, err = s.Token(t.Context(), readCases)
	require.NoError(t, err, "a minute at most")

	answer(400, "30")
	other.Tool = "third"
	for range 2 {
		_, err = s.Token(t.Context(), other)
		require.ErrorIs(t, err, tokenboundary.ErrUnavailable)
	}
	require.Equal(t, 5, w.count("token-exchange"))
}
