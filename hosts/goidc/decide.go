package goidc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/luikyv/go-oidc/pkg/goidc"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// handleGrant decides a grant before the provider keeps it and mints for it. At a refresh, the grant is the one that was
// kept: it is left as it is, so that what is narrowed once can be had again where policy allows it.
func (h *host) handleGrant(ctx context.Context, kind goidc.GrantType, grant *goidc.Grant) error {
	if origin := originOf(kind, grant); h.undecided(origin) {
		keep(grant, kept{Undecided: origin})
		return nil
	}
	c := callOf(ctx)
	if c == nil {
		return errors.New("tokenboundary: no Middleware around the provider")
	}
	d, err := h.decide(ctx, c, kind, grant)
	if err != nil {
		return c.refuse(err)
	}
	c.grant, c.decision = grant.ID, &d
	if kind != goidc.GrantRefreshToken {
		grant.Subject, grant.Scopes, grant.Resources = d.Subject.ID, strings.Join(d.Scopes(), " "), d.Audience
		grant.AuthDetails = detailsOf(d)
		keep(grant, kept{Family: d.Family})
	}
	if kind == goidc.GrantRefreshToken || c.wantsRefresh(kind) {
		return h.record(ctx, c)
	}
	return nil
}

// decide asks the boundary. An error is a refusal too.
func (h *host) decide(ctx context.Context, c *call, kind goidc.GrantType, grant *goidc.Grant) (tb.Decision, error) {
	var none tb.Decision
	client, err := h.op.Client(ctx, grant.ClientID)
	switch {
	case err != nil:
		return none, fmt.Errorf("%w: client: %w", tb.ErrUnavailable, err)
	case client.IsPublic(): // whoever sends its id passes for it
		return none, tb.ErrUnauthenticated
	}
	req, err := h.request(ctx, c, kind, grant)
	if err != nil {
		return none, err
	}
	d, err := h.g.Decide(ctx, req)
	switch {
	case err != nil:
		return none, err
	case d.Effect != tb.Allow:
		return none, &tb.DeniedError{Decision: d}
	case c.wantsRefresh(kind) && (h.cfg.RefreshTokens == nil || d.Family.IsZero() || !slices.Contains(client.GrantTypes, goidc.GrantRefreshToken)):
		// The provider would answer without one.
		return none, &exchange.Error{Code: string(tb.CodeInvalidRequest), Description: "requested_token_type was refused"}
	}
	return d, nil
}

// originOf returns the kind of grant that a request goes on with: at a refresh, what the grant began as.
func originOf(kind goidc.GrantType, grant *goidc.Grant) goidc.GrantType {
	if kind == goidc.GrantRefreshToken {
		return keptOf(grant).Undecided
	}
	return kind
}

// request makes a request of what the provider has verified, and of the form.
func (h *host) request(ctx context.Context, c *call, kind goidc.GrantType, grant *goidc.Grant) (tb.Request, error) {
	req := tb.Request{Grant: governed[kind]} // one that is not governed is refused, and that is recorded
	switch parsed, err := c.parse(kind); {
	case req.Grant == "":
	case err != nil:
		req.Malformed = tb.Code(exchange.AsError(err).Code)
	case parsed.Grant != req.Grant:
		req.Malformed = tb.CodeInvalidRequest
	default:
		req = parsed
	}
	client := lineage.Party{ID: grant.ClientID, Issuer: h.g.Issuer()}
	req.Client = tb.Credential{ID: grant.ClientID, Verified: &tb.Principal{Party: client}}
	if grant.JWKThumbprint != "" {
		req.Proof = tb.Credential{Type: tb.TypeDPoP, Verified: &tb.Principal{Party: client, Key: grant.JWKThumbprint}}
	}
	req.Deferrable = false // an answer of the provider has no place for a deferral code
	req.Enforce = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord
	var err error
	switch {
	case req.Malformed != "":
	case req.Grant == tb.Refresh:
		req.Subject = tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{Party: client, Lineage: keptOf(grant).Family}}
	case req.Grant == tb.Exchange:
		if req.Subject, err = h.present(ctx, req.Subject); err == nil {
			req.Actor, err = h.present(ctx, req.Actor)
		}
	}
	return req, err
}

// wantsRefresh reports whether an exchange asks for a refresh token, which is then all that it gets.
func (c *call) wantsRefresh(kind goidc.GrantType) bool {
	return c != nil && kind == goidc.GrantTokenExchange && c.form.Get("requested_token_type") == tb.TypeRefreshToken
}

// parse reads the form as a request. Which kind of token is asked for is the provider's matter, except that it must be one
// that carries the decision.
func (c *call) parse(kind goidc.GrantType) (tb.Request, error) {
	if c.malformed != nil {
		return tb.Request{}, c.malformed
	}
	if !c.wantsRefresh(kind) {
		return exchange.Parse(c.form)
	}
	return exchange.Parse(c.form.Without("requested_token_type"))
}

// detailsOf returns the authorization_details of the token as the provider keeps them; nil where there are none.
func detailsOf(d tb.Decision) []goidc.AuthDetail {
	var out []goidc.AuthDetail
	for _, raw := range d.Granted.Details {
		var one goidc.AuthDetail
		if json.Unmarshal(raw, &one) == nil { // canonical JSON objects
			out = append(out, one)
		}
	}
	return out
}
