package verify

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
)

// Route is what a part of the resource requires of a token. The zero value lets no request through.
type Route struct {
	// Scopes are the scopes that the token must have: all of them.
	Scopes []string
	// AnyScope lets through whatever scopes the token has, where Scopes is empty.
	AnyScope bool
	// StepUp is what is required of the authentication behind the token. Nil: nothing.
	StepUp *StepUp
}

var errScope = errors.New("verify: a scope is missing")

// Require returns a middleware that lets a request through if it presents, in the Authorization header, a token that
// Verify or VerifyBound accepts and that has what the route requires. The handler finds the claims with ClaimsFrom, and
// the use is reported to the boundary with the scopes of the route. Every other request is answered here, as RFC 6750,
// section 3, RFC 9449, section 7.1, and RFC 9470, section 3, say, with the URL of the metadata (RFC 9728, section 5.1):
//
//	no token                    401, a challenge without an error
//	more than one, or malformed 400 invalid_request
//	not acceptable              401 invalid_token
//	no good proof of its key    401 invalid_dpop_proof
//	authentication              401 insufficient_user_authentication
//	scopes                      403 insufficient_scope
//	it cannot be told           503, Retry-After
func (v *Verifier) Require(route Route) func(http.Handler) http.Handler {
	route.Scopes = slices.Clone(route.Scopes)
	if route.StepUp != nil {
		s := StepUp{ACR: slices.Clone(route.StepUp.ACR), MaxAge: route.StepUp.MaxAge}
		route.StepUp = &s
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := present(r)
			var c tokenboundary.Claims
			if err == nil {
				c, err = v.admit(r, p)
			}
			if err == nil {
				err = v.permits(route, c)
			}
			if err != nil {
				no := refused(err, p)
				v.cfg.Logger.DebugContext(r.Context(), "request refused", "status", no.status, "error", no.code, "cause", err)
				v.write(w, no, err, route.Scopes)
				return
			}
			v.Used(c, route.Scopes...)
			next.ServeHTTP(w, r.WithContext(WithClaims(r.Context(), c)))
		})
	}
}

// admit verifies the token of a request, and its proof.
func (v *Verifier) admit(r *http.Request, p presented) (tokenboundary.Claims, error) {
	if p.proof == nil {
		return v.Verify(r.Context(), p.token)
	}
	p.proof.URL = v.origin + pathOf(r)
	return v.VerifyBound(r.Context(), p.token, *p.proof)
}

// pathOf returns the path of a request as the client sent it, whatever a router has cut off since. Neither the Host header
// nor any that a proxy adds is believed.
func pathOf(r *http.Request) string {
	path, _, _ := strings.Cut(r.RequestURI, "?")
	if strings.HasPrefix(path, "/") {
		return path
	}
	return r.URL.EscapedPath()
}

// permits compares what a route requires with a verified token.
func (v *Verifier) permits(route Route, c tokenboundary.Claims) error {
	have := strings.Fields(c.Scope)
	lacks := func(s string) bool { return !slices.Contains(have, s) }
	if len(route.Scopes) == 0 && !route.AnyScope || slices.ContainsFunc(route.Scopes, lacks) {
		return errScope
	}
	if route.StepUp != nil {
		return route.StepUp.Check(c, v.cfg.Clock.Now())
	}
	return nil
}

type claimsKey struct{}

// WithClaims returns a context with the claims of a token that was verified, for hosts that do not use Require.
func WithClaims(ctx context.Context, c tokenboundary.Claims) context.Context {
	return context.WithValue(ctx, claimsKey{}, c)
}

// ClaimsFrom returns the claims of the verified token that the request came with: whose authority it is (Subject), who acts
// (Act, the current actor outermost, or the subject itself), in which Task. False where no token was verified.
func ClaimsFrom(ctx context.Context) (tokenboundary.Claims, bool) {
	c, ok := ctx.Value(claimsKey{}).(tokenboundary.Claims)
	return c, ok
}
