package broker

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Bounds of what a request presents.
const (
	maxAuthorization = 9 << 10 // no token of the boundary is longer than 8 KiB
	maxProof         = 16 << 10
	proofLife        = 5 * time.Minute // at most
	proofSlack       = 10 * time.Second
	maxProofs        = 200_000 // that are remembered until they end
)

// presented is the token of a request.
type presented struct {
	raw   string
	bound bool   // under the scheme DPoP
	proof string // of possession
}

// present reads the token of a request: from one Authorization header, under the scheme Bearer or DPoP (RFC 6750, section
// 2.1; RFC 9449, section 7.1).
func present(h http.Header) (presented, error) {
	headers := h["Authorization"]
	switch {
	case len(headers) == 0:
		return presented{}, errNoToken
	case len(headers) > 1 || len(headers[0]) > maxAuthorization:
		return presented{}, errMalformed
	}
	scheme, rest, _ := strings.Cut(headers[0], " ")
	p := presented{raw: strings.TrimLeft(rest, " "), bound: strings.EqualFold(scheme, "DPoP")}
	switch {
	case !p.bound && !strings.EqualFold(scheme, "Bearer"):
		return presented{}, errNoToken
	case p.raw == "" || strings.ContainsAny(p.raw, " \t,"):
		return presented{}, errMalformed
	case !p.bound:
		return p, nil
	}
	proofs := h["Dpop"]
	if len(proofs) != 1 || len(proofs[0]) > maxProof {
		return presented{}, errNoProof
	}
	p.proof = proofs[0]
	return p, nil
}

// access is what a request may do.
type access struct {
	token   presented
	id      lineage.ID
	route   *route
	proof   tokenboundary.Credential // that was verified; zero for a bearer token
	asked   bool                     // the token is active
	gateway *forwardAuth             // that the credential is delivered to; nil: it stays with the broker
}

// admit decides whether a request is let through, for whoever asks in whichever way: which request it is, as read says, whose
// token it is, whether the token is proved, and whether it permits the request. A proof is spent. That the token is active now
// is known only where that was asked; otherwise the lease says it: see use.
func (p *Proxy) admit(r *http.Request, read func(*http.Request) (target, error)) (target, access, error) {
	t, err := read(r)
	if err != nil {
		return t, access{}, err
	}
	token, err := present(r.Header)
	if err != nil {
		return t, access{}, err
	}
	k, asked, err := p.recognise(r.Context(), token.raw)
	if err != nil {
		return t, access{}, err
	}
	a, err := p.permit(r.Context(), t, token, k)
	if err != nil && !asked { // whose token is dead is told nothing else
		if _, dead := p.introspect(r.Context(), token.raw); dead != nil {
			err = dead
		}
	}
	a.asked = asked
	return t, a, err
}

// permit decides on what a token says.
func (p *Proxy) permit(ctx context.Context, t target, token presented, k known) (access, error) {
	if token.bound != (k.thumbprint != "") {
		return access{}, errScheme
	}
	a := access{token: token, id: k.id}
	var principal tokenboundary.Principal
	var err error
	if token.bound {
		if principal, err = p.prove(ctx, t, token, k.thumbprint); err != nil {
			return access{}, err
		}
	}
	if a.route = find(p.routes, t.method, t.path); a.route == nil {
		return access{}, errNotAllowed
	}
	if !within(a.route.Scopes, k.scopes) {
		return access{}, lacksScope(a.route)
	}
	if len(k.details) > 0 && !named(k.details, p.b.cfg.Client.Resource, t) {
		return access{}, errNotAllowed
	}
	if token.bound {
		if err := p.b.proofs.spend(principal.Key+" "+principal.Once, principal.Expires, p.b.cfg.Clock.Now()); err != nil {
			return access{}, err
		}
		principal.Once = "" // it was spent
		a.proof = tokenboundary.Credential{Type: tokenboundary.TypeDPoP, Verified: &principal}
	}
	return a, nil
}
