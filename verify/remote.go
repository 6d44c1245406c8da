package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// callTimeout bounds one request, beside what it asks the boundary to wait.
const callTimeout = 5 * time.Second

// assertionType is the client_assertion_type of a signed assertion (RFC 7523, section 2.2).
const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// RemoteConfig is what a Remote is made of. URL and Credential are required.
type RemoteConfig struct {
	// URL is what the endpoints of the boundary are below: its issuer, where it is reached by that. https, or http to a
	// loopback address.
	URL string
	// Credential authenticates each request: the resource server's secret (tokenboundary.TypeClientSecret, with its ID), or
	// a new assertion (tokenboundary.TypeClientAssertion). See Secret. It is called concurrently.
	Credential func(context.Context) (tokenboundary.Credential, error)
	// Client sends the requests; nil means one of its own. Its CheckRedirect, Jar and Timeout are not used.
	Client *http.Client
	// Clock is by what requests time out. Nil: the machine's.
	Clock clock.Clock
}

// Secret authenticates with a client secret (client_secret_basic; RFC 6749, section 2.3.1).
func Secret(id, secret string) func(context.Context) (tokenboundary.Credential, error) {
	return func(context.Context) (tokenboundary.Credential, error) {
		return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: id, Value: secret}, nil
	}
}

// Remote is a Boundary behind HTTP. It follows no redirect, and reads no answer without a bound. It is safe for
// concurrent use, and hides its credential; make it with NewRemote.
//
// An answer that is not a success is an error by its status: 401 tokenboundary.ErrUnauthenticated, 403 ErrForbidden, 410
// ErrGone, another of 4xx ErrInvalid, and everything else ErrUnavailable, with the Retry-After of the answer.
type Remote struct {
	base       string
	credential func(context.Context) (tokenboundary.Credential, error)
	client     *http.Client
	clock      clock.Clock
}

var _ Boundary = (*Remote)(nil)

// NewRemote returns a Remote. The error names the field of cfg that it cannot work with. It sends nothing yet.
func NewRemote(cfg RemoteConfig) (*Remote, error) {
	u, err := url.Parse(cfg.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.RawQuery != "" || strings.ContainsAny(cfg.URL, "?#") ||
		u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
		return nil, errors.New("verify: RemoteConfig.URL must be an https URL, or http on a loopback host, and nothing more")
	case cfg.Credential == nil:
		return nil, errors.New("verify: RemoteConfig.Credential is required")
	}
	client := http.Client{}
	if cfg.Client != nil {
		client = *cfg.Client
	}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	client.Jar, client.Timeout = nil, 0
	return &Remote{strings.TrimSuffix(u.String(), "/"), cfg.Credential, &client, orClock(cfg.Clock)}, nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// String hides the credential.
func (r *Remote) String() string { return "remote boundary" }

// GoString hides the credential.
func (r *Remote) GoString() string { return r.String() }

// LogValue hides the credential.
func (r *Remote) LogValue() slog.Value { return slog.StringValue(r.String()) }

// MarshalJSON hides the credential.
func (r *Remote) MarshalJSON() ([]byte, error) { return json.Marshal(r.String()) }

// Introspect implements Boundary (RFC 7662).
func (r *Remote) Introspect(ctx context.Context, raw string) (tokenboundary.State, error) {
	body, err := r.call(ctx, request{method: http.MethodPost, path: "/introspect", form: url.Values{"token": {raw}}})
	if err != nil {
		return tokenboundary.State{}, err
	}
	return readState(body)
}

// Revocations implements Boundary. It reads page after page without waiting once there was something.
func (r *Remote) Revocations(ctx context.Context, after uint64, wait time.Duration) iter.Seq2[lineage.Revocation, error] {
	return func(yield func(lineage.Revocation, error) bool) {
		for {
			query := url.Values{"after": {strconv.FormatUint(after, 10)}, "wait": {wait.String()}}
			body, err := r.call(ctx, request{method: http.MethodGet, path: "/revocations?" + query.Encode(), wait: wait, most: maxFeed})
			var page []lineage.Revocation
			if err == nil {
				page, err = readFeed(body)
			}
			if err != nil {
				yield(lineage.Revocation{}, err)
				return
			}
			for _, entry := range page {
				if !yield(entry, nil) {
					return
				}
			}
			if len(page) < maxPage {
				return
			}
			after, wait = page[len(page)-1].Seq, 0
		}
	}
}

// ReportUsage implements Boundary.
func (r *Remote) ReportUsage(ctx context.Context, uses []tokenboundary.Use) (tokenboundary.UsageReceipt, error) {
	report, err := writeUses(uses)
	if err != nil {
		return tokenboundary.UsageReceipt{}, err
	}
	body, err := r.call(ctx, request{method: http.MethodPost, path: "/usage", json: report})
	if err != nil {
		return tokenboundary.UsageReceipt{}, err
	}
	return readReceipt(body)
}

// request is one request: with a form, with JSON, or with no body.
type request struct {
	method, path string
	form         url.Values
	json         []byte
	wait         time.Duration // for which the boundary may take longer
	most         int64         // bytes of the answer; zero is maxAnswer
}

// call sends a request and returns the body of a successful answer.
func (r *Remote) call(ctx context.Context, req request) ([]byte, error) {
	ctx, cancel := within(ctx, r.clock, req.wait+callTimeout)
	defer cancel()
	cred, err := r.credential(ctx)
	if err != nil {
		return nil, away("credential", err)
	}
	out, err := r.request(ctx, req, cred)
	if err != nil {
		return nil, err
	}
	resp, err := r.client.Do(out)
	if err != nil {
		var outer *url.Error // which repeats the URL
		if errors.As(err, &outer) {
			err = outer.Err
		}
		return nil, away("no answer", err)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	return readAnswer(resp, req.most)
}

func (r *Remote) request(ctx context.Context, req request, cred tokenboundary.Credential) (*http.Request, error) {
	body, kind := string(req.json), "application/json"
	bearer := cred.Type == tokenboundary.TypeClientAssertion
	if req.form != nil {
		kind = "application/x-www-form-urlencoded"
		if bearer {
			req.form.Set("client_assertion_type", assertionType)
			req.form.Set("client_assertion", cred.Value)
		}
		body = req.form.Encode()
	}
	out, err := http.NewRequestWithContext(ctx, req.method, r.base+req.path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("%w: verify: no request can be made", tokenboundary.ErrInvalid)
	}
	out.Header.Set("Accept", "application/json")
	if body != "" {
		out.Header.Set("Content-Type", kind)
	}
	switch {
	case cred.Value == "" || !bearer && cred.Type != tokenboundary.TypeClientSecret:
		return nil, fmt.Errorf("%w: verify: RemoteConfig.Credential gave neither a secret nor an assertion", tokenboundary.ErrUnauthenticated)
	case !bearer:
		out.SetBasicAuth(url.QueryEscape(cred.ID), url.QueryEscape(cred.Value))
	case req.form == nil:
		out.Header.Set("Authorization", "Bearer "+cred.Value)
	}
	return out, nil
}

// away is the error for a boundary that cannot be asked now.
func away(what string, err error) error {
	return &tokenboundary.UnavailableError{Err: fmt.Errorf("verify: %s: %w", what, err)}
}
