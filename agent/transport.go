package agent

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/tokenboundary/tokenboundary"
)

// Transport puts the token of a session on each request. It is safe for concurrent use; make it with Session.Transport.
type Transport struct {
	session *Session
	base    http.RoundTripper
	places  []place
	pass    bool
}

var _ http.RoundTripper = (*Transport)(nil)

// Transport returns what makes requests with the tokens of the session. Where a request goes to says which resource the
// token is for; the Call in its context (see WithCall) says for what, else the rule. A Call that names another resource than
// the place is refused.
//
// A token goes to the places of rules only, and never along with a redirect from one host to another. An Authorization or
// DPoP header that the request has already is dropped. After an answer of 401 the token is not used again, and the request
// is repeated once with another one, if its body can be had again. Where that is refused too, it is not replaced for a minute:
// every token costs the task one of its derivations. Base is http.DefaultTransport where it is nil. The error
// wraps tokenboundary.ErrInvalid.
func (s *Session) Transport(base http.RoundTripper, rules Rules) (*Transport, error) {
	if base == nil {
		base = http.DefaultTransport
	}
	t := &Transport{session: s, base: base, pass: rules.PassOthers}
	for _, r := range rules.Allow {
		p, err := r.read()
		if err != nil {
			return nil, err
		}
		t.places = append(t.places, p)
	}
	return t, nil
}

// RoundTrip implements http.RoundTripper. Its errors are those of Session.Token, tokenboundary.ErrDenied for a place that is
// in no rule, and a *StepUpError where the resource asks for another authentication of the user.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	p, found := find(t.places, r)
	if !found {
		return t.without(r)
	}
	c, err := p.call(r)
	if err != nil {
		return refuse(r, err)
	}
	token, err := t.session.Token(r.Context(), c)
	if err != nil {
		return refuse(r, err)
	}
	resp, err := t.send(r, r.Body, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	if err := stepUp(resp.Header); err != nil { // another token of the task would not help
		drain(resp)
		return nil, err
	}
	if t.session.spared(c, token) {
		return resp, nil
	}
	t.session.Reject(c, token)
	body, again := replay(r)
	if !again {
		return resp, nil
	}
	drain(resp)
	if token, err = t.session.Token(r.Context(), c); err != nil {
		closeBody(body)
		return nil, err
	}
	resp, err = t.send(r, body, token)
	if err == nil && resp.StatusCode == http.StatusUnauthorized {
		t.session.spare(c, token)
	}
	return resp, err
}

// call returns what a request to the place takes.
func (p place) call(r *http.Request) (Call, error) {
	c, _ := CallFrom(r.Context())
	if c.Resource != "" && fold(c.Resource) != fold(p.rule.Resource) {
		return c, invalid("the Call is for another resource than the request")
	}
	c.Resource = p.rule.Resource
	if len(c.Scopes) == 0 {
		c.Scopes = p.rule.Scopes
	}
	if c.Connection == "" {
		c.Connection = p.rule.Connection
	}
	return c, nil
}

// without handles a request to a place that gets no token.
func (t *Transport) without(r *http.Request) (*http.Response, error) {
	if !t.pass {
		return refuse(r, fmt.Errorf("agent: %q is not a place to send tokens to: %w", r.URL.Host, tokenboundary.ErrDenied))
	}
	return t.base.RoundTrip(bare(r, r.Body))
}

// bare returns a copy of r without credentials.
func bare(r *http.Request, body io.ReadCloser) *http.Request {
	out := r.WithContext(r.Context())
	out.Header = r.Header.Clone()
	if out.Header == nil {
		out.Header = http.Header{}
	}
	out.Header.Del("Authorization")
	out.Header.Del("DPoP")
	out.Body = body
	return out
}

// send sends a copy of r with a token, and a proof where that is bound. It closes the body in any case.
func (t *Transport) send(r *http.Request, body io.ReadCloser, token *oauth2.Token) (*http.Response, error) {
	out := bare(r, body)
	out.Header.Set("Authorization", token.TokenType+" "+token.AccessToken)
	if prover := t.session.cfg.Prover; prover != nil {
		hash := sha256.Sum256([]byte(token.AccessToken))
		to := url.URL{Scheme: r.URL.Scheme, Host: r.URL.Host, Path: r.URL.Path, RawPath: r.URL.RawPath}
		if to.Path == "" {
			to.Path = "/"
		}
		proof, err := prover.Prove(r.Context(), method(r), to.String(), base64.RawURLEncoding.EncodeToString(hash[:]))
		if err != nil {
			closeBody(body)
			return nil, fmt.Errorf("agent: Config.Prover: %w", err)
		}
		out.Header.Set("DPoP", proof)
	}
	return t.base.RoundTrip(out)
}

func method(r *http.Request) string {
	if r.Method == "" {
		return http.MethodGet
	}
	return r.Method
}

// replay returns the body once more, and false where it cannot be had again.
func replay(r *http.Request) (io.ReadCloser, bool) {
	switch {
	case r.Body == nil || r.Body == http.NoBody:
		return r.Body, true
	case r.GetBody == nil:
		return nil, false
	}
	body, err := r.GetBody()
	return body, err == nil
}

func refuse(r *http.Request, err error) (*http.Response, error) {
	closeBody(r.Body)
	return nil, err
}

func closeBody(b io.ReadCloser) {
	if b != nil {
		_ = b.Close() // nothing was read from it, or nobody waits for it
	}
}

// drain reads a little of an answer that is not used, so that its connection may be.
func drain(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, 4<<10)
	_ = resp.Body.Close()
}
