package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// finishTimeout bounds the completion of a task whose context has ended.
const finishTimeout = time.Minute

// Complete ends the session at once, whatever it returns, and completes the task at the boundary: on success every token
// of the task is dead. After an error it may be called again; once it has succeeded, it does nothing. Where the task is
// being completed already it waits for that. The context must not be the one of Start that has ended: see
// context.WithoutCancel.
func (s *Session) Complete(ctx context.Context) error {
	s.end()
	return s.change(ctx, func() error {
		if s.done {
			return nil
		}
		err := s.set(ctx, tokenboundary.TaskCompleted)
		s.done = err == nil
		return err
	})
}

// Suspend suspends the task at the boundary: its tokens are inactive until Resume. The session hands out none from the
// moment of the call, also where the boundary could not be told; it may then be called again, or Resume.
func (s *Session) Suspend(ctx context.Context) error {
	return s.change(ctx, func() error {
		if !s.state.CompareAndSwap(active, suspended) && s.state.Load() == ended {
			return ErrEnded
		}
		s.tokens.drop(all)
		return s.set(ctx, tokenboundary.TaskSuspended)
	})
}

// Resume goes on with a suspended task, after the boundary has decided it anew. A refusal leaves it suspended.
func (s *Session) Resume(ctx context.Context) error {
	return s.change(ctx, func() error {
		if s.state.Load() == ended {
			return ErrEnded
		}
		if err := s.set(ctx, tokenboundary.TaskActive); err != nil {
			return err
		}
		if !s.state.CompareAndSwap(suspended, active) && s.state.Load() == ended {
			return ErrEnded
		}
		return nil
	})
}

func all(names) bool { return true }

// change runs what changes the task's state, one at a time.
func (s *Session) change(ctx context.Context, f func() error) error {
	if err := acquire(ctx, s.turn); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	defer func() { <-s.turn }()
	return f()
}

func (s *Session) set(ctx context.Context, to tokenboundary.TaskState) error {
	ctx, cancel := s.cfg.Clock.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := s.cfg.Boundary.SetTask(ctx, s.id, to); err != nil {
		return failed("bring the task into state "+string(to), err)
	}
	return nil
}

// end ends the session here: who waits for a token is told at once, and nothing is kept.
func (s *Session) end() {
	s.state.Store(ended)
	s.kill(ErrEnded)
	s.tokens.drop(all)
}

// abandon completes the task of a session that nobody was given, if there is one.
func (s *Session) abandon() {
	if s.end(); !s.id.IsZero() {
		s.finish()
	}
}

// finish completes the task of a session whose context has ended. While the boundary cannot be asked it tries again, for a
// minute; the task's deadline ends it then.
func (s *Session) finish() {
	ctx, cancel := s.cfg.Clock.WithTimeout(context.WithoutCancel(s.live), finishTimeout)
	defer cancel()
	err := s.Complete(ctx)
	for pause := time.Second; errors.Is(err, tokenboundary.ErrUnavailable) && s.pause(ctx, pause); pause *= 2 {
		err = s.Complete(ctx)
	}
	if err != nil {
		s.cfg.Logger.ErrorContext(ctx, "a task could not be completed", "task", s.id, "cause", err)
	}
}

// pause waits, and returns false where the context ended first.
func (s *Session) pause(ctx context.Context, d time.Duration) bool {
	timer := s.cfg.Clock.Timer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
