package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// askTimeout bounds one exchange, with what comes before it.
const askTimeout = 30 * time.Second

// Start asks the boundary for a task and returns the session of it. When ctx ends, the session does, and the task is
// completed at the boundary in a context of its own; a program that exits then calls Complete to wait for that.
//
// Errors wrap tokenboundary.ErrInvalid (of cfg), ErrDenied and ErrUnavailable, or are those of ctx.
func Start(ctx context.Context, cfg Config) (*Session, error) {
	cfg, err := cfg.checked()
	if err != nil {
		return nil, err
	}
	s := &Session{cfg: cfg, start: ctx, turn: make(chan struct{}, 1)}
	s.task.turn = make(chan struct{}, 1)
	s.live, s.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	began := make(chan struct{})
	go func() {
		defer close(began)
		err = s.begin()
	}()
	select {
	case <-began:
	case <-ctx.Done():
		go func() { // what was asked for may have been granted
			<-began
			s.abandon()
		}()
		return nil, fmt.Errorf("agent: start: %w", context.Cause(ctx))
	}
	if err != nil {
		go s.abandon()
		return nil, err
	}
	detach := context.AfterFunc(ctx, s.finish)
	context.AfterFunc(s.live, func() { detach() })
	if cfg.Revocations != nil {
		go s.follow()
	}
	return s, nil
}

// begin starts the task.
func (s *Session) begin() error {
	ctx, cancel := s.cfg.Clock.WithTimeout(s.live, askTimeout)
	defer cancel()
	req := tokenboundary.Request{Grant: tokenboundary.ClientCredentials, Task: &s.cfg.Task, Connection: s.cfg.Connection}
	var err error
	if s.cfg.Subject != nil {
		req.Grant = tokenboundary.Exchange
		if req.Subject, err = s.cfg.Subject(ctx); err != nil {
			return fmt.Errorf("agent: Config.Subject: %w", err)
		}
	}
	if s.cfg.Actor != nil {
		if req.Actor, err = s.cfg.Actor(ctx); err != nil {
			return fmt.Errorf("agent: Config.Actor: %w", err)
		}
	}
	g, asked, err := s.ask(ctx, "start the task", req)
	s.id = g.TaskID
	switch {
	case err != nil:
		return err
	case s.id.IsZero():
		return unacceptable("no task")
	}
	if g.TaskExpiresIn > 0 {
		s.ends = asked.Add(g.TaskExpiresIn)
	}
	s.task.keep(g, asked, s.cfg.Early)
	return nil
}

// ask asks the boundary, with a proof where there is a key, and refuses an answer that no request could have had. It
// returns also when it asked.
func (s *Session) ask(ctx context.Context, what string, req tokenboundary.Request) (Granted, time.Time, error) {
	if s.cfg.Prover != nil {
		url := s.cfg.Boundary.TokenEndpoint()
		proof, err := s.cfg.Prover.Prove(ctx, "POST", url, "")
		if err != nil {
			return Granted{}, time.Time{}, fmt.Errorf("agent: Config.Prover: %w", err)
		}
		req.Proof = tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Value: proof, Method: "POST", URL: url}
	}
	asked := s.cfg.Clock.Now()
	g, err := s.cfg.Boundary.Issue(ctx, req)
	if err != nil {
		return Granted{}, asked, failed(what, err)
	}
	return g, asked, s.sound(g)
}
