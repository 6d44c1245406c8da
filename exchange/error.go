package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// The codes of errors that are answered here and are no refusal by the Governor.
const (
	CodeInvalidClient          = "invalid_client"          // RFC 6749, section 5.2
	CodeUnsupportedGrantType   = "unsupported_grant_type"  // RFC 6749, section 5.2
	CodeTemporarilyUnavailable = "temporarily_unavailable" // nothing could be decided; try again
	CodeServerError            = "server_error"
)

// Error is an OAuth error answer (RFC 6749, section 5.2). As the answer of a server it says nothing that the client
// may not know; as the result of a Client it is what the server said.
type Error struct {
	Code string
	// Description names the parameter that was refused. It never holds a value, or the name of a policy or rule.
	Description string
	// Status is the HTTP status; zero means 400.
	Status int
	// RetryAfter is when to try again; zero where the answer does not say.
	RetryAfter time.Duration
	// Deferral is set where the request waits (authorization_pending, slow_down) and the answer says more of it.
	Deferral *Deferral
}

// Error implements error.
func (e *Error) Error() string {
	out := fmt.Sprintf("exchange: %s (status %d)", clean(e.Code, 64), e.status())
	if e.Description != "" {
		out += ": " + clean(e.Description, maxDescription)
	}
	return out
}

func (e *Error) status() int {
	if e.Status == 0 {
		return http.StatusBadRequest
	}
	return e.Status
}

// Write answers a request with e: JSON that no cache keeps, and, where the client was not authenticated, the scheme by
// which it can be. A challenge that is set in the header already stays.
func (e *Error) Write(w http.ResponseWriter) {
	var d Deferral
	if e.Deferral != nil {
		d = *e.Deferral
	}
	body, err := json.Marshal(struct {
		Code        string `json:"error"`
		Description string `json:"error_description,omitempty"`
		Deferral    string `json:"deferral_code,omitempty"`
		ExpiresIn   int64  `json:"expires_in,omitempty"`
		Interval    int64  `json:"interval,omitempty"`
	}{clean(e.Code, 64), clean(e.Description, maxDescription), d.Code.Value, int64(d.ExpiresIn / time.Second), upward(d.Interval)})
	if err != nil {
		body = []byte(`{"error":"server_error"}`)
	}
	h := w.Header()
	Headers(h)
	if e.status() == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Basic realm="tokenboundary", charset="UTF-8"`)
	}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(upward(e.RetryAfter), 10))
	}
	w.WriteHeader(e.status())
	_, _ = w.Write(body) // the client is gone if this fails
}

// upward returns d in whole seconds, so that nobody comes back too early.
func upward(d time.Duration) int64 { return int64(math.Ceil(d.Seconds())) }

// Headers sets the headers of every JSON answer that depends on a request: it is not to be cached or sniffed.
func Headers(h http.Header) {
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	h.Set("X-Content-Type-Options", "nosniff")
}

// AsError returns what a client is told of an error of the Governor or of this package. What is not known to be safe
// becomes server_error, with nothing of its text. The result is never nil.
func AsError(err error) *Error {
	var ready *Error
	var denied *tokenboundary.DeniedError
	switch {
	case errors.As(err, &ready) && ready != nil:
		return ready
	case errors.Is(err, tokenboundary.ErrUnavailable), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return unavailable(err)
	case errors.As(err, &denied) && denied != nil:
		return refusal(denied.Decision)
	case errors.Is(err, tokenboundary.ErrUnauthenticated):
		return &Error{Code: CodeInvalidClient, Description: "client authentication failed", Status: http.StatusUnauthorized}
	case errors.Is(err, tokenboundary.ErrForbidden):
		e := refuse(tokenboundary.CodeUnauthorizedClient, "not permitted for this client")
		e.Status = http.StatusForbidden
		return e
	}
	for _, plain := range plainErrors {
		if errors.Is(err, plain.err) {
			return &Error{Code: string(tokenboundary.CodeInvalidRequest), Description: plain.text, Status: plain.status}
		}
	}
	return &Error{Code: CodeServerError, Status: http.StatusInternalServerError}
}

var plainErrors = []struct {
	err    error
	text   string
	status int
}{
	{tokenboundary.ErrInvalid, "the request is not acceptable", http.StatusBadRequest},
	{tokenboundary.ErrNotFound, "there is no such thing", http.StatusNotFound},
	{tokenboundary.ErrConflict, "the state has changed", http.StatusConflict},
	{tokenboundary.ErrGone, "the position is not in the feed", http.StatusGone},
}

func unavailable(err error) *Error {
	e := &Error{Code: CodeTemporarilyUnavailable, Status: http.StatusServiceUnavailable, RetryAfter: time.Second}
	var u *tokenboundary.UnavailableError
	if errors.As(err, &u) && u != nil && u.RetryAfter > time.Second {
		e.RetryAfter = u.RetryAfter
	}
	return e
}

func refusal(d tokenboundary.Decision) *Error {
	e := &Error{Code: string(d.Code), Description: "refused"}
	if d.Code == "" {
		e.Code = string(tokenboundary.CodeInvalidRequest)
	}
	switch {
	case waits(e.Code):
		e.Description = "the request waits"
		e.Deferral = told(d.Deferral)
	case d.Parameter == "resource":
		e.Description = "resource or audience was refused" // both name targets, and the Governor knows them as one
	case d.Parameter != "":
		e.Description = about(d.Parameter, "was refused")
	}
	return e
}

const maxDescription = 256

// clean returns s without the characters that RFC 6749, section 5.2 keeps out of an error, and bounded.
func clean(s string, limit int) string {
	s = s[:min(len(s), limit)]
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
}

func invalid(why string) *Error { return refuse(tokenboundary.CodeInvalidRequest, why) }

func refuse(code tokenboundary.Code, why string) *Error {
	return &Error{Code: string(code), Description: why}
}

func tooLarge() *Error {
	e := invalid("the body is too large")
	e.Status = http.StatusRequestEntityTooLarge
	return e
}
