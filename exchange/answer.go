package exchange

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 1 << 20

// readAnswer returns the members of a successful answer. Any other is an *Error, with the code that the server gave.
func readAnswer(resp *http.Response) (canon.Members, error) {
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("exchange: read the answer: %w", err)
	case len(body) > maxAnswer:
		return nil, errors.New("exchange: the answer is too long")
	}
	var members canon.Members
	if kind == "application/json" {
		members, _ = canon.Object(body) // nil where it is none
	}
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, remoteError(resp, members)
	case members == nil:
		return nil, errors.New("exchange: the answer is not a JSON object")
	}
	return members, nil
}

func remoteError(resp *http.Response, members canon.Members) *Error {
	e := &Error{Status: resp.StatusCode, RetryAfter: retryAfter(resp.Header)}
	code, _ := canon.Text(members.Get("error"))
	why, _ := canon.Text(members.Get("error_description"))
	e.Code, e.Description = clean(code, 64), clean(why, maxDescription)
	if e.Code == "" {
		e.Code = CodeServerError
	}
	if waits(e.Code) {
		e.Deferral = deferral(members)
	}
	return e
}

// seconds reads a duration, zero where there is none.
func seconds(raw json.RawMessage) time.Duration {
	n, _ := integer(raw, 32)
	return time.Duration(n) * time.Second // 32 bits of seconds fit a Duration
}

// result checks a successful answer against what was asked for.
func result(members canon.Members, p Params) (Result, error) {
	bad := func(what string) (Result, error) {
		return Result{}, errors.New("exchange: the answer has " + what)
	}
	var r Result
	r.value, _ = canon.Text(members.Get("access_token"))
	kind, _ := canon.Text(members.Get("token_type"))
	issued, _ := canon.Text(members.Get("issued_token_type"))
	r.ExpiresIn = seconds(members.Get("expires_in"))
	r.refresh, _ = canon.Text(members.Get("refresh_token"))
	refreshable := members.Get("refresh_token") != nil
	switch {
	case !usable(r.value):
		return bad("no usable access_token")
	case !p.Proof.IsZero() && !strings.EqualFold(kind, "DPoP"):
		return bad("a token_type other than DPoP: the token is not bound to the key")
	case p.Proof.IsZero() && !strings.EqualFold(kind, "Bearer"):
		return bad("a token_type other than Bearer")
	case r.ExpiresIn == 0:
		return bad("no expires_in")
	case refreshable && !usable(r.refresh):
		return bad("no usable refresh_token")
	case !p.Subject.IsZero() && issued != tokenboundary.TypeAccessToken:
		return bad("another issued_token_type than was asked for")
	}
	var err error
	if r.Scopes, err = grantedScopes(members, p.Scopes); err != nil {
		return bad(err.Error())
	}
	if raw := members.Get("authorization_details"); raw != nil && json.Unmarshal(raw, &r.Details) != nil {
		return bad("authorization_details that are no array")
	}
	r.TaskID, _ = canon.Text(members.Get("task_id"))
	return r, nil
}

// usable reports whether a token can stand in an Authorization header.
func usable(token string) bool {
	return token != "" && len(token) <= canon.MaxToken &&
		!strings.ContainsFunc(token, func(r rune) bool { return r <= 0x20 || r > 0x7e })
}

// grantedScopes returns the scopes of the answer: where it names none, those that were asked for (RFC 6749, section
// 5.1). They may have what these imply beside them; none of what was asked for is an error.
func grantedScopes(members canon.Members, asked []string) ([]string, error) {
	raw := members.Get("scope")
	if raw == nil {
		return slices.Clone(asked), nil
	}
	param, ok := canon.Text(raw)
	scopes, err := canon.ParseScope(param)
	if !ok || err != nil {
		return nil, errors.New("a malformed scope")
	}
	if len(asked) > 0 && !slices.ContainsFunc(scopes, func(s string) bool { return slices.Contains(asked, s) }) {
		return nil, errors.New("none of the scopes that were asked for")
	}
	return scopes, nil
}
