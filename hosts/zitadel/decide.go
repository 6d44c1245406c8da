package zitadel

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	tb "github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// ask is one request to the token endpoint.
type ask struct {
	client op.Client
	form   exchange.Form // of its body
	bad    error         // why the form is not whole
}

// asked reads a request. Parameters in its URL do not count.
func asked(client op.Client, body url.Values) ask {
	a := ask{client: client}
	a.form, a.bad = exchange.ParseForm(strings.NewReader(body.Encode()))
	return a
}

// parse reads the form as a request. A refresh token may be asked for beside the access token, which is the server's
// matter.
func (a ask) parse() (tb.Request, error) {
	if a.bad != nil {
		return tb.Request{}, a.bad
	}
	if !a.wantsRefresh() {
		return exchange.Parse(a.form)
	}
	return exchange.Parse(a.form.Without("requested_token_type"))
}

// wantsRefresh reports whether an exchange asks for a refresh token as well.
func (a ask) wantsRefresh() bool {
	return a.form.Get("grant_type") == exchange.GrantTokenExchange && a.form.Get("requested_token_type") == tb.TypeRefreshToken
}

// decide asks the boundary. An error is a refusal too. Of a refresh, family is what is to be refreshed.
func (s *Server) decide(ctx context.Context, a ask, grant tb.Grant, family lineage.ID) (tb.Decision, error) {
	var none tb.Decision
	if a.client.AuthMethod() == oidc.AuthMethodNone { // whoever sends its id passes for it
		return none, tb.ErrUnauthenticated
	}
	req := tb.Request{Grant: grant} // one that is not known is refused, and that is recorded
	switch parsed, err := a.parse(); {
	case grant == "":
	case err != nil:
		req.Malformed = tb.Code(exchange.AsError(err).Code)
	case parsed.Grant != grant:
		req.Malformed = tb.CodeInvalidRequest
	case slices.ContainsFunc(parsed.Scopes, isMark):
		req.Malformed = tb.CodeInvalidScope
	default:
		req = parsed
	}
	client := lineage.Party{ID: a.client.GetID(), Issuer: s.g.Issuer()}
	req.Client = tb.Credential{ID: client.ID, Verified: &tb.Principal{Party: client}}
	req.Deferrable = false // an answer of the server has no place for a deferral code
	req.Enforce = tb.CapScopes | tb.CapResources | tb.CapLifetime | tb.CapRecord
	if req.Malformed == "" && grant == tb.Refresh {
		req.Subject = tb.Credential{Type: tb.TypeRefreshToken, Verified: &tb.Principal{Party: client, Lineage: family}}
	}
	if req.Malformed == "" && grant == tb.Exchange {
		req.Subject, req.Actor = s.present(ctx, req.Subject), s.present(ctx, req.Actor)
	}
	d, err := s.g.Decide(ctx, req)
	switch {
	case err != nil:
		return none, err
	case d.Effect != tb.Allow:
		return none, &tb.DeniedError{Decision: d}
	case a.wantsRefresh() && (d.Family.IsZero() || !op.ValidateGrantType(a.client, oidc.GrantTypeRefreshToken)):
		return none, &exchange.Error{Code: string(tb.CodeInvalidRequest), Description: "requested_token_type was refused"}
	case slices.ContainsFunc(d.Scopes(), isMark): // of a policy
		return none, &exchange.Error{Code: string(tb.CodeInvalidScope), Description: "scope was refused"}
	}
	return d, nil
}

// unknown refuses a grant that is not governed, which is recorded.
func (s *Server) unknown(ctx context.Context, client op.Client) error {
	_, err := s.decide(ctx, ask{client: client}, "", lineage.ID{})
	return failure(err)
}

// failure returns what a client is told of err as the server knows errors.
func failure(err error) error {
	e := exchange.AsError(err)
	out := &oidc.Error{}
	text, _ := json.Marshal(map[string]string{"error": e.Code, "error_description": e.Description}) // two texts
	if json.Unmarshal(text, out) != nil {                                                           // by JSON because the type of its code has no name outside
		out = oidc.ErrServerError()
	}
	out.Parent = err
	status := e.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	return op.NewStatusError(out, status)
}

// refusal returns what a client is told of an error of the storage: what the storage refuses, and else to try again.
func refusal(err error) error {
	if own := new(oidc.Error); errors.As(err, &own) {
		return err
	}
	return failure(unavailable("storage", err))
}

// unavailable says that err is a matter of trying again.
func unavailable(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", tb.ErrUnavailable, what, err)
}
