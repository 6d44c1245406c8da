package agent

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// taskToken is the token that everything else is derived from. It never leaves the session but for the boundary.
type taskToken struct {
	turn            chan struct{} // held by who reads or renews it
	access, refresh tokenboundary.Credential
	renew, ends     time.Time // from when on it is renewed, where that can be; when it is over
}

// keep puts what was granted in the place of what was there. A refresh token that was not rotated stays.
func (t *taskToken) keep(g Granted, asked time.Time, early time.Duration) {
	t.access, t.ends = g.Access, asked.Add(g.ExpiresIn)
	// What is derived ends with it, so it is renewed well before its own end.
	t.renew = t.ends.Add(-max(margin(g.ExpiresIn, early), g.ExpiresIn/4))
	if !g.Refresh.IsZero() {
		t.refresh = g.Refresh
	}
}

// taskToken returns the task token, renewed where it is time to. While it cannot be renewed it is used until its end.
func (s *Session) taskToken(ctx context.Context) (tokenboundary.Credential, error) {
	t := &s.task
	if err := acquire(ctx, t.turn); err != nil {
		return tokenboundary.Credential{}, err
	}
	defer func() { <-t.turn }()
	now := s.cfg.Clock.Now()
	switch {
	case now.Before(t.renew), t.refresh.IsZero() && now.Before(t.ends):
		return t.access, nil
	case t.refresh.IsZero():
		return tokenboundary.Credential{}, fmt.Errorf("%w: its token has expired and cannot be renewed", ErrEnded)
	}
	err := s.renew(ctx)
	if err != nil && s.cfg.Clock.Now().Before(t.ends) {
		s.cfg.Logger.WarnContext(ctx, "the task token could not be renewed yet", "task", s.id, "cause", err)
		t.renew = s.cfg.Clock.Now().Add(max(time.Second, retryAfter(err)))
		err = nil
	}
	return t.access, err
}

// renew refreshes the task token. Where the answer was lost, the same refresh token is presented once more: within the
// grace of the boundary that has the same successor. A boundary that grants none takes it for reuse, and ends a task whose
// token could not be renewed otherwise either.
func (s *Session) renew(ctx context.Context) error {
	req := tokenboundary.Request{Grant: tokenboundary.Refresh, Subject: s.task.refresh}
	g, asked, err := s.ask(ctx, "renew the task token", req)
	var answered *exchange.Error
	if err != nil && !errors.As(err, &answered) && ctx.Err() == nil {
		g, asked, err = s.ask(ctx, "renew the task token", req)
	}
	switch {
	case err != nil:
		return err
	case g.TaskID != s.id:
		return unacceptable("a token of another task")
	}
	s.task.keep(g, asked, s.cfg.Early)
	return nil
}
