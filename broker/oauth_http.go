package broker

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
)

// The bounds of what another server answers with, in bytes.
const (
	maxForeignAnswer = 64 << 10
	maxForeignToken  = 8 << 10
	handleTime       = 40 // that a handle has beside the token
)

// maxForeignLife is the longest life of an access token that is believed.
const maxForeignLife = 30 * 24 * time.Hour

// foreign is an access token of the other server.
type foreign struct {
	token   string
	expires time.Time
}

// plainClient returns a client that goes where it is told and nowhere else: no proxy, no redirect, no cookie.
func plainClient(cfg *tls.Config) *http.Client {
	if cfg != nil {
		cfg = cfg.Clone()
	}
	return &http.Client{
		Transport: &http.Transport{
			TLSClientConfig: cfg, TLSHandshakeTimeout: dialTimeout, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
			MaxResponseHeaderBytes: maxForeignAnswer, DisableCompression: true,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// access gets an access token for the scopes. What takes the refresh token's place is in the store when it returns.
func (o *OAuth) access(ctx context.Context, scopes []string) (foreign, error) {
	select {
	case o.turn <- struct{}{}:
		defer func() { <-o.turn }()
	case <-ctx.Done():
		return foreign{}, errors.Join(tokenboundary.ErrUnavailable, ctx.Err())
	}
	k, g, until, err := o.claim(ctx)
	if err != nil {
		return foreign{}, err
	}
	answer, failed := o.refresh(ctx, g.Token, scopes)
	if answer.RefreshToken != "" {
		g.Token = answer.RefreshToken
	}
	err = o.settle(ctx, k, g, until)
	if err == nil {
		err = failed
	}
	var got foreign
	if err == nil {
		got, err = o.accept(answer, scopes)
	}
	if err != nil && o.cfg.RevocationURL != "" && answer.AccessToken != "" {
		_ = o.revoke(ctx, answer.AccessToken) // nobody has it
	}
	return got, err
}

// tokenAnswer is an answer of a token endpoint (RFC 6749, sections 5.1 and 5.2).
type tokenAnswer struct {
	AccessToken  string  `json:"access_token"`
	TokenType    string  `json:"token_type"`
	ExpiresIn    float64 `json:"expires_in"`
	RefreshToken string  `json:"refresh_token"`
	Scope        *string `json:"scope"`
	Error        string  `json:"error"`
}

// refresh asks for an access token.
func (o *OAuth) refresh(ctx context.Context, token string, scopes []string) (tokenAnswer, error) {
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token}}
	if !o.cfg.Broad {
		form.Set("scope", strings.Join(scopes, " "))
	}
	status, body, err := o.post(ctx, o.cfg.TokenURL, form)
	if err != nil {
		return tokenAnswer{}, err
	}
	var a tokenAnswer
	readable := json.Unmarshal(body, &a) == nil
	switch {
	case status == http.StatusOK && readable && a.Error == "" && len(a.RefreshToken) <= maxForeignToken:
		return a, nil
	case status == http.StatusTooManyRequests || status >= 500 || status < 400:
		return tokenAnswer{}, errors.Join(tokenboundary.ErrUnavailable, PublicError("the token endpoint does not answer as it should"))
	}
	why := refusals[a.Error]
	if why == "" {
		why = "the token endpoint refuses"
	}
	return tokenAnswer{}, errors.Join(tokenboundary.ErrDenied, why)
}

var refusals = map[string]PublicError{
	"invalid_grant":       "the token endpoint does not accept the refresh token any more: another one has to be deposited",
	"invalid_scope":       "the token endpoint does not grant the scopes",
	"invalid_client":      "the token endpoint does not accept the client",
	"unauthorized_client": "the token endpoint does not let the client refresh",
}

// accept returns the access token of an answer, if it is what was asked for.
func (o *OAuth) accept(a tokenAnswer, scopes []string) (foreign, error) {
	deny := func(why PublicError) (foreign, error) { return foreign{}, errors.Join(tokenboundary.ErrDenied, why) }
	life := time.Duration(a.ExpiresIn) * time.Second
	switch {
	case !usableToken(a.AccessToken):
		return deny("the token endpoint answered without a usable access token")
	case o.cfg.RevocationURL != "" && len(a.AccessToken) > MaxHandle-handleTime:
		return deny("the access token is too long to be revoked later")
	case !strings.EqualFold(a.TokenType, "Bearer"):
		return deny("the access token is not a bearer token")
	case !(a.ExpiresIn >= 1 && a.ExpiresIn <= maxForeignLife.Seconds()):
		return deny("the token endpoint does not say when the access token ends, within a month")
	}
	if a.Scope != nil && !o.cfg.Broad {
		if got := strings.Fields(*a.Scope); !within(got, scopes) || !within(scopes, got) {
			return deny("the access token has other scopes than were asked for")
		}
	}
	return foreign{a.AccessToken, o.cfg.Clock.Now().Add(life)}, nil
}

// revoke revokes an access token (RFC 7009). A server that does not know it any more says that it has.
func (o *OAuth) revoke(ctx context.Context, token string) error {
	status, _, err := o.post(ctx, o.cfg.RevocationURL, url.Values{"token": {token}, "token_type_hint": {"access_token"}})
	if err == nil && status != http.StatusOK {
		err = errors.Join(tokenboundary.ErrUnavailable, PublicError("the access token could not be revoked"))
	}
	return err
}

// post sends a form, with the client's credentials (RFC 6749, section 2.3.1).
func (o *OAuth) post(ctx context.Context, to string, form url.Values) (status int, body []byte, err error) {
	if o.cfg.ClientSecret == "" {
		form.Set("client_id", o.cfg.ClientID)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(form.Encode()))
	if err != nil {
		return 0, nil, err
	}
	if o.cfg.ClientSecret != "" {
		req.SetBasicAuth(url.QueryEscape(o.cfg.ClientID), url.QueryEscape(o.cfg.ClientSecret))
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := o.http.Do(req)
	if err != nil {
		return 0, nil, errors.Join(tokenboundary.ErrUnavailable, PublicError("the authorisation server cannot be reached"))
	}
	defer resp.Body.Close() //nolint:errcheck // it is only read
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxForeignAnswer+1))
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || len(body) > maxForeignAnswer || kind != "application/json" && to == o.cfg.TokenURL {
		return 0, nil, errors.Join(tokenboundary.ErrUnavailable, PublicError("the authorisation server does not answer as it should"))
	}
	return resp.StatusCode, body, nil
}
