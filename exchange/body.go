package exchange

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// ReadForm reads the form in the body of r and nothing else: parameters in its URL do not count. An error is an
// *Error; the Form then holds what could be read without doubt, so that the sender can still be authenticated before
// it is told.
func ReadForm(r *http.Request) (Form, error) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	charset, given := params["charset"]
	switch {
	case r.ContentLength > canon.MaxBody:
		return Form{}, tooLarge()
	case err != nil, kind != "application/x-www-form-urlencoded", given && !strings.EqualFold(charset, "utf-8"):
		return Form{}, invalid("the body must be application/x-www-form-urlencoded")
	}
	return ParseForm(r.Body)
}

// ReadObject reads the JSON object in the body of r, at most 256 KiB of it, and returns its members. Duplicate members,
// anything behind the object, and another content type are refused. An error is an *Error.
func ReadObject(r *http.Request) (map[string]json.RawMessage, error) {
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, invalid("the body must be application/json")
	}
	raw, err := readBody(r.Body)
	if err != nil {
		return nil, err
	}
	members, err := canon.Object(raw)
	if err != nil {
		return nil, invalid("the body is " + err.Error())
	}
	return members, nil
}

// PresentedToken returns the parameter of introspection and revocation that holds a token (RFC 7662, section 2.1; RFC
// 7009, section 2.1). An error is an *Error.
func PresentedToken(f Form) (string, error) {
	token := f.Get("token")
	switch {
	case token == "":
		return "", invalid("token is missing")
	case len(token) > canon.MaxToken:
		return "", invalid("token is too long")
	}
	return token, nil
}

func readBody(body io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(body, canon.MaxBody+1))
	var tooMany *http.MaxBytesError
	switch {
	case errors.As(err, &tooMany), len(raw) > canon.MaxBody:
		return nil, tooLarge()
	case err != nil:
		return nil, invalid("the body could not be read")
	}
	return raw, nil
}
