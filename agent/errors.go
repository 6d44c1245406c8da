package agent

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

var (
	// ErrEnded means that the session's task is over: completed, revoked, or past what its token can be renewed for.
	ErrEnded = fmt.Errorf("agent: the session has ended: %w", tokenboundary.ErrConflict)
	// ErrSuspended means that the session was suspended, and not resumed yet.
	ErrSuspended = fmt.Errorf("agent: the session is suspended: %w", tokenboundary.ErrConflict)
)

// InsufficientScopeError means that the boundary granted less than a call needs. No request was made. It matches
// tokenboundary.ErrDenied.
type InsufficientScopeError struct {
	Resource string
	Missing  []string // scopes of the call
}

// Error implements error.
func (e *InsufficientScopeError) Error() string {
	return fmt.Sprintf("agent: %q was not granted for %q", strings.Join(e.Missing, " "), e.Resource)
}

// Is makes an InsufficientScopeError match tokenboundary.ErrDenied.
func (e *InsufficientScopeError) Is(target error) bool { return target == tokenboundary.ErrDenied }

// StepUpError means that a resource asks for another or a more recent authentication of the user (RFC 9470, section 3).
// Another token of the same task will not help. It matches tokenboundary.ErrDenied.
type StepUpError struct {
	ACR    []string      // the authentication context classes that it would accept
	MaxAge time.Duration // how long ago the user may have authenticated; negative where the challenge does not say
}

// Error implements error.
func (e *StepUpError) Error() string {
	return "agent: the resource asks for another authentication of the user"
}

// Is makes a StepUpError match tokenboundary.ErrDenied.
func (e *StepUpError) Is(target error) bool { return target == tokenboundary.ErrDenied }

// failed says what became of a request to the boundary: refused, or not decided.
func failed(what string, err error) error {
	kind := tokenboundary.ErrUnavailable
	var e *exchange.Error
	if errors.As(err, &e) && e != nil && refusal(*e) {
		kind = tokenboundary.ErrDenied
	}
	return fmt.Errorf("agent: %s: %w: %w", what, kind, err)
}

// refusal reports whether an error answer says no, and not that nothing could be decided.
func refusal(e exchange.Error) bool {
	switch e.Code {
	case exchange.CodeTemporarilyUnavailable, exchange.CodeServerError:
		return false
	}
	return e.Status == 0 || e.Status >= 400 && e.Status < 500 && e.Status != http.StatusTooManyRequests
}

// unacceptable is the error for an answer that is not what was asked for.
func unacceptable(why string) error {
	return fmt.Errorf("agent: the boundary answered with %s: %w", why, tokenboundary.ErrUnavailable)
}

func invalid(why string) error { return fmt.Errorf("agent: %s: %w", why, tokenboundary.ErrInvalid) }

// acquire takes the one slot of turn, or gives up with the context.
func acquire(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
