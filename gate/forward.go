package gate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// forward asks the endpoint for exactly what was granted.
func (p *pass) forward(ctx context.Context, auth exchange.Authenticator) (exchange.Result, error) {
	ctx, cancel := context.WithTimeout(ctx, p.g.cfg.Timeout)
	defer cancel()
	c := exchange.Client{Endpoint: p.g.cfg.Token, Auth: p.spelt(auth), HTTPClient: p.g.cfg.HTTPClient}
	params := exchange.Params{Resource: p.decision.Granted.Resources(), Scopes: p.decision.Scopes()}
	var res exchange.Result
	var err error
	switch p.req.Grant {
	case tokenboundary.ClientCredentials:
		res, err = c.ClientCredentials(ctx, params)
	case tokenboundary.Exchange:
		params.Subject, params.Actor = p.asked.Subject, p.asked.Actor
		res, err = c.Exchange(ctx, params)
	case tokenboundary.Refresh:
		res, err = c.Refresh(ctx, p.refresh, params)
	default:
		err = errors.New("a grant that cannot be forwarded")
	}
	if err != nil {
		return exchange.Result{}, refusalOf(err)
	}
	return res, nil
}

// spelt returns auth behind a function that spells the form as the endpoint reads it.
func (p *pass) spelt(auth exchange.Authenticator) exchange.Authenticator {
	return func(ctx context.Context, form url.Values, header http.Header) error {
		if name := p.g.cfg.ResourceParameter; name != "resource" && form.Has("resource") {
			form[name] = form["resource"]
			form.Del("resource")
		}
		if name := p.g.cfg.ConnectionParameter; name != "" {
			form.Set(name, p.decision.Token().Body.Connection)
		}
		if auth(ctx, form, header) != nil {
			return errCredential
		}
		return nil
	}
}

// errCredential stands for whatever an Authenticator says, which may hold what it authenticates with.
var errCredential = errors.New("the gate cannot authenticate")

// tellable are the codes of an endpoint that speak of the client's request, and not of the gate's.
var tellable = []string{
	string(tokenboundary.CodeInvalidRequest), string(tokenboundary.CodeInvalidGrant), string(tokenboundary.CodeInvalidScope),
	string(tokenboundary.CodeInvalidTarget), string(tokenboundary.CodeUnauthorizedClient), string(tokenboundary.CodeAccessDenied),
	exchange.CodeUnsupportedGrantType,
}

// refusalOf returns what a client is told where the endpoint has issued nothing. What that says in words stays here.
func refusalOf(err error) error {
	var e *exchange.Error
	switch {
	case !errors.As(err, &e):
		return fmt.Errorf("%w: token endpoint: %w", tokenboundary.ErrUnavailable, err)
	case e.Status == http.StatusBadRequest && slices.Contains(tellable, e.Code):
		return &exchange.Error{Code: e.Code, Description: "refused by the token endpoint"}
	}
	return &tokenboundary.UnavailableError{
		RetryAfter: e.RetryAfter, Err: fmt.Errorf("token endpoint: it answered with status %d", e.Status),
	}
}

// discard revokes what was minted and is not released (RFC 7009, section 2.1). Nobody has it; where it cannot be revoked, it
// lives on unseen.
func (g *Gate) discard(ctx context.Context, auth exchange.Authenticator, res exchange.Result) {
	if g.cfg.Revocation == "" {
		return
	}
	for _, t := range []struct{ token, hint string }{{res.RefreshValue(), "refresh_token"}, {res.Value(), "access_token"}} {
		if t.token == "" {
			continue
		}
		if err := g.revoke(ctx, auth, url.Values{"token": {t.token}, "token_type_hint": {t.hint}}); err != nil {
			g.cfg.Logger.LogAttrs(ctx, slog.LevelError, "a token that was not released could not be revoked",
				slog.String("kind", t.hint), slog.String("cause", err.Error()))
		}
	}
}

func (g *Gate) revoke(ctx context.Context, auth exchange.Authenticator, form url.Values) error {
	ctx, cancel := context.WithTimeout(ctx, g.cfg.Timeout)
	defer cancel()
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if err := auth(ctx, form, header); err != nil {
		return errCredential
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, g.cfg.Revocation, strings.NewReader(form.Encode()))
	if err != nil {
		return errors.New("the revocation endpoint is not a URL")
	}
	r.Header = header
	resp, err := g.cfg.HTTPClient.Do(r)
	if err != nil {
		return err
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the revocation endpoint answered with status %d", resp.StatusCode)
	}
	return nil
}
