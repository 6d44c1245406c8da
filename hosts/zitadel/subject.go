package zitadel

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// present makes a credential of a subject or actor token. A token that the server minted for a decision is verified by the
// server, and what it stands for is looked up. Everything else is for the identity sources of the Governor.
func (s *Server) present(ctx context.Context, c tb.Credential) tb.Credential {
	if c.IsZero() || !governed(op.IssuerFromContext(ctx), c.Value) {
		return c
	}
	// From here on it is an access token and nothing else, whatever it was said to be: a source that trusts the server's
	// key would take one that was revoked here for a credential of its own right.
	c.Type = tb.TypeAccessToken
	token, id := s.verify(ctx, c.Value)
	if id.IsZero() {
		return c // refused as no token of the boundary
	}
	c.Verified = &tb.Principal{
		Party: lineage.Party{ID: token.Subject, Issuer: s.g.Issuer()}, Lineage: id,
		Issued: token.IssuedAt.AsTime(), Expires: token.Expiration.AsTime(),
	}
	return c
}

// verify checks issuer, signature and expiry of a token that was minted for a decision; the id is zero for any other.
func (s *Server) verify(ctx context.Context, raw string) (*oidc.AccessTokenClaims, lineage.ID) {
	token, err := op.VerifyAccessToken[*oidc.AccessTokenClaims](ctx, raw, s.Provider().AccessTokenVerifier(ctx))
	if err != nil || token == nil {
		return nil, lineage.ID{}
	}
	text, _ := token.Claims[claimDecision].(string)
	id, err := lineage.ParseID(text)
	if err != nil || token.Subject == "" {
		return nil, lineage.ID{}
	}
	return token, id
}

// governed reports whether a token says that the issuer has minted it for a decision.
func governed(issuer, token string) bool {
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
	return json.Unmarshal(payload, &claims) == nil && json.Unmarshal(claims["iss"], &iss) == nil &&
		iss == issuer && claims[claimDecision] != nil
}
