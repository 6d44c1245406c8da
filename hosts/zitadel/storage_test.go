package zitadel_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/clock"
	"github.com/zitadel/oidc/v3/example/server/storage"
	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	governed "github.com/tokenboundary/tokenboundary/hosts/zitadel"
)

// client is a client of the server that authenticates with a secret, or with none.
type client struct {
	op.Client
	method oidc.AuthMethod
}

func (c client) AuthMethod() oidc.AuthMethod         { return c.method }
func (c client) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }
func (c client) IsScopeAllowed(string) bool          { return true }
func (c client) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials, oidc.GrantTypeTokenExchange, oidc.GrantTypeRefreshToken, oidc.GrantTypeCode,
		oidc.GrantTypeDeviceCode}
}
func (c client) ResponseTypes() []oidc.ResponseType {
	return []oidc.ResponseType{oidc.ResponseTypeCode, oidc.ResponseTypeIDToken, oidc.ResponseTypeIDTokenOnly}
}

// row is a token as the storage keeps it: text, as in a database.
type row struct {
	ID, Refresh, Client, Subject string
	Audience, Scopes             []string
	End                          time.Time
}

// host is the storage of the server: that of its project's example, with tokens and clients of its own.
type host struct {
	*storage.Storage
	mu      sync.Mutex
	rows    map[string]string // by the id of the access token, and the refresh token
	clients map[string]client
	forgets bool // the scopes of refresh tokens
	saw     []string
	down    error
}

func newHost() *host {
	h := &host{Storage: storage.NewStorage(storage.NewUserStore("https://auth.example.com")), rows: map[string]string{}, clients: map[string]client{}}
	for _, id := range []string{"orchestrator", "tool", "sub", "crm", "public"} {
		c := client{Client: storage.RedirectGlobsClient(storage.WebClient(id, secretOf(id))), method: oidc.AuthMethodBasic}
		if id == "public" {
			c.method = oidc.AuthMethodNone
		}
		h.clients[id] = c
	}
	return h
}

func (h *host) GetClientByClientID(_ context.Context, id string) (op.Client, error) {
	c, ok := h.clients[id]
	if !ok {
		return nil, errors.New("no such client")
	}
	return c, nil
}

func (h *host) AuthorizeClientIDSecret(_ context.Context, id, secret string) error {
	if c, ok := h.clients[id]; !ok || c.method == oidc.AuthMethodNone || secret != secretOf(id) {
		return errors.New("not that client")
	}
	return nil
}

func (h *host) ClientCredentials(ctx context.Context, id, secret string) (op.Client, error) {
	if c := h.clients[id]; c.method == oidc.AuthMethodNone && c.Client != nil {
		return c, nil
	}
	if err := h.AuthorizeClientIDSecret(ctx, id, secret); err != nil {
		return nil, err
	}
	return h.clients[id], nil
}

func (h *host) ClientCredentialsTokenRequest(_ context.Context, id string, scopes []string) (op.TokenRequest, error) {
	return &oidc.JWTTokenRequest{Subject: id, Audience: []string{id}, Scopes: scopes}, nil
}

func (h *host) save(ctx context.Context, request op.TokenRequest, refresh string) (row, error) {
	r := row{
		ID: rand.Text(), Refresh: refresh, Subject: request.GetSubject(), Audience: request.GetAudience(), Scopes: request.GetScopes(),
		End: clock.New().Now().Add(5 * time.Minute),
	}
	if own, ok := request.(interface{ GetClientID() string }); ok {
		r.Client = own.GetClientID()
	} else if d, ok := governed.DecisionFrom(ctx); ok {
		r.Client = d.Client
	}
	if d, ok := governed.DecisionFrom(ctx); ok {
		h.saw = append(h.saw, d.ID.String())
	}
	if h.forgets {
		r.Scopes = nil
	}
	text, err := json.Marshal(r)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rows[r.ID] = string(text)
	if refresh != "" {
		h.rows[refresh] = string(text)
	}
	return r, errors.Join(err, h.down)
}

func (h *host) find(name string) (r row, err error) {
	h.mu.Lock()
	text, ok := h.rows[name]
	h.mu.Unlock()
	if !ok || name == "" {
		return r, errors.New("no such token")
	}
	return r, json.Unmarshal([]byte(text), &r)
}

func (h *host) CreateAccessToken(ctx context.Context, request op.TokenRequest) (string, time.Time, error) {
	r, err := h.save(ctx, request, "")
	return r.ID, r.End, err
}

func (h *host) CreateAccessAndRefreshTokens(ctx context.Context, request op.TokenRequest, current string) (string, string, time.Time, error) {
	if current != "" {
		if _, err := h.find(current); err != nil {
			return "", "", time.Time{}, err
		}
		h.mu.Lock()
		delete(h.rows, current)
		h.mu.Unlock()
	}
	r, err := h.save(ctx, request, rand.Text())
	return r.ID, r.Refresh, r.End, err
}

func (h *host) TokenRequestByRefreshToken(_ context.Context, token string) (op.RefreshTokenRequest, error) {
	r, err := h.find(token)
	if err != nil || r.Refresh != token {
		return nil, errors.New("no such refresh token")
	}
	return storage.RefreshTokenRequestFromBusiness(&storage.RefreshToken{
		ID: token, Token: token, UserID: r.Subject, ApplicationID: r.Client, Audience: r.Audience, Scopes: r.Scopes, AccessToken: r.ID,
	}), nil
}

func (h *host) GetRefreshTokenInfo(_ context.Context, _, token string) (string, string, error) {
	r, err := h.find(token)
	if err != nil || r.Refresh != token {
		return "", "", op.ErrInvalidRefreshToken
	}
	return r.Subject, token, nil
}

func (h *host) RevokeToken(_ context.Context, token, _, clientID string) *oidc.Error {
	r, err := h.find(token)
	if err == nil && r.Client != clientID {
		return oidc.ErrInvalidClient()
	}
	h.mu.Lock()
	delete(h.rows, token)
	h.mu.Unlock()
	return nil
}

func (h *host) SetIntrospectionFromToken(_ context.Context, info *oidc.IntrospectionResponse, id, subject, clientID string) error {
	r, err := h.find(id)
	if err != nil || clientID != "crm" || !slices.Contains(r.Audience, crm) {
		return errors.New("not for this client")
	}
	info.Subject, info.Scope, info.ClientID, info.Expiration = subject, r.Scopes, r.Client, oidc.FromTime(r.End)
	return nil
}

func (h *host) SetUserinfoFromToken(_ context.Context, info *oidc.UserInfo, id, subject, _ string) error {
	_, err := h.find(id)
	info.Subject = subject
	return err
}

func (h *host) GetPrivateClaimsFromScopes(context.Context, string, string, []string) (map[string]any, error) {
	return map[string]any{"tenant": "acme", "scope": "delete", "act": map[string]any{"sub": "root"}, "decision_id": "x"}, nil
}

// Of the server alone: any verified token is exchanged for what is asked.

func (h *host) ValidateTokenExchangeRequest(_ context.Context, r op.TokenExchangeRequest) error {
	r.SetRequestedTokenType(oidc.AccessTokenType)
	return nil
}
func (h *host) CreateTokenExchangeRequest(context.Context, op.TokenExchangeRequest) error { return nil }
func (h *host) GetPrivateClaimsFromTokenExchangeRequest(context.Context, op.TokenExchangeRequest) (map[string]any, error) {
	return nil, nil
}

func (h *host) StoreDeviceAuthorization(context.Context, string, string, string, time.Time, []string) error {
	return nil
}
