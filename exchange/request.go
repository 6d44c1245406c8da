package exchange

import (
	"slices"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// The grant types of a token request.
const (
	GrantClientCredentials = "client_credentials"
	GrantTokenExchange     = "urn:ietf:params:oauth:grant-type:token-exchange"
	GrantRefreshToken      = "refresh_token"
	// GrantDeferred polls for the answer to a deferred request (draft-ietf-oauth-deferred-token-response).
	GrantDeferred = "urn:ietf:params:oauth:grant-type:deferred"
)

// The token types of RFC 8693, section 3, that a subject or an actor may present.
var presentable = []string{tokenboundary.TypeAccessToken, tokenboundary.TypeIDToken, tokenboundary.TypeJWT}

// grants are the grants that are known, each with the parameters that have a place in it. Of those that belong to other
// grants, none may come with it: to ignore it would be to act for somebody else than was meant.
var grants = map[string]struct {
	grant tokenboundary.Grant
	takes []string
	read  func(Form, *tokenboundary.Request) error
}{
	GrantClientCredentials: {tokenboundary.ClientCredentials, append([]string{"completion_mode"}, asks...), deferrable},
	GrantTokenExchange:     {tokenboundary.Exchange, slices.Concat([]string{"completion_mode"}, asks, exchanges), presented},
	GrantRefreshToken:      {tokenboundary.Refresh, append([]string{"refresh_token"}, asks...), refreshed},
	GrantDeferred:          {tokenboundary.Deferred, []string{"deferral_code"}, polled},
}

var (
	asks      = []string{"resource", "audience", "scope", "connection", "authorization_details"}
	exchanges = []string{"subject_token", "subject_token_type", "actor_token", "actor_token_type", "requested_token_type"}
	specific  = slices.Concat([]string{"completion_mode", "refresh_token", "deferral_code"}, exchanges, asks)
)

// Parse returns the request that a form asks for, without the client's credential and a proof of possession, which the
// caller sets. The values of audience are resources like those of resource (RFC 8693, section 2.1).
//
// An error is an *Error. It says that the form has no meaning as a request; whether a meaningful one is granted, the
// Governor says.
func Parse(f Form) (tokenboundary.Request, error) {
	var none tokenboundary.Request
	if !f.Has("grant_type") {
		return none, invalid("grant_type is missing")
	}
	kind, known := grants[f.Get("grant_type")]
	if !known {
		return none, &Error{Code: CodeUnsupportedGrantType, Description: "grant_type is not supported"}
	}
	for _, name := range specific {
		if f.Has(name) && !slices.Contains(kind.takes, name) {
			return none, invalid(name + " has no place in this grant_type")
		}
	}
	req := tokenboundary.Request{Grant: kind.grant}
	if err := kind.read(f, &req); err != nil {
		return none, err
	}
	if err := asked(f, &req); err != nil {
		return none, err
	}
	if req.Task != nil && req.Grant == tokenboundary.Refresh {
		return none, badDetails("cannot ask for a task in this grant_type")
	}
	return req, nil
}

// deferrable reads whether the client accepts to be told to wait and poll.
func deferrable(f Form, req *tokenboundary.Request) error {
	switch f.Get("completion_mode") {
	case "":
	case completionDeferred:
		req.Deferrable = true
	default:
		return invalid("completion_mode is not supported")
	}
	return nil
}

// completionDeferred is the completion_mode of a client that accepts to be told to wait and poll.
const completionDeferred = "deferred"

// refreshed reads the refresh token (RFC 6749, section 6).
func refreshed(f Form, req *tokenboundary.Request) (err error) {
	req.Subject, err = secret(f, "refresh_token", tokenboundary.TypeRefreshToken)
	return err
}

// polled reads the code of a deferred request.
func polled(f Form, req *tokenboundary.Request) (err error) {
	req.Subject, err = secret(f, "deferral_code", tokenboundary.TypeDeferralCode)
	return err
}

// secret reads a parameter that holds a credential of a known type.
func secret(f Form, name, kind string) (tokenboundary.Credential, error) {
	value := f.Get(name)
	switch {
	case value == "":
		return tokenboundary.Credential{}, invalid(name + " is missing")
	case len(value) > canon.MaxToken:
		return tokenboundary.Credential{}, invalid(name + " is too long")
	}
	return tokenboundary.Credential{Type: kind, Value: value}, nil
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
	if req.Actor, err = credential(f, "actor_token"); err != nil {
		return err
	}
	return deferrable(f, req)
}

// credential reads a token and its type, which come together or not at all.
func credential(f Form, name string) (tokenboundary.Credential, error) {
	value, kind := f.Get(name), f.Get(name+"_type")
	switch {
	case value == "" && kind == "":
		return tokenboundary.Credential{}, nil
	case value != "" && kind == "":
		return tokenboundary.Credential{}, invalid(name + "_type is missing")
	case value != "" && !slices.Contains(presentable, kind):
		return tokenboundary.Credential{}, invalid(name + "_type is not supported")
	}
	return secret(f, name, kind)
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
