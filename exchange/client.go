package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// Client asks a token endpoint for tokens. It is safe for concurrent use as long as its fields are left alone.
//
// It follows no redirect, since that would hand its credentials to whoever is named there, and it refuses an answer
// that is not what was asked for: another token type, no expiry, none of the scopes.
type Client struct {
	// Endpoint is the URL of the token endpoint: https, or http to a loopback address.
	Endpoint string
	// Auth authenticates the client. It is required.
	Auth Authenticator
	// HTTPClient sends the requests; nil means one with a timeout of 30 seconds. Its CheckRedirect is not used.
	HTTPClient *http.Client
}

// Authenticator adds a client's credential to a token request: to its form or to its header.
type Authenticator func(ctx context.Context, form url.Values, header http.Header) error

// Basic authenticates with a secret in the header (client_secret_basic; RFC 6749, section 2.3.1).
func Basic(id, secret string) Authenticator {
	return func(_ context.Context, _ url.Values, header http.Header) error {
		r := http.Request{Header: header}
		r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret))
		return nil
	}
}

// Assertion authenticates with a signed assertion (private_key_jwt; RFC 7523, section 2.2). Sign is called for every
// request and must return a new assertion each time: a server accepts each only once.
func Assertion(sign func(context.Context) (string, error)) Authenticator {
	return func(ctx context.Context, form url.Values, _ http.Header) error {
		a, err := sign(ctx)
		if err != nil {
			return err
		}
		form.Set("client_assertion_type", AssertionType)
		form.Set("client_assertion", a)
		return nil
	}
}

// AssertionType is the client_assertion_type of a signed assertion (RFC 7523, section 2.2).
const AssertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Params is what a token is asked for. The zero value asks for the defaults of the client.
type Params struct {
	// Subject and Actor are the credentials of an exchange. Without Actor, the client is the actor.
	Subject, Actor tokenboundary.Credential
	Connection     string
	Resource       []string
	Scopes         []string
	// Details is a JSON array of authorization_details, one that asks for a task included.
	Details json.RawMessage
	// Deferrable says that the client accepts to wait. The *Error then has a Deferral, to poll with.
	Deferrable bool
	// Proof is a proof of possession made for this one request (RFC 9449, section 5). With it, only a token that is bound
	// to the key is accepted; without it, only one that is not bound.
	Proof tokenboundary.Credential
}

// Result is a token that was granted. It hides its value in logs and in fmt; see Value.
type Result struct {
	value   string
	refresh string

	// ExpiresIn counts from when the token was asked for, at the earliest.
	ExpiresIn time.Duration
	// Scopes are those that were granted: some of those that were asked for, and what a catalog of the boundary says that
	// these imply. Whoever hands the token on and wants it to hold less asks for less, or derives another one.
	Scopes  []string
	Details []json.RawMessage
	TaskID  string
}

// Value returns the token itself.
func (r Result) Value() string { return r.value }

// RefreshValue returns the refresh token that came with it; empty where there is none. After a Refresh it replaces the
// one that was used, if the server has rotated it.
func (r Result) RefreshValue() string { return r.refresh }

// String hides the token.
func (r Result) String() string { return "token" }

// GoString hides the token.
func (r Result) GoString() string { return r.String() }

// LogValue hides the token.
func (r Result) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON hides the token.
func (r Result) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// Exchange asks for a token in exchange for Subject (RFC 8693). An answer of the server that is a refusal is an *Error.
func (c *Client) Exchange(ctx context.Context, p Params) (Result, error) {
	if p.Subject.Value == "" || p.Subject.Type == "" {
		return Result{}, errors.New("exchange: Params.Subject is required")
	}
	form := p.form(GrantTokenExchange)
	form.Set("requested_token_type", tokenboundary.TypeAccessToken)
	form.Set("subject_token", p.Subject.Value)
	form.Set("subject_token_type", p.Subject.Type)
	if !p.Actor.IsZero() {
		form.Set("actor_token", p.Actor.Value)
		form.Set("actor_token_type", p.Actor.Type)
	}
	return c.ask(ctx, form, p)
}

// ClientCredentials asks for a token of the client itself (RFC 6749, section 4.4). Params must name nobody else.
func (c *Client) ClientCredentials(ctx context.Context, p Params) (Result, error) {
	if !p.Subject.IsZero() || !p.Actor.IsZero() {
		return Result{}, errors.New("exchange: Params.Subject and Params.Actor are for an exchange")
	}
	return c.ask(ctx, p.form(GrantClientCredentials), p)
}

