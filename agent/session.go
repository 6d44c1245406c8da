package agent

import (
	"context"
	"encoding/json"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// Session is one task of an agent. It hands out tokens for the calls of the task and keeps them for as long as they may
// be used. It is safe for concurrent use; make it with Start or Wrap. It hides what it holds in logs and in fmt.
type Session struct {
	cfg  Config
	id   lineage.ID // of the task
	ends time.Time  // the task's deadline; zero: not known

	start context.Context // that of Start; its end is that of the session
	live  context.Context // ends soon after, or with Complete; carries the values of start
	kill  context.CancelCauseFunc
	state atomic.Int32
	turn  chan struct{} // held by who changes the task's state
	done  bool          // the boundary knows that the task is completed; by turn

	task   taskToken
	tokens tokens
}

// The states of a session.
const (
	active int32 = iota
	suspended
	ended
)

// Token returns a token for a call: one resource, and no scopes but those of the call. It is good until its Expiry, which is
// Early before its end. Callers that ask for the same at the same time share one exchange, and one that gives up does
// not end it for the others.
//
// The errors are ErrEnded, ErrSuspended, an *InsufficientScopeError, those of ctx, and what wraps tokenboundary.ErrInvalid
// (of the Call), ErrDenied and ErrUnavailable. After an answer that says when to come back, the boundary is not asked
// again for the same call before then, at most a minute.
func (s *Session) Token(ctx context.Context, c Call) (*oauth2.Token, error) {
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if c.Connection == "" {
		c.Connection = s.cfg.Connection
	}
	if len(c.Scopes) > maxScopes {
		return nil, invalid("Call is too long")
	}
	if t := s.tokens.get(c, s.cfg.Clock.Now()); t != nil {
		return t, nil
	}
	c, err := c.normal()
	if err != nil {
		return nil, err
	}
	f := s.join(c)
	select {
	case <-f.done:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-s.live.Done():
		return nil, ErrEnded
	}
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if f.err != nil {
		return nil, f.err
	}
	t := *f.token
	return &t, nil
}

// open returns why no token may be had, nil where one may.
func (s *Session) open(ctx context.Context) error {
	switch s.state.Load() {
	case ended:
		return ErrEnded
	case suspended:
		return ErrSuspended
	}
	switch {
	case s.start.Err() != nil:
		return ErrEnded
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return nil
}

// TokenSource returns what gives the tokens of a call to code that knows oauth2. Ctx bounds each Token of it.
func (s *Session) TokenSource(ctx context.Context, c Call) oauth2.TokenSource {
	return source{ctx, s, c}
}

type source struct {
	ctx  context.Context
	s    *Session
	call Call
}

// Token implements oauth2.TokenSource.
func (t source) Token() (*oauth2.Token, error) { return t.s.Token(t.ctx, t.call) }

// Reject says that a resource did not accept a token of this call: t is not handed out again. Another one that was had in
// the meantime stays.
func (s *Session) Reject(c Call, t *oauth2.Token) {
	if c, err := s.call(c); err == nil && t != nil {
		s.tokens.reject(c, t.AccessToken)
	}
}

// call returns a Call as it is kept.
func (s *Session) call(c Call) (Call, error) {
	if c.Connection == "" {
		c.Connection = s.cfg.Connection
	}
	return c.normal()
}

func (s *Session) spare(c Call, t *oauth2.Token) {
	if c, err := s.call(c); err == nil {
		s.tokens.spare(c, t.AccessToken, s.cfg.Clock.Now())
	}
}

func (s *Session) spared(c Call, t *oauth2.Token) bool {
	c, err := s.call(c)
	return err == nil && s.tokens.isSpared(c, t.AccessToken, s.cfg.Clock.Now())
}

// TaskID returns the id of the session's task.
func (s *Session) TaskID() lineage.ID { return s.id }

// Deadline returns when the task ends at the latest, and false where the boundary did not say.
func (s *Session) Deadline() (time.Time, bool) { return s.ends, !s.ends.IsZero() }

// String names the task.
func (s *Session) String() string { return "session of task " + s.id.String() }

// GoString hides the content.
func (s *Session) GoString() string { return s.String() }

// LogValue hides the content.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalJSON hides the content.
func (s *Session) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }
