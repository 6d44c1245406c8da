package zitadel

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
)

// minted is what the storage made.
type minted struct {
	id, refresh string
	end         time.Time
}

type decisionKey struct{}

func withDecision(ctx context.Context, d tb.Decision) context.Context {
	return context.WithValue(ctx, decisionKey{}, d)
}

// DecisionFrom returns the decision that the storage is making a token for: its methods are called with a context that has
// it. A storage that keeps what a token may do takes it from there; the request that it is given does not always say.
func DecisionFrom(ctx context.Context) (d tb.Decision, ok bool) {
	d, ok = ctx.Value(decisionKey{}).(tb.Decision)
	return d, ok
}

// release signs a token and records it. A token that cannot be recorded is not returned.
func (s *Server) release(ctx context.Context, client op.Client, d tb.Decision, id string, end time.Time) (*oidc.AccessTokenResponse, error) {
	token, err := s.sign(ctx, client, d, id, end)
	if err == nil {
		err = s.record(ctx, d, id)
	}
	if err != nil {
		return nil, err
	}
	return token, nil
}

// record commits a decision.
func (s *Server) record(ctx context.Context, d tb.Decision, handle string) error {
	err := s.g.Record(ctx, d, tb.HostToken{Handle: handle})
	if errors.Is(err, tb.ErrConflict) { // it no longer holds; asked again, it is decided anew
		return fmt.Errorf("%w: %w", tb.ErrUnavailable, err)
	}
	return err
}

// sign makes the token that was decided, under the id that the storage has given it, and lets it end with both.
func (s *Server) sign(ctx context.Context, client op.Client, d tb.Decision, id string, end time.Time) (*oidc.AccessTokenResponse, error) {
	r := d.Token()
	if r.Body == nil || id == "" {
		return nil, fmt.Errorf("%w: no record or no id", tb.ErrInvalid)
	}
	if d.ExpiresAt.Before(end) {
		end = d.ExpiresAt
	}
	end = end.Truncate(time.Second)
	left := end.Sub(r.IssuedAt)
	if left < time.Second {
		return nil, fmt.Errorf("%w: no time is left", tb.ErrUnavailable)
	}
	token, err := op.CreateJWT(ctx, op.IssuerFromContext(ctx), decided{d}, end, id, client, claims{s.storage(), client, d})
	if err != nil {
		return nil, unavailable("signer", err)
	}
	return &oidc.AccessTokenResponse{
		AccessToken: token, TokenType: oidc.BearerToken, ExpiresIn: uint64(left / time.Second), Scope: d.Scopes(),
	}, nil
}

// decided is a decision as what a token is made from.
type decided struct{ d tb.Decision }

var _ op.TokenActorRequest = decided{}

func (t decided) GetSubject() string    { return t.d.Subject.ID }
func (t decided) GetAudience() []string { return t.d.Audience }
func (t decided) GetScopes() []string   { return t.d.Scopes() }

// GetActor returns the act claim of the chain, the current actor outermost (RFC 8693, section 4.1).
func (t decided) GetActor() *oidc.ActorClaims {
	var act *oidc.ActorClaims
	for _, a := range slices.Backward(t.d.Actors) {
		act = &oidc.ActorClaims{Subject: a.ID, Issuer: a.Issuer, Actor: act}
	}
	return act
}

// claimDecision is the claim that names the decision.
const claimDecision = "decision_id"

// reserved are the claims that only a decision, or the server, makes.
var reserved = []string{
	claimDecision, "iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "azp", "scope", "act", "may_act", "cnf", "txn", "lin", "task",
	"authorization_details", "auth_time", "acr", "amr", "sid", "nonce",
}

// claims is a storage that adds the claims of a decision to those that it has of its own.
type claims struct {
	op.Storage
	client op.Client
	d      tb.Decision
}

var _ op.CanGetPrivateClaimsFromRequest = claims{}

// GetPrivateClaimsFromRequest implements op.CanGetPrivateClaimsFromRequest.
func (c claims) GetPrivateClaimsFromRequest(ctx context.Context, request op.TokenRequest, scopes []string) (map[string]any, error) {
	var own map[string]any
	var err error
	if from, ok := c.Storage.(op.CanGetPrivateClaimsFromRequest); ok {
		own, err = from.GetPrivateClaimsFromRequest(ctx, request, scopes)
	} else {
		own, err = c.Storage.GetPrivateClaimsFromScopes(ctx, request.GetSubject(), c.client.GetID(), scopes)
	}
	if err != nil {
		return nil, err
	}
	out := map[string]any{}
	maps.Copy(out, own)
	for _, name := range reserved {
		delete(out, name)
	}
	r := c.d.Token()
	out[claimDecision], out["scope"], out["txn"] = c.d.ID, strings.Join(c.d.Scopes(), " "), r.Root()
	if len(r.Ancestors) > 0 {
		out["lin"] = r.Ancestors
	}
	if len(c.d.Granted.Details) > 0 {
		out["authorization_details"] = c.d.Granted.Details
	}
	if t := r.Body.Task; t != nil {
		out["task"] = tb.TaskClaim{ID: r.TaskID().String(), Purpose: t.Purpose}
	}
	return out, nil
}
