package agent

import (
	"context"
	"errors"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
)

// Wrap starts a session for whom the tokens of src stand for: in place of a broad token, its holder hands out narrow ones.
// The broad token is exchanged at the boundary and goes nowhere else. Kind says what it is to the boundary
// (tokenboundary.TypeJWT for a token of a trusted issuer, TypeIDToken, or TypeAccessToken for one of its own); cfg.Subject
// must be nil. Otherwise it is Start.
func Wrap(ctx context.Context, src oauth2.TokenSource, kind string, cfg Config) (*Session, error) {
	switch {
	case src == nil:
		return nil, invalid("Wrap needs a TokenSource")
	case kind == "":
		return nil, invalid("Wrap needs a type of token")
	case cfg.Subject != nil:
		return nil, invalid("Config.Subject has no place in Wrap")
	}
	cfg.Subject = func(context.Context) (tokenboundary.Credential, error) {
		t, err := src.Token()
		switch {
		case err != nil:
			return tokenboundary.Credential{}, &sourceError{err}
		case t == nil || t.AccessToken == "":
			return tokenboundary.Credential{}, &sourceError{errors.New("no token")}
		}
		return tokenboundary.Credential{Type: kind, Value: t.AccessToken}, nil
	}
	return Start(ctx, cfg)
}

// sourceError is an error of a wrapped source. Its text says nothing of the cause, which may quote what a server answered.
type sourceError struct{ err error }

// Error implements error.
func (e *sourceError) Error() string { return "the wrapped source gave no token" }

// Unwrap returns the cause.
func (e *sourceError) Unwrap() error { return e.err }
