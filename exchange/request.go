package exchange

import (
	"net/http"
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The grant types of a token request.
const (
	GrantClientCredentials = "client_credentials"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// The token types of RFC 8693, section 3, that a subject or an actor may present.
var presentable = []string{tokenboundary.TypeAccessToken, tokenboundary.TypeIDToken, tokenboundary.TypeJWT}

// Parse returns the request that a form asks for, without the client's credential, which the caller sets. The values of
// audience are resources like those of resource (RFC 8693, section 2.1).
//
// An error is an *Error. It says that the form has no meaning as a request; whether a meaningful one is granted, the
// Governor says.
func Parse(f Form) (tokenboundary.Request, error) {
	var req tokenboundary.Request
	var err error
	switch f.Get("grant_type") {
	case "":
		return req, invalid("grant_type is missing")
	case GrantClientCredentials:
		req.Grant, err = tokenboundary.ClientCredentials, onlyClient(f)
	case GrantTokenExchange:
		req.Grant, err = tokenboundary.Exchange, presented(f, &req)
	default:
		return req, &Error{CodeUnsupportedGrantType, "grant_type is not supported", http.StatusBadRequest, 0}
	}
	if err != nil {
		return tokenboundary.Request{}, err
	}
	if err := asked(f, &req); err != nil {
		return tokenboundary.Request{}, err
	}
	return req, nil
}

// onlyClient refuses what only an exchange can have: to ignore it would be to act for somebody else than was meant.
func onlyClient(f Form) error {
	for _, name := range []string{"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"} {
		if f.Has(name) {
			return invalid(name + " has no place in this grant_type")
		}
	}
	return nil
}

// presented reads the credentials of an exchange.
func presented(f Form, req *tokenboundary.Request) error {
	if t := f.Get("requested_token_type"); t != "" && t != tokenboundary.TypeAccessToken {
		return invalid("requested_token_type is not supported")
	}
	if !f.Has("subject_token") {
		return invalid("subject_token is missing")
	}
	var err error
	if req.Subject, err = credential(f, "subject_token"); err != nil {
		return err
	}
	req.Actor, err = credential(f, "actor_token")
	return err
}

// credential reads a token and its type, which come together or not at all.
func credential(f Form, name string) (tokenboundary.Credential, error) {
	value, kind := f.Get(name), f.Get(name+"_type")
	switch {
	case value == "" && kind == "":
		return tokenboundary.Credential{}, nil
	case value == "":
		return tokenboundary.Credential{}, invalid(name + " is missing")
	case kind == "":
		return tokenboundary.Credential{}, invalid(name + "_type is missing")
	case !slices.Contains(presentable, kind):
		return tokenboundary.Credential{}, invalid(name + "_type is not supported")
	case len(value) > canon.MaxToken:
		return tokenboundary.Credential{}, invalid(name + " is too long")
	}
	return tokenboundary.Credential{Type: kind, Value: value}, nil
}

// asked reads what is asked for.
func asked(f Form, req *tokenboundary.Request) error {
	req.Connection = f.Get("connection")
	req.Resource = append(f.All("resource"), f.All("audience")...)
	if len(req.Resource) > canon.MaxResources {
		return refuse(tokenboundary.CodeInvalidTarget, "too many values of resource")
	}
	for _, r := range req.Resource {
		if len(r) > canon.MaxResource {
			return refuse(tokenboundary.CodeInvalidTarget, "resource is too long")
		}
	}
	var err error
	if req.Scopes, err = canon.ParseScope(f.Get("scope")); err != nil {
		return refuse(tokenboundary.CodeInvalidScope, "scope is malformed or too long")
	}
	req.Task, req.Details, err = parseDetails(f.Get("authorization_details"))
	return err
}