// Refresh asks for a token by a refresh token (RFC 6749, section 6). Params must name nobody else, and cannot be
// deferred.
func (c *Client) Refresh(ctx context.Context, refreshToken string, p Params) (Result, error) {
	if refreshToken == "" || !p.Subject.IsZero() || !p.Actor.IsZero() || p.Deferrable {
		return Result{}, errors.New("exchange: a refresh takes a refresh token, and neither Subject, Actor nor Deferrable")
	}
	form := p.form(GrantRefreshToken)
	form.Set("refresh_token", refreshToken)
	return c.ask(ctx, form, p)
}

// Poll asks for the answer to a request that was deferred, by the code of its Deferral. Params is what the request
// asked for: nothing of it is sent again, but the answer is checked against it. As long as the request waits, the error
// is an *Error of the code authorization_pending or slow_down.
func (c *Client) Poll(ctx context.Context, deferralCode string, p Params) (Result, error) {
	if deferralCode == "" {
		return Result{}, errors.New("exchange: a poll takes the code of a deferral")
	}
	return c.ask(ctx, url.Values{"grant_type": {GrantDeferred}, "deferral_code": {deferralCode}}, p)
}

func (p Params) form(grant string) url.Values {
	form := url.Values{"grant_type": {grant}}
	for name, value := range map[string]string{
		"connection": p.Connection, "scope": strings.Join(p.Scopes, " "), "authorization_details": string(p.Details),
	} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if len(p.Resource) > 0 {
		form["resource"] = p.Resource
	}
	if p.Deferrable {
		form.Set("completion_mode", completionDeferred)
	}
	return form
}

func (c *Client) ask(ctx context.Context, form url.Values, p Params) (Result, error) {
	if err := c.check(c.Endpoint); err != nil {
		return Result{}, err
	}
	header := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	if !p.Proof.IsZero() {
		header.Set(headerProof, p.Proof.Value)
	}
	if err := c.Auth(ctx, form, header); err != nil {
		return Result{}, fmt.Errorf("exchange: authenticate: %w", err)
	}
	members, err := c.send(ctx, c.Endpoint, form.Encode(), header)
	if err != nil {
		return Result{}, err
	}
	return result(members, p)
}

// Post sends an empty request to another endpoint of the boundary, with the client's credential in the header: a secret,
// or the assertion as a bearer. An answer other than 200 with a JSON object is an error, a refusal an *Error.
func (c *Client) Post(ctx context.Context, to string) error {
	if err := c.check(to); err != nil {
		return err
	}
	form, header := url.Values{}, http.Header{}
	if err := c.Auth(ctx, form, header); err != nil {
		return fmt.Errorf("exchange: authenticate: %w", err)
	}
	if a := form.Get("client_assertion"); a != "" {
		header.Set("Authorization", "Bearer "+a)
	}
	_, err := c.send(ctx, to, "", header)
	return err
}

// send posts a body and returns the members of a successful answer.
func (c *Client) send(ctx context.Context, to, body string, header http.Header) (canon.Members, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, strings.NewReader(body))
	if err != nil {
		return nil, errors.New("exchange: the endpoint is not a URL")
	}
	header.Set("Accept", "application/json")
	r.Header = header
	resp, err := c.http().Do(r)
	if err != nil {
		return nil, fmt.Errorf("exchange: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	return readAnswer(resp)
}

// check refuses a client that would send its credentials to nobody in particular.
func (c *Client) check(to string) error {
	if _, err := canon.SecureURL(to); err != nil {
		return fmt.Errorf("exchange: Client.Endpoint %w", err)
	}
	if c.Auth == nil {
		return errors.New("exchange: Client.Auth is required")
	}
	return nil
}

func (c *Client) http() *http.Client {
	own := http.Client{Timeout: 30 * time.Second}
	if c.HTTPClient != nil {
		own = *c.HTTPClient
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &own
}

func retryAfter(h http.Header) time.Duration {
	n, err := strconv.ParseUint(h.Get("Retry-After"), 10, 31)
	if err != nil {
		return 0
	}
	return time.Duration(n) * time.Second
}
