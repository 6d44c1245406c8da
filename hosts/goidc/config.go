package goidc

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/luikyv/go-oidc/pkg/goidc"
	"github.com/luikyv/go-oidc/pkg/provider"

	tb "github.com/tokenboundary/tokenboundary"
)

// Config says how a provider is governed. Its zero value governs client_credentials and token exchange, and lets no other
// grant through.
type Config struct {
	// RefreshTokens finds the grant of a refresh token. Nil: there is no refresh grant.
	RefreshTokens goidc.RefreshTokenManager
	// Token chooses the form of access tokens and their longest lifetime, which the decision may shorten. Only JWTs are
	// supported. Nil: RS256, and the lifetime of the decision.
	Token goidc.TokenOptionsFunc
	// Claims adds claims to access tokens. It cannot replace those that follow from a decision.
	Claims goidc.TokenClaimsFunc
	// Introspection and Revocation say which clients may use these endpoints. Nil: there is no such endpoint. They need an
	// Operator.
	Introspection goidc.IsClientAllowedTokenIntrospectionFunc
	Revocation    goidc.IsClientAllowedFunc
	// Operator is the client of kind operator in whose name the state of tokens is read, and in whose name they are
	// revoked.
	Operator tb.Client
	// Undecided names grants, other than the three that are governed, that the provider issues tokens for by itself, and
	// whose refresh tokens it goes on with. A grant that is not here is refused.
	Undecided []goidc.GrantType
	// Subject says what an access token of an undecided grant carries when it is presented in an exchange; it has been
	// found active by the provider. Its Authority bounds what is made from it, the number of actors too (Depth). An error
	// refuses it. Nil: such a token is no subject.
	Subject func(context.Context, goidc.TokenInfo) (tb.Principal, error)
}

// governed are the grants that are decided.
var governed = map[goidc.GrantType]tb.Grant{
	goidc.GrantClientCredentials: tb.ClientCredentials,
	goidc.GrantTokenExchange:     tb.Exchange,
	goidc.GrantRefreshToken:      tb.Refresh,
}

// host is what the callbacks of one provider share.
type host struct {
	g   *tb.Governor
	cfg Config
	op  *provider.Provider // known from when the options are applied
}

// Options returns the options that put g in front of every token of a provider. They enable client_credentials, token
// exchange and, with Config.RefreshTokens, refresh; the provider's Handler must be given Middleware. They come last: one of
// them that a later option replaces would be missing, and then no token of a governed grant leaves.
//
// A Config that has no meaning is an error of provider.New.
func Options(g *tb.Governor, cfg Config) []provider.Option {
	h := &host{g: g, cfg: cfg}
	opts := []provider.Option{
		h.bind,
		provider.WithClientCredentialsGrant(),
		provider.WithTokenExchangeGrant(exchanged),
		provider.WithTokenExchangeClientAuthnRequired(),
		provider.WithGrantHandler(h.handleGrant),
		provider.WithJWTIDFunc(tokenID),
		provider.WithTokenOptions(h.tokenOptions),
		provider.WithTokenClaims(h.tokenClaims),
		provider.WithTokenHandler(h.handleToken),
	}
	if cfg.RefreshTokens != nil {
		opts = append(opts, provider.WithRefreshTokenGrant(copies{cfg.RefreshTokens}), provider.WithRefreshTokenShouldIssue(h.refreshable))
	}
	if cfg.Introspection != nil {
		opts = append(opts, provider.WithTokenIntrospection(h.introspectable))
	}
	if cfg.Revocation != nil {
		opts = append(opts, provider.WithTokenRevocation(h.revocable))
	}
	return opts
}

// bind checks the configuration, and notes the provider that the options are applied to.
func (h *host) bind(op *provider.Provider) error {
	switch {
	case h.g == nil:
		return errors.New("tokenboundary: a Governor is required")
	case h.op != nil:
		return errors.New("tokenboundary: options are for one provider")
	case (h.cfg.Introspection != nil || h.cfg.Revocation != nil) && (h.cfg.Operator.Kind != tb.KindOperator || h.cfg.Operator.ID == ""):
		return errors.New("tokenboundary: Config.Operator must be an operator where there is introspection or revocation")
	}
	for _, kind := range h.cfg.Undecided {
		if _, ok := governed[kind]; ok || kind == "" {
			return fmt.Errorf("tokenboundary: Config.Undecided names %q, which is no grant that the provider can answer for", kind)
		}
	}
	h.op = op
	return nil
}

// exchanged leaves a token exchange to the grant handler, which knows the client and the scopes too.
func exchanged(context.Context, goidc.TokenExchangeRequest) (goidc.TokenExchangeResult, error) {
	return goidc.TokenExchangeResult{}, nil
}

// undecided reports whether the grant is one of those that the provider answers for.
func (h *host) undecided(kind goidc.GrantType) bool { return slices.Contains(h.cfg.Undecided, kind) }
