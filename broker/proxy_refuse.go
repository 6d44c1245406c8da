package broker

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// refusal is an answer to a request that is not forwarded, or whose answer is not. Its text is the broker's own.
type refusal struct {
	status int
	code   string // of RFC 6750, section 3.1, where it is one of a token; empty where nothing was presented
	why    string
	scopes string
}

func (r *refusal) Error() string { return r.why }

var (
	errNoToken    = &refusal{status: http.StatusUnauthorized, why: "No access token is presented"}
	errMalformed  = &refusal{status: http.StatusBadRequest, code: "invalid_request", why: "The Authorization header is malformed, or there are two"}
	errInactive   = &refusal{status: http.StatusUnauthorized, code: "invalid_token", why: "The access token is not acceptable"}
	errScheme     = &refusal{status: http.StatusUnauthorized, code: "invalid_token", why: "The access token was presented under the wrong scheme"}
	errNoProof    = &refusal{status: http.StatusUnauthorized, code: "invalid_dpop_proof", why: "One proof of possession is required"}
	errProof      = &refusal{status: http.StatusUnauthorized, code: "invalid_dpop_proof", why: "The proof of possession is not acceptable"}
	errNotAllowed = &refusal{status: http.StatusForbidden, code: "access_denied", why: "The request is not among those that are allowed"}
	errDenied     = &refusal{status: http.StatusForbidden, code: "access_denied", why: "No credential is granted for the request"}
	errCannotTell = &refusal{status: http.StatusServiceUnavailable, code: "temporarily_unavailable", why: "The request cannot be decided now"}
	errNoLength   = &refusal{status: http.StatusLengthRequired, code: "invalid_request", why: "The length of the body has to be known"}
	errTooLarge   = &refusal{status: http.StatusRequestEntityTooLarge, code: "invalid_request", why: "The body is too long"}
	errVersion    = &refusal{status: http.StatusHTTPVersionNotSupported, code: "invalid_request", why: "HTTP/1.1 or later is required"}
	errNoAnswer   = &refusal{status: http.StatusBadGateway, code: "bad_gateway", why: "The system behind the proxy cannot be reached, or gave no acceptable answer"}
	errLate       = &refusal{status: http.StatusGatewayTimeout, code: "gateway_timeout", why: "The system behind the proxy did not answer in time"}
)

func lacksScope(r *route) *refusal {
	return &refusal{http.StatusForbidden, "insufficient_scope", "The access token lacks a scope", strings.Join(r.Scopes, " ")}
}

// badForm refuses a request by its form.
func badForm(err error) *refusal {
	return &refusal{status: http.StatusBadRequest, code: "invalid_request", why: err.Error()}
}

// form reports whether a request is refused by its form.
func (r *refusal) form() bool { return r.code == "invalid_request" }

// refused returns the answer that an error stands for.
func refused(err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, tokenboundary.ErrDenied):
		return errDenied
	case errors.Is(err, ErrOver):
		return errInactive
	}
	return errCannotTell
}

// refuse answers a request that is not let through.
func (p *Proxy) refuse(w http.ResponseWriter, r *http.Request, t target, err error) {
	no := refused(err)
	h := w.Header()
	clear(h)
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Type", "application/json")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case no.form():
		h.Set("Connection", "close") // what follows may be a part of it
	case no.status == http.StatusUnauthorized, no.scopes != "":
		h["Www-Authenticate"] = p.challenges(no)
	case no.status == http.StatusServiceUnavailable:
		h.Set("Retry-After", strconv.FormatInt(retryAfter(err), 10))
	}
	p.logRefusal(r.Context(), t, no, err)
	body, _ := json.Marshal(map[string]string{"error": cmp.Or(no.code, "invalid_request"), "error_description": no.why}) // texts of ours
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(no.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // the client is gone if this fails
	}
}

// logRefusal says why a request was not let through; of one that the boundary has decided on, with the id of the decision.
func (p *Proxy) logRefusal(ctx context.Context, t target, no *refusal, err error) {
	level, attrs := slog.LevelDebug, []any{"status", no.status, "method", t.method, "path", t.path, "cause", no.why}
	var denied *tokenboundary.DeniedError
	if errors.As(err, &denied) {
		level, attrs = slog.LevelInfo, append(attrs, "decision", denied.Decision.ID.String())
	}
	p.b.cfg.Logger.Log(ctx, level, "a request was not let through", attrs...)
}

// challenges returns the values of WWW-Authenticate (RFC 6750, section 3; RFC 9449, section 7.1).
func (p *Proxy) challenges(r *refusal) []string {
	params := ""
	if r.code != "" {
		params = ` error="` + r.code + `", error_description="` + r.why + `"`
	}
	if r.scopes != "" {
		params += `, scope="` + r.scopes + `"`
	}
	if p.cfg.Proofs == nil {
		return []string{"Bearer" + params}
	}
	dpop := "DPoP" + params
	if len(p.cfg.ProofAlgs) > 0 {
		if params != "" {
			dpop += ","
		}
		dpop += ` algs="` + strings.Join(p.cfg.ProofAlgs, " ") + `"`
	}
	return []string{"Bearer" + params, dpop}
}

// retryAfter returns in how many seconds to try again.
func retryAfter(err error) int64 {
	var u *tokenboundary.UnavailableError
	if errors.As(err, &u) && u.RetryAfter > time.Second {
		return int64(math.Ceil(u.RetryAfter.Seconds()))
	}
	return 1
}
