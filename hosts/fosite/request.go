package fosite

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/ory/fosite"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// maxForm bounds the form of a request, in bytes.
const maxForm = 256 << 10

// request makes a request of what fosite has verified, and of the form. Malformed is what the client is told of a form that
// is no request; the Governor refuses that, so that it is recorded.
func (h *handler) request(ctx context.Context, ar *fosite.AccessRequest) (req tb.Request, malformed, err error) {
	req.Grant = governed[grantType(ar)] // of one that is not governed, none: that is refused, and recorded
	if req.Grant != "" {
		switch parsed, err := parse(ar); {
		case err != nil:
			malformed, req.Malformed = err, tb.Code(exchange.AsError(err).Code)
		case parsed.Grant != req.Grant:
			req.Malformed = tb.CodeInvalidRequest
		default:
			req = parsed
		}
	}
	client := lineage.Party{ID: ar.GetClient().GetID(), Issuer: h.cfg.Governor.Issuer()}
	req.Client = tb.Credential{ID: client.ID, Verified: &tb.Principal{Party: client, Identity: true}}
	req.Deferrable = false // an answer of fosite has no place for a deferral code
	req.Enforce = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord
	req.Lifetime = max(0, h.lifespan(ctx, ar, fosite.AccessToken))
	switch {
	case req.Malformed != "":
	case req.Grant == tb.Refresh: // the family is the parent of every token in it
		req.Subject = tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{Party: client, Lineage: parentOf(ar.GetSession())}}
	case req.Grant == tb.Exchange:
		if req.Subject, err = h.present(ctx, req.Subject); err == nil {
			req.Actor, err = h.present(ctx, req.Actor)
		}
	}
	return req, malformed, err
}

// parse reads the form as a request. The form is fosite's, with the parameters of the body only.
func parse(ar *fosite.AccessRequest) (tb.Request, error) {
	size := 0
	for name, values := range ar.Form {
		for _, v := range values {
			size += len(name) + len(v) + 2
		}
	}
	if size > maxForm {
		return tb.Request{}, &exchange.Error{Code: string(tb.CodeInvalidRequest), Description: "the body is too large", Status: 413}
	}
	form, err := exchange.ParseForm(strings.NewReader(ar.Form.Encode()))
	if err != nil {
		return tb.Request{}, err
	}
	return exchange.Parse(form)
}

// lifespan returns how long the server lets a token live.
func (h *handler) lifespan(ctx context.Context, r fosite.AccessRequester, kind fosite.TokenType) time.Duration {
	most := h.config.GetAccessTokenLifespan(ctx)
	if kind == fosite.RefreshToken {
		most = h.config.GetRefreshTokenLifespan(ctx)
	}
	return fosite.GetEffectiveLifespan(r.GetClient(), fosite.GrantType(grantType(r)), kind, most)
}

// present makes a credential of a subject or actor token. What the server has issued is found in its storage, whatever type
// it is said to be, and is what its record says. Everything else is for the identity sources of the Governor.
func (h *handler) present(ctx context.Context, c tb.Credential) (tb.Credential, error) {
	if c.IsZero() {
		return c, nil
	}
	if saysDecided(c.Value) {
		c.Type = tb.TypeAccessToken // and never a credential in its own right, even where the server has forgotten it
	}
	found, err := h.access(ctx, c.Value)
	switch {
	case err != nil:
		return c, fmt.Errorf("%w: %w", tb.ErrUnavailable, err)
	case found == nil:
		return c, nil
	}
	c.Type = tb.TypeAccessToken
	if h.strategy.ValidateAccessToken(ctx, found, c.Value) != nil {
		return c, nil // refused as no token of the boundary
	}
	p, err := h.principal(ctx, found)
	if err == nil {
		c.Verified = &p
	} else if !errors.Is(err, tb.ErrUnavailable) {
		err = nil
	}
	return c, err
}

// principal says who stands behind an access token of the server.
func (h *handler) principal(ctx context.Context, r fosite.Requester) (tb.Principal, error) {
	ends := r.GetSession().GetExpiresAt(fosite.AccessToken)
	if id := idOf(r.GetSession()); !id.IsZero() {
		return tb.Principal{Party: lineage.Party{ID: r.GetSession().GetSubject()}, Lineage: id, Expires: ends}, nil
	}
	if h.cfg.Subject == nil {
		return tb.Principal{}, errors.New("tokenboundary: a token of an undecided grant")
	}
	p, err := h.cfg.Subject(ctx, r)
	if p.Expires.IsZero() || !ends.IsZero() && ends.Before(p.Expires) {
		p.Expires = ends
	}
	return p, err
}
