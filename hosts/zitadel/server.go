package zitadel

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
)

// GrantTypeImplicit is how Config.Undecided names the tokens that the authorization endpoint hands out by itself.
const GrantTypeImplicit oidc.GrantType = "implicit"

// Config says how a server is governed.
type Config struct {
	// Operator is the client of kind operator in whose name the state of tokens is read, and in whose name they are
	// revoked. It is required.
	Operator tb.Client
	// Undecided names grants, other than the three that are governed, that the server issues tokens for by itself: those of
	// the authorization endpoint (oidc.GrantTypeCode, GrantTypeImplicit), oidc.GrantTypeDeviceCode and oidc.GrantTypeBearer.
	// With the first or the third, it also goes on with their refresh tokens. A grant that is not here is refused.
	Undecided []oidc.GrantType
}

// Server is a server whose client_credentials, token exchange and refresh are decided by a Governor. Make it with New, and
// give it to op.RegisterLegacyServer in place of the op.LegacyServer in it. It is safe for concurrent use.
type Server struct {
	*op.LegacyServer
	g   *tb.Governor
	cfg Config
}

var _ op.ExtendedLegacyServer = (*Server)(nil)

// undecidable are the grants that the server can be left to answer for.
var undecidable = []oidc.GrantType{oidc.GrantTypeCode, GrantTypeImplicit, oidc.GrantTypeDeviceCode, oidc.GrantTypeBearer}

// New puts g in front of the tokens of a server. An error says what cannot work.
func New(server *op.LegacyServer, g *tb.Governor, cfg Config) (*Server, error) {
	switch {
	case server == nil || server.Provider() == nil:
		return nil, errors.New("tokenboundary: a server with a provider is required")
	case g == nil:
		return nil, errors.New("tokenboundary: a Governor is required")
	case cfg.Operator.Kind != tb.KindOperator || cfg.Operator.ID == "":
		return nil, errors.New("tokenboundary: Config.Operator must be an operator")
	}
	for _, kind := range cfg.Undecided {
		if !slices.Contains(undecidable, kind) {
			return nil, fmt.Errorf("tokenboundary: Config.Undecided names %q, which is no grant that the server can answer for", kind)
		}
	}
	cfg.Undecided = slices.Clone(cfg.Undecided)
	return &Server{LegacyServer: server, g: g, cfg: cfg}, nil
}

func (s *Server) storage() op.Storage { return s.Provider().Storage() }

// undecided reports whether one of the grants is left to the server.
func (s *Server) undecided(kinds ...oidc.GrantType) bool {
	return slices.ContainsFunc(kinds, func(k oidc.GrantType) bool { return slices.Contains(s.cfg.Undecided, k) })
}

// CodeExchange implements op.Server. It refuses, unless Config.Undecided has oidc.GrantTypeCode.
func (s *Server) CodeExchange(ctx context.Context, r *op.ClientRequest[oidc.AccessTokenRequest]) (*op.Response, error) {
	if s.undecided(oidc.GrantTypeCode) {
		return s.LegacyServer.CodeExchange(ctx, r)
	}
	return nil, s.unknown(ctx, r.Client)
}

// DeviceToken implements op.Server. It refuses, unless Config.Undecided has oidc.GrantTypeDeviceCode.
func (s *Server) DeviceToken(ctx context.Context, r *op.ClientRequest[oidc.DeviceAccessTokenRequest]) (*op.Response, error) {
	if s.undecided(oidc.GrantTypeDeviceCode) {
		return s.LegacyServer.DeviceToken(ctx, r)
	}
	return nil, s.unknown(ctx, r.Client)
}

// JWTProfile implements op.Server. It refuses, unless Config.Undecided has oidc.GrantTypeBearer.
func (s *Server) JWTProfile(ctx context.Context, r *op.Request[oidc.JWTProfileGrantRequest]) (*op.Response, error) {
	if s.undecided(oidc.GrantTypeBearer) {
		return s.LegacyServer.JWTProfile(ctx, r)
	}
	return nil, oidc.ErrUnsupportedGrantType()
}

// Authorize implements op.Server. It refuses what would end with a token from the authorization endpoint, unless
// Config.Undecided has GrantTypeImplicit, and scopes that only the boundary may set.
func (s *Server) Authorize(ctx context.Context, r *op.ClientRequest[oidc.AuthRequest]) (*op.Redirect, error) {
	switch t := r.Data.ResponseType; {
	case slices.ContainsFunc(r.Data.Scopes, isMark):
		return nil, oidc.ErrInvalidScope()
	case t != oidc.ResponseTypeCode && t != oidc.ResponseTypeIDTokenOnly && !s.undecided(GrantTypeImplicit):
		return nil, oidc.ErrUnauthorizedClient()
	}
	return s.LegacyServer.Authorize(ctx, r)
}

// DeviceAuthorization implements op.Server. It refuses scopes that only the boundary may set.
func (s *Server) DeviceAuthorization(ctx context.Context, r *op.ClientRequest[oidc.DeviceAuthorizationRequest]) (*op.Response, error) {
	if slices.ContainsFunc(r.Data.Scopes, isMark) {
		return nil, oidc.ErrInvalidScope()
	}
	return s.LegacyServer.DeviceAuthorization(ctx, r)
}
