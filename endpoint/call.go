package endpoint

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime"
	"strconv"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// call is one request on its way through a handler, and what the log will say of it.
type call struct {
	http.ResponseWriter
	r      *http.Request
	id     string // the segment of the path that names something
	client string // set once the client is authenticated
	bearer bool   // a client can also authenticate with an assertion as a bearer
	status int    // zero until the answer has begun
}

// WriteHeader implements http.ResponseWriter.
func (c *call) WriteHeader(status int) {
	c.status = status
	c.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (c *call) Write(p []byte) (int, error) {
	if c.status == 0 {
		c.WriteHeader(http.StatusOK)
	}
	return c.ResponseWriter.Write(p)
}

// Unwrap serves http.ResponseController.
func (c *call) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// json answers with v.
func (c *call) json(status int, v any) error {
	body, err := marshal(v)
	if err != nil {
		return err
	}
	return c.raw(status, body)
}

// raw answers with a JSON body. Headers that are set already stay.
func (c *call) raw(status int, body []byte) error {
	kept := c.Header().Get("Cache-Control")
	exchange.Headers(c.Header())
	if kept != "" {
		c.Header().Set("Cache-Control", kept)
		c.Header().Del("Pragma")
	}
	c.WriteHeader(status)
	_, _ = c.Write(body) // the client is gone if this fails
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := h.cfg.Clock.Now()
	c := &call{ResponseWriter: w, r: r}
	pattern := ""
	rt, id, allow := h.find(r)
	var err error
	switch {
	case rt != nil:
		c.id, pattern = id, rt.pattern
		err = run(rt.handle, c)
	case allow != nil:
		c.Header().Set("Allow", strings.Join(allow, ", "))
		err = problem(http.StatusMethodNotAllowed, "the method is not allowed here")
	default:
		err = problem(http.StatusNotFound, "there is no such thing")
	}
	attrs := []slog.Attr{slog.String("method", method(r.Method)), slog.String("route", pattern)}
	if err != nil {
		attrs = append(attrs, c.fail(err)...)
	}
	if c.client != "" {
		attrs = append(attrs, slog.String("client", c.client))
	}
	attrs = append(attrs, slog.Int("status", c.status), slog.Duration("duration", h.cfg.Clock.Since(start)))
	level := slog.LevelInfo
	if c.status >= http.StatusInternalServerError || errors.Is(err, http.ErrAbortHandler) {
		level = slog.LevelError
	}
	h.cfg.Logger.LogAttrs(r.Context(), level, "request", attrs...)
	if errors.Is(err, http.ErrAbortHandler) {
		panic(http.ErrAbortHandler) // what was sent is not all of it: the connection must say so
	}
}

// fail answers with an error and returns what the log says of it. The text of an error is logged only where the fault
// is ours: that of a refusal may speak of the request.
func (c *call) fail(err error) []slog.Attr {
	if errors.Is(err, http.ErrAbortHandler) {
		return []slog.Attr{slog.String("cause", err.Error())}
	}
	e := exchange.AsError(err)
	if e.Status == http.StatusUnauthorized && c.bearer {
		c.Header()["Www-Authenticate"] = []string{
			`Basic realm="tokenboundary", charset="UTF-8"`, `Bearer realm="tokenboundary"`,
		}
	}
	e.Write(c)
	attrs := []slog.Attr{slog.String("error", e.Code)}
	var denied *tokenboundary.DeniedError
	if errors.As(err, &denied) { // by this id an operator finds the reason in the lineage
		attrs = append(attrs, slog.String("decision", denied.Decision.ID.String()), slog.String("parameter", denied.Decision.Parameter))
	}
	if e.Status >= http.StatusInternalServerError {
		attrs = append(attrs, slog.String("cause", err.Error()))
	}
	return attrs
}

// run calls a handler and turns a panic into an error that says where it happened and nothing of the values. After the
// answer has begun, any error means that the connection has to be cut.
func run(handle func(*call) error, c *call) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("panic (%T) at %s", v, where())
		}
		if err != nil && c.status != 0 && !errors.Is(err, http.ErrAbortHandler) {
			err = fmt.Errorf("%w: %w", http.ErrAbortHandler, err)
		}
	}()
	return handle(c)
}

// where returns the functions on the stack of a panic, without their arguments.
func where() string {
	pcs := make([]uintptr, 32)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs)])
	var out []string
	for {
		f, more := frames.Next()
		out = append(out, f.Function+":"+strconv.Itoa(f.Line))
		if !more {
			return strings.Join(out, " < ")
		}
	}
}

func problem(status int, why string) error {
	return &exchange.Error{Code: string(tokenboundary.CodeInvalidRequest), Description: why, Status: status}
}

func bad(why string) error { return problem(http.StatusBadRequest, why) }

// method bounds what a log line says of a method, which is up to the sender.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return m
	}
	return "other"
}
