package zitadel

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// Introspect implements op.Server. What the boundary does not find active is inactive (RFC 7662, section 2.2).
func (s *Server) Introspect(ctx context.Context, r *op.Request[op.IntrospectionRequest]) (*op.Response, error) {
	resp, err := s.LegacyServer.Introspect(ctx, r)
	if err != nil {
		return nil, err
	}
	info, ok := resp.Data.(*oidc.IntrospectionResponse)
	if !ok || !info.Active {
		return op.NewResponse(new(oidc.IntrospectionResponse)), nil
	}
	info.Scope = slices.DeleteFunc(slices.Clone(info.Scope), isMark)
	state, err := s.behind(ctx, r.Data.Token)
	switch {
	case err != nil:
		return nil, failure(unavailable("boundary", err))
	case state == nil:
		return resp, nil
	case !state.Active:
		return op.NewResponse(new(oidc.IntrospectionResponse)), nil
	}
	info.Scope = strings.Fields(state.Claims.Scope)
	if end := oidc.Time(state.Claims.ExpiresAt); info.Expiration == 0 || end < info.Expiration {
		info.Expiration = end
	}
	return resp, nil
}

// UserInfo implements op.Server. A token that the boundary does not find active opens nothing.
func (s *Server) UserInfo(ctx context.Context, r *op.Request[oidc.UserInfoRequest]) (*op.Response, error) {
	state, err := s.behind(ctx, r.Data.AccessToken)
	switch {
	case err != nil:
		return nil, failure(unavailable("boundary", err))
	case state != nil && !state.Active:
		return nil, op.NewStatusError(oidc.ErrAccessDenied().WithDescription("access token invalid"), http.StatusUnauthorized)
	}
	return s.LegacyServer.UserInfo(ctx, r)
}

// Revocation implements op.Server. The boundary revokes a token first, with all that came from it, and of a task token the
// task (RFC 7009, section 2.1). Then what the server says of it does not matter.
func (s *Server) Revocation(ctx context.Context, r *op.ClientRequest[oidc.RevocationRequest]) (*op.Response, error) {
	id, err := s.revocable(ctx, r.Client, r.Data.Token)
	if err == nil && !id.IsZero() {
		err = s.revoke(ctx, id)
	}
	if err != nil {
		return nil, failure(unavailable("boundary", err))
	}
	resp, err := s.LegacyServer.Revocation(ctx, r)
	if !id.IsZero() {
		return op.NewResponse(nil), nil
	}
	return resp, err
}

// revocable returns what a client's token stands for; zero where it is another's, or of an undecided grant.
func (s *Server) revocable(ctx context.Context, client op.Client, raw string) (lineage.ID, error) {
	if token, id := s.verify(ctx, raw); !id.IsZero() {
		if token.ClientID != client.GetID() {
			return lineage.ID{}, nil
		}
		return id, nil
	}
	request, err := s.storage().TokenRequestByRefreshToken(ctx, raw)
	if err != nil || request.GetClientID() != client.GetID() {
		return lineage.ID{}, nil // the server says what is wrong
	}
	family, _ := familyOf(request.GetScopes())
	return family, nil
}

func (s *Server) revoke(ctx context.Context, id lineage.ID) error {
	nodes, err := s.g.Lineage(ctx, s.cfg.Operator, id)
	switch {
	case errors.Is(err, tb.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	if b := nodes[len(nodes)-1].Record.Body; b != nil && b.Task != nil && b.Task.Authority != nil {
		_, err = s.g.SetTask(ctx, s.cfg.Operator, b.Task.ID, tb.TaskRevoked)
		return err
	}
	_, err = s.g.Revoke(ctx, s.cfg.Operator, lineage.Revocation{
		Selector: lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}, Reason: "revoked by its client",
	})
	return err
}

// behind returns what an access token amounts to; nil where it is of an undecided grant.
func (s *Server) behind(ctx context.Context, raw string) (*tb.State, error) {
	_, id := s.verify(ctx, raw)
	if id.IsZero() && !governed(op.IssuerFromContext(ctx), raw) {
		return nil, nil
	}
	state, err := s.g.Active(ctx, s.cfg.Operator, id) // the zero id is of nothing
	return &state, err
}
