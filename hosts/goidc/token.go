package goidc

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/luikyv/go-oidc/pkg/goidc"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// tokenID makes a token's jti: the id of the decision. That of an undecided grant is never taken for one.
func tokenID(ctx context.Context) string {
	if c := callOf(ctx); c != nil && c.decision != nil {
		return c.decision.ID.String()
	}
	return rand.Text()
}

// tokenOptions chooses how the token is made: as the host says, and for no longer than was decided.
func (h *host) tokenOptions(ctx context.Context, grant *goidc.Grant, client *goidc.Client) goidc.TokenOptions {
	d := callOf(ctx).decided(grant)
	opts := goidc.NewJWTTokenOptions(goidc.RS256, undecidedSecs)
	if d != nil {
		opts.LifetimeSecs = seconds(d)
	}
	if h.cfg.Token == nil {
		return opts
	}
	chosen := h.cfg.Token(ctx, grant, client)
	if d != nil && (chosen.LifetimeSecs <= 0 || chosen.LifetimeSecs > opts.LifetimeSecs) {
		chosen.LifetimeSecs = opts.LifetimeSecs
	}
	return chosen
}

// undecidedSecs is how long a token of an undecided grant lives where the host does not say.
const undecidedSecs = 300

// seconds returns the lifetime that was decided, in whole seconds.
func seconds(d *tb.Decision) int { return int(d.ExpiresAt.Sub(d.Token().IssuedAt) / time.Second) }

// reserved are the claims that only a decision, or the provider, makes.
var reserved = []string{
	goidc.ClaimTokenID, goidc.ClaimGrantID, goidc.ClaimIssuer, goidc.ClaimSubject, goidc.ClaimScope, goidc.ClaimIssuedAt,
	goidc.ClaimExpiry, goidc.ClaimClientID, goidc.ClaimAuthDetails, goidc.ClaimAudience, "cnf", "act", "txn", "lin", "task",
}

// tokenClaims makes the token say what was decided. It also makes tkn itself say so, which the provider answers the client
// with: at a refresh, tkn is what was asked for.
func (h *host) tokenClaims(ctx context.Context, tkn *goidc.Token, grant *goidc.Grant) map[string]any {
	out := map[string]any{}
	if h.cfg.Claims != nil {
		maps.Copy(out, h.cfg.Claims(ctx, tkn, grant))
	}
	for _, name := range reserved {
		delete(out, name)
	}
	d := callOf(ctx).decided(grant)
	if d == nil {
		return out
	}
	r := d.Token()
	asked := tkn.AuthDetails != nil
	tkn.Scopes, tkn.Resources, tkn.AuthDetails = strings.Join(d.Scopes(), " "), d.Audience, detailsOf(*d)
	tkn.ExpiresAt = min(tkn.ExpiresAt, int(d.ExpiresAt.Unix()))
	out[goidc.ClaimScope], out[goidc.ClaimAudience], out[goidc.ClaimExpiry] = tkn.Scopes, tkn.Resources, tkn.ExpiresAt
	if asked || len(d.Granted.Details) > 0 {
		out[goidc.ClaimAuthDetails] = append([]json.RawMessage{}, d.Granted.Details...)
	}
	if r.Body == nil {
		return out
	}
	out["txn"] = r.Root()
	if len(r.Ancestors) > 0 {
		out["lin"] = r.Ancestors
	}
	if act := actOf(d.Actors); act != nil {
		out["act"] = act
	}
	if t := r.Body.Task; t != nil {
		out["task"] = tb.TaskClaim{ID: r.TaskID().String(), Purpose: t.Purpose}
	}
	return out
}

// actOf returns the act claim of a chain, the current actor outermost (RFC 8693, section 4.1).
func actOf(chain []lineage.Party) *tb.Act {
	var act *tb.Act
	for _, a := range slices.Backward(chain) {
		act = &tb.Act{Subject: a.ID, Issuer: a.Issuer, Act: act}
	}
	return act
}

// handleToken runs when the token is signed, and before it is given to anybody. An error keeps it.
func (h *host) handleToken(ctx context.Context, tkn *goidc.Token, grant *goidc.Grant) error {
	c := callOf(ctx)
	d := c.decided(grant)
	if d == nil {
		if h.undecided(keptOf(grant).Undecided) {
			return nil
		}
		return errors.New("tokenboundary: a token that was not decided")
	}
	if err := carries(tkn, d); err != nil {
		return c.refuse(err)
	}
	if c.recorded {
		return nil
	}
	return h.record(ctx, c)
}

// carries reports whether the token is what was decided.
func carries(tkn *goidc.Token, d *tb.Decision) error {
	switch {
	case tkn.Format != goidc.TokenFormatJWT:
		return errors.New("tokenboundary: only JWTs are supported")
	case tkn.ID != d.ID.String(), tkn.ClientID != d.Client, tkn.Scopes != strings.Join(d.Scopes(), " "),
		!slices.Equal(tkn.Resources, d.Audience), int64(tkn.ExpiresAt) > d.ExpiresAt.Unix():
		return errors.New("tokenboundary: the token is not what was decided")
	}
	return nil
}

// record commits the decision. For an access token that is once it is signed. A refresh token is rotated before that, so
// that the decision is recorded first: if it cannot be, the client still has the one that it came with.
func (h *host) record(ctx context.Context, c *call) error {
	err := h.g.Record(ctx, *c.decision, tb.HostToken{Handle: c.decision.ID.String()})
	switch {
	case errors.Is(err, tb.ErrConflict): // it no longer holds; asked again, it is decided anew
		return c.refuse(fmt.Errorf("%w: %w", tb.ErrUnavailable, err))
	case err != nil:
		return c.refuse(err)
	}
	c.recorded = true
	return nil
}
