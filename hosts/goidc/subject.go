package goidc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// present makes a credential of a subject or actor token. An access token of the provider is verified by the provider,
// and what it stands for is looked up by its jti. Everything else is for the identity sources of the Governor.
func (h *host) present(ctx context.Context, c tb.Credential) (tb.Credential, error) {
	if c.IsZero() {
		return c, nil
	}
	if !minted(h.op.Issuer(), c.Value) {
		return c, nil
	}
	// From here on it is an access token and nothing else, whatever it was said to be: a source that trusts the provider's
	// key would take one that was revoked here for a credential of its own right.
	c.Type = tb.TypeAccessToken
	info, err := h.op.Introspect(ctx, c.Value)
	if err != nil {
		return c, fmt.Errorf("%w: provider: %w", tb.ErrUnavailable, err)
	}
	if !info.IsActive || info.Confirmation != nil && info.Confirmation.CertThumbprint != "" {
		return c, nil // refused as no token of the boundary
	}
	p, err := h.principal(ctx, info)
	if err == nil {
		c.Verified = &p
	}
	return c, nil
}

// minted reports whether a token says that it is an access token of the provider with this issuer.
func minted(issuer, token string) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return false
	}
	var claims map[string]json.RawMessage
	var iss string
	return json.Unmarshal(payload, &claims) == nil && json.Unmarshal(claims[goidc.ClaimIssuer], &iss) == nil &&
		iss == issuer && claims[goidc.ClaimGrantID] != nil
}

// principal says who stands behind an active access token of the provider.
func (h *host) principal(ctx context.Context, info goidc.TokenInfo) (tb.Principal, error) {
	if id := idOf(info); !id.IsZero() {
		return tb.Principal{
			Party: lineage.Party{ID: info.Subject, Issuer: h.g.Issuer()}, Lineage: id,
			Issued: time.Unix(int64(info.IssuedAt), 0), Expires: time.Unix(int64(info.ExpiresAt), 0),
		}, nil
	}
	if h.cfg.Subject == nil {
		return tb.Principal{}, tb.ErrNotMine
	}
	return h.cfg.Subject(ctx, info)
}

// idOf returns the decision that a token was minted for; zero where there is none.
func idOf(info goidc.TokenInfo) lineage.ID {
	jti, _ := info.AdditionalClaims[goidc.ClaimTokenID].(string)
	id, err := lineage.ParseID(jti)
	if err != nil {
		return lineage.ID{}
	}
	return id
}
