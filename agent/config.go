package agent

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Config is what a session is started with. Boundary, and of Task the Purpose and the Authority, are required.
type Config struct {
	Boundary Boundary
	// Task is asked for: its purpose, all that the calls of the session will need, its deadline (whole seconds) and how
	// many tokens may be made for it. The boundary grants all of it or nothing.
	Task tokenboundary.TaskSpec
	// Subject returns the credential of whom the task is for: an ID token, an SVID, a token of the boundary. It is called
	// once. Nil: the agent acts for itself (client_credentials).
	Subject func(context.Context) (tokenboundary.Credential, error)
	// Actor returns the credential of who acts, where that is another identity than the agent's client. It needs Subject.
	Actor func(context.Context) (tokenboundary.Credential, error)
	// Connection is the connection of the task, and of a Call that names none. It may be empty where the client has one.
	Connection string
	// Implied are scopes that a token may hold although no call asked for them, because a catalog of the boundary says
	// that others imply them. With any other, a token is refused.
	Implied []string
	// Prover holds the key that all tokens of the session are bound to; what it proves goes with every request for one.
	// Nil: only bearer tokens are accepted.
	Prover Prover
	// Early is how long before its end a token is no longer used: zero means 10 s. Of a token that lives less than four
	// times as long, it is a quarter of its life.
	Early time.Duration
	// Revocations yields the entries of the revocation feed behind a position, and waits a while where there are none.
	// What may concern a kept token drops it, so that the next call asks the boundary. Nil: a token is kept until it is
	// Early, the resource answers 401, or the session ends.
	Revocations func(ctx context.Context, after uint64) iter.Seq2[lineage.Revocation, error]
	// Clock is where time comes from. Nil: the machine's.
	Clock clock.Clock
	// Logger is told what no call returns, such as a task that could not be completed. Nil: nobody.
	Logger *slog.Logger
}

const defaultEarly = 10 * time.Second

// checked returns the configuration with its defaults. The error names the field.
func (cfg Config) checked() (Config, error) {
	t := cfg.Task
	switch {
	case cfg.Boundary == nil:
		return cfg, invalid("Config.Boundary is required")
	case t.Purpose == "":
		return cfg, invalid("Config.Task.Purpose is required")
	case len(t.Authority) == 0:
		return cfg, invalid("Config.Task.Authority is required")
	case t.ExpiresIn < 0 || t.ExpiresIn%time.Second != 0:
		return cfg, invalid("Config.Task.ExpiresIn must be whole seconds")
	case cfg.Actor != nil && cfg.Subject == nil:
		return cfg, invalid("Config.Actor needs Config.Subject")
	case cfg.Early < 0:
		return cfg, invalid("Config.Early is negative")
	}
	for _, a := range t.Authority {
		if _, err := (Call{Resource: a.Resource, Scopes: a.Scopes}).normal(); err != nil {
			return cfg, invalid("Config.Task.Authority must name a resource and its scopes")
		}
	}
	if cfg.Early == 0 {
		cfg.Early = defaultEarly
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.New()
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg, nil
}
