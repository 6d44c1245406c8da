package gate

import (
	"errors"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// Auth0 is the codec of an Auth0 Action for credentials-exchange, which posts parts of its event and acts on the answer;
// docs/hooks.md has it. Host.Lifetime is the token lifetime of the API.
//
//	{"client":{"client_id":…},"resource_server":{"identifier":…},"accessToken":{"scope":[…]},"request":{"body":{"task":…}}}
//	{"allow":true,"claims":{…}}
//	{"allow":false,"code":"invalid_scope","reason":"refused"}
//
// The Action can deny and add claims, and nothing else. A client that wants a token below another one of its own sends
// task, with the id of that token's decision, as a parameter of its token request.
type Auth0 struct{ Host }

func (a Auth0) usable() error { return a.needsLifetime() }

// auth0Answer is what the Action acts on.
type auth0Answer struct {
	Allow  bool              `json:"allow"`
	Claims map[string]string `json:"claims,omitempty"`
	Code   string            `json:"code,omitempty"`
	Reason string            `json:"reason,omitempty"`
}

// Decode implements Codec.
func (a Auth0) Decode(body []byte) (Call, error) {
	o, err := objectOf(body)
	if err != nil {
		return Call{}, err
	}
	client := o.object("client").text("client_id")
	var audience []string
	if id := o.object("resource_server").text("identifier"); id != "" {
		audience = []string{id}
	}
	req := tokenboundary.Request{
		Grant: tokenboundary.ClientCredentials, Client: verified("", client), Connection: a.Connection,
		Resource: a.resources(audience), Scopes: o.object("accessToken").texts("scope"), Lifetime: a.Lifetime,
	}
	form := o.object("request").object("body")
	if form.raw("task") != nil {
		id := lookup(form, "task")
		within(&req, id)
		if id.IsZero() {
			req = refused(req, tokenboundary.CodeInvalidRequest)
		}
	}
	if err := o.check(); err != nil {
		return Call{}, err
	}
	if client == "" {
		return Call{}, errors.New("client_id is missing")
	}
	return Call{Request: req, Answer: func(d tokenboundary.Decision) Answer {
		if d.Effect != tokenboundary.Allow {
			return Answer{http.StatusOK, auth0Answer{Code: auth0Code(d.Code), Reason: "refused"}}
		}
		return Answer{http.StatusOK, auth0Answer{Allow: true, Claims: claimsOf(d)}}
	}}, nil
}

// auth0Code returns the code among those that api.access.deny takes.
func auth0Code(c tokenboundary.Code) string {
	if c == tokenboundary.CodeInvalidScope {
		return string(c)
	}
	return string(tokenboundary.CodeInvalidRequest)
}

// Fail implements Codec.
func (a Auth0) Fail(e *exchange.Error) Answer {
	out := wireError(e)
	out.Body = auth0Answer{Code: exchange.CodeServerError, Reason: "not decided"}
	return out
}
