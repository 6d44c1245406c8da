package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/mint"
)

// api is a protected resource. It accepts only tokens that are made out to it.
type api struct {
	url      string
	verifier *mint.Verifier // what can be known offline
	self     *agent         // its own client at the boundary, to ask for the rest
}

// The routes of the APIs, each with the scope that it takes.
var (
	crmRoutes = map[string]string{
		"GET /cases": "cases:read", "POST /cases": "cases:write",
		"GET /contacts": "contacts:read", "POST /refunds": "refunds:write",
	}
	mailRoutes = map[string]string{"POST /messages": "messages:send"}
)

// startAPI serves the API that the identifier stands for. The identifier is what tokens name as aud; it need not be
// the address.
func startAPI(h *host, self *agent, identifier string, routes map[string]string) (*api, error) {
	v, err := mint.NewVerifier(mint.VerifierConfig{
		Issuer: self.issuer, Audience: identifier, URI: self.issuer + "/jwks.json",
	})
	if err != nil {
		return nil, err
	}
	a := &api{verifier: v, self: self}
	mux := http.NewServeMux()
	for route, scope := range routes {
		mux.HandleFunc(route, a.guarded(scope))
	}
	a.url, err = h.serve(mux)
	return a, err
}

// guarded answers 200 to those who hold the scope here, and otherwise as RFC 6750, section 3.1, says.
func (a *api) guarded(scope string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		refuse := func(status int, code string) {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer error=%q`, code))
			w.WriteHeader(status)
		}
		claims, err := a.accept(r.Context(), r.Header.Values("Authorization"))
		switch {
		case errors.Is(err, errToken):
			refuse(http.StatusUnauthorized, "invalid_token")
		case err != nil: // whether the token is good cannot be told now, so it is not accepted
			w.WriteHeader(http.StatusServiceUnavailable)
		case !slices.Contains(strings.Fields(claims.Scope), scope):
			refuse(http.StatusForbidden, "insufficient_scope")
		default:
			_, _ = fmt.Fprintf(w, "done for %s\n", claims.Subject)
		}
	}
}

var errToken = errors.New("the token is not acceptable")

// accept verifies a bearer token: first offline, by the boundary's public keys, and then by asking the boundary, since
// only it knows whether the token is still alive.
func (a *api) accept(ctx context.Context, headers []string) (tokenboundary.Claims, error) {
	var none tokenboundary.Claims
	if len(headers) != 1 {
		return none, errToken
	}
	token, found := strings.CutPrefix(headers[0], "Bearer ")
	if !found {
		return none, errToken
	}
	claims, err := a.verifier.Verify(ctx, token)
	switch {
	case errors.Is(err, tokenboundary.ErrUnavailable):
		return none, err
	case err != nil:
		return none, errToken
	}
	active, err := a.self.introspect(ctx, token)
	switch {
	case err != nil:
		return none, err
	case !active:
		return none, errToken
	}
	return claims, nil
}

// status calls a route of the API with a token, as whoever holds it, and returns the status of the answer.
func (a *api) status(ctx context.Context, route, token string) (int, error) {
	method, path, _ := strings.Cut(route, " ")
	r, err := http.NewRequestWithContext(ctx, method, a.url+path, nil)
	if err != nil {
		return 0, err
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	status, _, err := call(r)
	return status, err
}
