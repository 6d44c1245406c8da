package zitadel

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
)

// exchangeRequest is an exchange that was decided, as the storage knows one. What it says is settled: its setters do
// nothing.
type exchangeRequest struct {
	ask
	d      tb.Decision
	scopes []string
}

var _ op.TokenExchangeRequest = (*exchangeRequest)(nil)

func (r *exchangeRequest) GetSubject() string       { return r.d.Subject.ID }
func (r *exchangeRequest) GetAudience() []string    { return r.d.Audience }
func (r *exchangeRequest) GetResourses() []string   { return r.d.Audience }
func (r *exchangeRequest) GetScopes() []string      { return r.scopes }
func (r *exchangeRequest) GetClientID() string      { return r.client.GetID() }
func (r *exchangeRequest) GetAuthTime() time.Time   { return r.d.Token().Body.Session.AuthTime }
func (r *exchangeRequest) GetAMR() []string         { return r.d.Token().Body.Session.AMR }
func (r *exchangeRequest) GetExchangeActor() string { return r.d.Client }

func (r *exchangeRequest) GetRequestedTokenType() oidc.TokenType {
	if r.wantsRefresh() {
		return oidc.RefreshTokenType
	}
	return oidc.AccessTokenType
}

func (r *exchangeRequest) GetExchangeSubject() string { return r.d.Subject.ID }
func (r *exchangeRequest) GetExchangeSubjectTokenType() oidc.TokenType {
	return oidc.TokenType(r.form.Get("subject_token_type"))
}
func (r *exchangeRequest) GetExchangeSubjectTokenIDOrToken() string      { return "" }
func (r *exchangeRequest) GetExchangeSubjectTokenClaims() map[string]any { return nil }
func (r *exchangeRequest) GetExchangeActorTokenType() oidc.TokenType {
	return oidc.TokenType(r.form.Get("actor_token_type"))
}
func (r *exchangeRequest) GetExchangeActorTokenIDOrToken() string      { return "" }
func (r *exchangeRequest) GetExchangeActorTokenClaims() map[string]any { return nil }

func (r *exchangeRequest) SetCurrentScopes([]string)            {}
func (r *exchangeRequest) SetRequestedTokenType(oidc.TokenType) {}
func (r *exchangeRequest) SetSubject(string)                    {}
