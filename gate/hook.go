package gate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// HookConfig configures a Hook. Governor, Codec and Secrets are required.
type HookConfig struct {
	Governor *tokenboundary.Governor
	Codec    Codec
	// Header is the header in which the server sends its secret, as its whole value. Empty: Authorization.
	Header string
	// Secrets are one secret or, while it is being changed, two.
	Secrets []Secret
	// Timeout bounds how long a decision may take. Zero: two seconds, since Okta waits for three.
	Timeout time.Duration
	// Logger receives a line per call, without any value that came with it but the client's id. Nil: nothing is logged.
	Logger *slog.Logger
}

// Hook answers the calls of one server. It is safe for concurrent use; make it with NewHook.
type Hook struct {
	cfg     HookConfig
	callers callers
}

// NewHook returns the handler of a server's calls. The error names what it cannot work with.
func NewHook(cfg HookConfig) (*Hook, error) {
	switch {
	case cfg.Governor == nil:
		return nil, errors.New("gate: HookConfig.Governor is required")
	case cfg.Codec == nil:
		return nil, errors.New("gate: HookConfig.Codec is required")
	case cfg.Timeout < 0:
		return nil, errors.New("gate: HookConfig.Timeout is negative")
	}
	if c, ok := cfg.Codec.(interface{ usable() error }); ok {
		if err := c.usable(); err != nil {
			return nil, err
		}
	}
	known, err := callersOf(cfg.Secrets)
	if err != nil {
		return nil, err
	}
	cfg.Secrets = nil // only their digests are kept
	if cfg.Header == "" {
		cfg.Header = "Authorization"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 2 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Hook{cfg: cfg, callers: known}, nil
}

// ServeHTTP implements http.Handler.
func (h *Hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), h.cfg.Timeout)
	defer cancel()
	d, answer, err := h.serve(ctx, r)
	level, attrs := slog.LevelInfo, []slog.Attr{slog.String("client", d.Client), slog.String("decision", d.ID.String())}
	if d.Effect != tokenboundary.Allow {
		attrs = append(attrs, slog.String("error", string(d.Code)))
	}
	if err != nil {
		e := exchange.AsError(err)
		answer = h.cfg.Codec.Fail(e)
		attrs = append(attrs, slog.String("error", e.Code))
		if e.Status >= http.StatusInternalServerError {
			level, attrs = slog.LevelError, append(attrs, slog.String("cause", err.Error()))
		}
		switch e.Status {
		case http.StatusUnauthorized:
			w.Header().Set("WWW-Authenticate", `ApiKey realm="tokenboundary"`)
		case http.StatusMethodNotAllowed:
			w.Header().Set("Allow", http.MethodPost)
		}
	}
	h.cfg.Logger.LogAttrs(ctx, level, "hook", append(attrs, slog.Int("status", answer.Status))...)
	answer.write(w)
}

// serve authenticates the caller before anything is read, and decides what it asks.
func (h *Hook) serve(ctx context.Context, r *http.Request) (tokenboundary.Decision, Answer, error) {
	var none tokenboundary.Decision
	switch {
	case !h.callers.know(r.Header, h.cfg.Header):
		e := &exchange.Error{Code: exchange.CodeInvalidClient, Description: "the caller is not known", Status: http.StatusUnauthorized}
		return none, Answer{}, e
	case r.Method != http.MethodPost:
		return none, Answer{}, problem(http.StatusMethodNotAllowed, "only POST is allowed")
	}
	body, err := readBody(r)
	if err != nil {
		return none, Answer{}, err
	}
	call, err := decode(h.cfg.Codec, body)
	if err != nil {
		return none, Answer{}, problem(http.StatusBadRequest, err.Error())
	}
	if rec := call.Recording; rec != nil {
		err := h.cfg.Governor.Record(ctx, rec.Decision, tokenboundary.HostToken{Handle: rec.Handle})
		return tokenboundary.Decision{ID: rec.Decision.ID, Effect: tokenboundary.Allow}, rec.Done, err
	}
	d, err := h.decide(ctx, call.Request)
	switch {
	case errors.Is(err, tokenboundary.ErrUnauthenticated): // a client that the boundary does not know is no fault of the server
		d, err = tokenboundary.Decision{Code: tokenboundary.CodeUnauthorizedClient}, nil
	case err != nil:
		return none, Answer{}, err
	}
	return d, call.Answer(d), nil
}

// decide asks the Governor, and waits no longer than the server does: an allow that comes too late is recorded, and never
// heard of.
func (h *Hook) decide(ctx context.Context, req tokenboundary.Request) (tokenboundary.Decision, error) {
	type outcome struct {
		d   tokenboundary.Decision
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		var o outcome
		defer func() {
			if v := recover(); v != nil {
				o = outcome{err: fmt.Errorf("panic (%T) in a decision", v)}
			}
			done <- o
		}()
		o.d, o.err = h.cfg.Governor.Decide(ctx, req)
	}()
	select {
	case o := <-done:
		return o.d, o.err
	case <-ctx.Done():
		return tokenboundary.Decision{}, fmt.Errorf("%w: no decision in time", tokenboundary.ErrUnavailable)
	}
}
