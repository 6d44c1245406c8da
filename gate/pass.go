package gate

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// pass is one request on its way through the gate.
type pass struct {
	g        *Gate
	asked    tokenboundary.Request // what the form says, for the endpoint
	req      tokenboundary.Request // the same for the Governor
	refresh  string                // the refresh token that the endpoint knows
	decision tokenboundary.Decision
	answer   answer
}

// enforced is what the gate can enforce: scopes and resources by what it forwards, the lifetime by discarding a token that
// lives for longer.
const enforced = tokenboundary.CapScopes | tokenboundary.CapResources | tokenboundary.CapLifetime | tokenboundary.CapRecord

// serve takes a request through the gate: decide, forward, check, record.
func (g *Gate) serve(ctx context.Context, r *http.Request) (*pass, error) {
	p := &pass{g: g}
	if r.Method != http.MethodPost {
		return p, problem(http.StatusMethodNotAllowed, "only POST is allowed")
	}
	f, malformed := exchange.ReadForm(r)
	cred, err := exchange.FormCredential(r, f, malformed)
	if err != nil {
		return p, err
	}
	malformed = p.read(f, malformed)
	p.req.Client, p.req.Enforce = cred, enforced
	if err := p.decide(ctx); err != nil {
		var denied *tokenboundary.DeniedError
		if errors.As(err, &denied) && malformed != nil {
			err = malformed // says more than the code
		}
		return p, err
	}
	auth := g.cfg.Clients[p.decision.Client]
	if auth == nil {
		return p, fmt.Errorf("%w: the gate has no credential of the client at the endpoint", tokenboundary.ErrUnavailable)
	}
	res, err := p.forward(ctx, auth)
	if err != nil {
		return p, p.declined(ctx, err)
	}
	if err := p.release(ctx, res); err != nil {
		g.discard(ctx, auth, res)
		return p, err
	}
	return p, nil
}

// read makes requests of the form. What is no request, or cannot be forwarded, says so; it is refused when its client is
// known, and recorded.
func (p *pass) read(f exchange.Form, malformed error) error {
	if malformed == nil {
		p.asked, malformed = exchange.Parse(f)
	}
	switch {
	case malformed != nil:
	case p.asked.Grant == tokenboundary.Deferred:
		malformed = &exchange.Error{Code: exchange.CodeUnsupportedGrantType, Description: "grant_type is not supported"}
	case len(p.asked.Details) > 0:
		malformed = &exchange.Error{Code: string(tokenboundary.CodeInvalidDetails), Description: "authorization_details of another type than task"}
	}
	if malformed != nil {
		p.req = tokenboundary.Request{Malformed: tokenboundary.Code(exchange.AsError(malformed).Code)}
		return malformed
	}
	p.asked.Deferrable = false // what is polled for later cannot be forwarded then
	p.req = p.asked
	p.req.Subject, p.req.Actor = ours(p.asked.Subject), ours(p.asked.Actor)
	if p.asked.Grant == tokenboundary.Refresh {
		family, token := p.g.seals.open(p.asked.Subject.Value)
		p.refresh = token
		renew(&p.req, family)
	}
	return nil
}

// ours returns the credential of a token that was released here: whoever presents it knows what has the digest that was
// recorded. Any other is verified by the boundary's identity sources.
func ours(c tokenboundary.Credential) tokenboundary.Credential {
	if c.Type != tokenboundary.TypeAccessToken {
		return c
	}
	out := verified(tokenboundary.TypeAccessToken, "token")
	out.Verified.Handle = Handle(c.Value)
	return out
}

// decide asks the Governor. An allow of nothing but deriving is refused: the endpoint would take a request without scopes
// for one of its defaults.
func (p *pass) decide(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.g.cfg.Timeout)
	defer cancel()
	d, err := p.g.cfg.Governor.Decide(ctx, p.req)
	p.decision = d
	switch {
	case err != nil:
		return err
	case d.Effect != tokenboundary.Allow:
		return &tokenboundary.DeniedError{Decision: d}
	case len(d.Scopes()) == 0:
		return p.object(ctx, tokenboundary.Request{Malformed: tokenboundary.CodeInvalidScope})
	}
	return nil
}

// object refuses what was allowed, because it cannot be had from the endpoint, and records that. As is the request that
// what came back would be the answer to.
func (p *pass) object(ctx context.Context, as tokenboundary.Request) error {
	as.Client = p.req.Client
	d, err := p.g.cfg.Governor.Decide(ctx, as)
	if err == nil && d.Effect == tokenboundary.Allow { // policy would, but the client has not asked for it
		d, err = p.g.cfg.Governor.Decide(ctx, tokenboundary.Request{Client: p.req.Client, Malformed: tokenboundary.CodeInvalidScope})
	}
	if err != nil {
		return err
	}
	p.decision = d
	return &tokenboundary.DeniedError{Decision: d}
}

// declined records that the endpoint has refused what was allowed. Where nothing is known of its answer, there is nothing to
// record.
func (p *pass) declined(ctx context.Context, err error) error {
	var told *exchange.Error
	if !errors.As(err, &told) {
		return err
	}
	var denied *tokenboundary.DeniedError
	if no := p.object(ctx, tokenboundary.Request{Malformed: tokenboundary.Code(told.Code)}); !errors.As(no, &denied) {
		return no
	}
	return told
}
