package goidc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/luikyv/go-oidc/pkg/goidc"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// call is what is known of one request to the provider. It belongs to the goroutine that answers the request.
type call struct {
	form      exchange.Form
	malformed error // why the form is not whole

	grant    string // the id of the grant that was decided
	decision *tb.Decision
	recorded bool
	answer   func(http.ResponseWriter) // takes the place of the provider's answer
}

type callKey struct{}

// callOf returns the call that ctx belongs to; nil where there is no Middleware.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// decided returns the decision on the grant; nil where it was not decided in this request.
func (c *call) decided(grant *goidc.Grant) *tb.Decision {
	if c == nil || grant == nil || c.decision == nil || c.grant != grant.ID {
		return nil
	}
	return c.decision
}

// refuse answers the request with what a client is told of err. It returns err as the provider knows errors.
func (c *call) refuse(err error) error {
	e := *exchange.AsError(err)
	if e.Status == 0 {
		e.Status = http.StatusBadRequest
	}
	c.answer = e.Write
	return goidc.WrapError(goidc.ErrorCode(e.Code), e.Description, err).WithStatusCode(e.Status)
}

// maxBody bounds the form that a request brings, in bytes.
const maxBody = 256 << 10

// Middleware keeps the form of each request for the decision on it, and holds an answer back as long as a decision is
// neither refused nor recorded. It belongs right around the provider: op.Handler(Middleware). Without it no token of a
// governed grant leaves. A form above 256 KiB is refused.
func Middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := &call{malformed: errors.New("no form")}
		if strings.HasPrefix(strings.ToLower(r.Header.Get("Content-Type")), "application/x-www-form-urlencoded") {
			body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
			if err != nil {
				c.form, err = exchange.ParseForm(failing{err})
				exchange.AsError(err).Write(w)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
			c.form, c.malformed = exchange.ReadForm(r)
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		next.ServeHTTP(&gate{ResponseWriter: w, call: c}, r.WithContext(context.WithValue(r.Context(), callKey{}, c)))
	})
}

// failing is a body that cannot be read.
type failing struct{ error }

func (f failing) Read([]byte) (int, error) { return 0, f.error }

// gate lets the provider's answer out, or the one that takes its place.
type gate struct {
	http.ResponseWriter
	call   *call
	closed bool
}

// shut reports whether the provider's answer stays in.
func (g *gate) shut() bool {
	if c := g.call; c.answer == nil && c.decision != nil && !c.recorded {
		c.answer = (&exchange.Error{Code: exchange.CodeServerError, Status: http.StatusInternalServerError}).Write
	}
	if g.call.answer == nil {
		return false
	}
	if !g.closed {
		g.closed = true
		g.call.answer(g.ResponseWriter)
	}
	return true
}

// WriteHeader implements http.ResponseWriter.
func (g *gate) WriteHeader(status int) {
	if !g.shut() {
		g.ResponseWriter.WriteHeader(status)
	}
}

// Write implements http.ResponseWriter.
func (g *gate) Write(p []byte) (int, error) {
	if g.shut() {
		return len(p), nil
	}
	return g.ResponseWriter.Write(p)
}
