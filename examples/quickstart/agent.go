package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// agent is a client of the boundary. It knows where the boundary is and its own credential, and nothing else.
type agent struct {
	id     string
	issuer string
	client exchange.Client
}

// withSecret returns a client that authenticates with a secret (client_secret_basic).
func withSecret(issuer, id, secret string) *agent {
	return newAgent(issuer, id, exchange.Basic(id, secret))
}

// withKey returns a client that authenticates with assertions signed by its key (private_key_jwt).
func withKey(issuer, id string, k key) *agent {
	return newAgent(issuer, id, exchange.Assertion(func(context.Context) (string, error) { return assertion(issuer, id, k) }))
}

func newAgent(issuer, id string, auth exchange.Authenticator) *agent {
	return &agent{id, issuer, exchange.Client{Endpoint: issuer + "/token", Auth: auth}}
}

// assertion returns a client assertion, good once and for a minute (RFC 7523, section 3).
func assertion(issuer, id string, k key) (string, error) {
	now := time.Now()
	return k.sign(map[string]any{
		"iss": id, "sub": id, "aud": issuer, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	})
}

// ask is what an agent asks for.
type ask struct {
	subject, actor tokenboundary.Credential
	resource       string
	scopes         []string
	task           map[string]any // starts a task
}

// from asks for scopes at a resource, with a token of the boundary.
func from(token, resource string, scopes ...string) ask {
	return ask{
		subject:  tokenboundary.Credential{Type: tokenboundary.TypeAccessToken, Value: token},
		resource: resource, scopes: scopes,
	}
}

// exchange trades the subject's token for another (RFC 8693).
func (a *agent) exchange(ctx context.Context, q ask) (exchange.Result, error) {
	p := exchange.Params{Subject: q.subject, Actor: q.actor, Scopes: q.scopes}
	if q.resource != "" {
		p.Resource = []string{q.resource}
	}
	if q.task != nil {
		details, err := json.Marshal([]any{q.task})
		if err != nil {
			return exchange.Result{}, err
		}
		p.Details = details
	}
	return a.client.Exchange(ctx, p)
}

// introspect asks whether a token is active (RFC 7662).
func (a *agent) introspect(ctx context.Context, token string) (active bool, err error) {
	var state struct {
		Active bool `json:"active"`
	}
	err = a.call(ctx, http.MethodPost, "/introspect", url.Values{"token": {token}}, &state)
	return state.Active, err
}

// call sends a request of this client to an endpoint of the boundary and decodes the answer.
func (a *agent) call(ctx context.Context, method, path string, form url.Values, into any) error {
	r, err := http.NewRequestWithContext(ctx, method, a.issuer+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	credential := url.Values{}
	if err := a.client.Auth(ctx, credential, r.Header); err != nil {
		return err
	}
	if assertion := credential.Get("client_assertion"); assertion != "" {
		r.Header.Set("Authorization", "Bearer "+assertion)
	}
	status, body, err := call(r)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		return fmt.Errorf("%s %s: status %d", method, path, status)
	}
	return json.Unmarshal(body, into)
}
