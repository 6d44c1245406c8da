package zitadel

import (
	"context"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// ClientCredentialsExchange implements op.Server.
func (s *Server) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	storage, ok := s.storage().(op.ClientCredentialsStorage)
	if !ok {
		return nil, oidc.ErrUnsupportedGrantType()
	}
	d, err := s.decide(ctx, asked(r.Client, r.PostForm), tb.ClientCredentials, lineage.ID{})
	if err != nil {
		return nil, failure(err)
	}
	ctx = withDecision(ctx, d)
	request, err := storage.ClientCredentialsTokenRequest(ctx, r.Client.GetID(), d.Scopes())
	if err != nil {
		return nil, refusal(err)
	}
	if own, ok := request.(*oidc.JWTTokenRequest); ok {
		own.Audience = d.Audience // for what the storage keeps; the token has it from the decision
	}
	id, end, err := s.storage().CreateAccessToken(ctx, request)
	if err != nil {
		return nil, refusal(err)
	}
	token, err := s.release(ctx, r.Client, d, id, end)
	if err != nil {
		return nil, failure(err)
	}
	return op.NewResponse(token), nil
}

// TokenExchange implements op.Server. The boundary decides alone: the storage's own op.TokenExchangeStorage is not asked.
func (s *Server) TokenExchange(ctx context.Context, r *op.ClientRequest[oidc.TokenExchangeRequest]) (*op.Response, error) {
	a := asked(r.Client, r.PostForm)
	d, err := s.decide(ctx, a, tb.Exchange, lineage.ID{})
	if err != nil {
		return nil, failure(err)
	}
	ctx = withDecision(ctx, d)
	request := &exchangeRequest{ask: a, d: d, scopes: d.Scopes()}
	m := minted{}
	if a.wantsRefresh() {
		request.scopes = append(slices.Clip(request.scopes), markOf(d.Family))
		m.id, m.refresh, m.end, err = s.storage().CreateAccessAndRefreshTokens(ctx, request, "")
		if err == nil {
			err = s.marked(ctx, m.refresh, d.Family)
		}
	} else {
		m.id, m.end, err = s.storage().CreateAccessToken(ctx, request)
	}
	if err != nil {
		return nil, refusal(err)
	}
	token, err := s.release(ctx, r.Client, d, m.id, m.end)
	if err != nil {
		return nil, failure(err)
	}
	return op.NewResponse(&oidc.TokenExchangeResponse{
		AccessToken: token.AccessToken, IssuedTokenType: oidc.AccessTokenType, TokenType: token.TokenType, ExpiresIn: token.ExpiresIn,
		Scopes: token.Scope, RefreshToken: m.refresh,
	}), nil
}

// RefreshToken implements op.Server. The refresh token itself stays the server's: it looks it up and rotates it.
func (s *Server) RefreshToken(ctx context.Context, r *op.ClientRequest[oidc.RefreshTokenRequest]) (*op.Response, error) {
	a := asked(r.Client, r.PostForm)
	old := a.form.Get("refresh_token")
	if a.bad == nil && old != r.Data.RefreshToken { // the server has read another one, in the URL
		a.bad = &exchange.Error{Code: string(tb.CodeInvalidRequest)}
	}
	request, err := op.RefreshTokenRequestByRefreshToken(ctx, s.storage(), old)
	switch {
	case err != nil && a.bad == nil:
		return nil, err
	case err != nil, a.bad != nil: // refused as malformed
		_, err = s.decide(ctx, a, tb.Refresh, lineage.ID{})
		return nil, failure(err)
	}
	family, ok := familyOf(request.GetScopes())
	if !ok && s.undecided(oidc.GrantTypeCode, oidc.GrantTypeDeviceCode) {
		return s.LegacyServer.RefreshToken(ctx, r)
	}
	d, err := s.decide(ctx, a, tb.Refresh, family)
	if err == nil && d.Subject.ID != request.GetSubject() {
		err = tb.ErrInvalid
	}
	if err != nil {
		return nil, failure(err)
	}
	return s.again(withDecision(ctx, d), r.Client, d, request, old)
}

// again refreshes. What the storage keeps of the grant is left as it was, so that what is narrowed once can be had again
// where policy allows it. The storage rotates the refresh token before the new access token is signed, so that the decision
// is recorded before that: if it cannot be, the client still has the one that it came with.
func (s *Server) again(ctx context.Context, client op.Client, d tb.Decision, request op.RefreshTokenRequest, old string) (*op.Response, error) {
	if err := s.record(ctx, d, d.ID.String()); err != nil {
		return nil, failure(err)
	}
	id, next, end, err := s.storage().CreateAccessAndRefreshTokens(ctx, request, old)
	if err == nil {
		family, _ := familyOf(request.GetScopes())
		err = s.marked(ctx, next, family)
	}
	if err != nil {
		return nil, refusal(err)
	}
	token, err := s.sign(ctx, client, d, id, end)
	if err != nil {
		return nil, failure(err)
	}
	token.RefreshToken = next
	return op.NewResponse(token), nil
}

// The mark is a scope in which the storage keeps the family of a refresh token. It is in no token and no answer, and no
// client may ask for it.
const mark = "urn:tokenboundary:family:"

func markOf(family lineage.ID) string { return mark + family.String() }

func isMark(scope string) bool { return strings.HasPrefix(scope, mark) }

// familyOf returns the family that the scopes of a grant name; ok is false where they name none.
func familyOf(scopes []string) (family lineage.ID, ok bool) {
	i := slices.IndexFunc(scopes, isMark)
	if i < 0 {
		return family, false
	}
	family, err := lineage.ParseID(strings.TrimPrefix(scopes[i], mark))
	if err != nil {
		return lineage.ID{}, true // governed, and no family
	}
	return family, true
}

// marked checks that the storage has kept the family of a new refresh token. If it has not, the next refresh would be
// taken for one of a grant that the server answers for.
func (s *Server) marked(ctx context.Context, refresh string, family lineage.ID) error {
	request, err := s.storage().TokenRequestByRefreshToken(ctx, refresh)
	if err != nil {
		return err
	}
	if got, ok := familyOf(request.GetScopes()); !ok || got != family {
		return tb.ErrConflict
	}
	return nil
}
