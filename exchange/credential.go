package exchange

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tokenboundary/tokenboundary"
)

// FormCredential returns the one credential of the client that sent a form: a secret in the Authorization header (RFC 6749,
// section 2.3.1) or an assertion in the form (RFC 7523, section 2.2). A client_id must agree. Whether the credential is good,
// the Governor says.
//
// Malformed is what ReadForm or ParseForm said of the form. A client is authenticated before it is told what was wrong with
// its form, so that only a body that is too large, or a credential that may stand in it twice, is answered here.
//
// An error is an *Error: of status 401 where there is no credential, or one of another kind.
func FormCredential(r *http.Request, f Form, malformed error) (tokenboundary.Credential, error) {
	var none tokenboundary.Credential
	if malformed != nil && AsError(malformed).Status == http.StatusRequestEntityTooLarge {
		return none, malformed
	}
	headers := r.Header.Values("Authorization")
	asserted := f.Has("client_assertion") || f.Has("client_assertion_type")
	id := f.Get("client_id")
	switch {
	case len(headers) > 1, len(headers) == 1 && (asserted || f.Has("client_secret")), asserted && f.Has("client_secret"):
		return none, several()
	case len(headers) == 1:
		cred, err := basic(headers[0])
		if err == nil && id != "" && id != cred.ID {
			return none, unauthenticated("client authentication failed")
		}
		return cred, err
	case f.Has("client_secret"):
		return none, unauthenticated("client_secret_post is not supported")
	case !asserted:
		return none, unauthenticated("client authentication is required")
	case malformed != nil && (!f.Has("client_assertion_type") || !f.Has("client_assertion")):
		return none, malformed // it may be there, and twice
	case f.Get("client_assertion_type") != AssertionType || !f.Has("client_assertion"):
		return none, unauthenticated("client_assertion_type is not supported")
	}
	return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, ID: id, Value: f.Get("client_assertion")}, nil
}

// HeaderCredential returns the one credential of a client whose request has no form: in the Authorization header, a secret
// (RFC 6749, section 2.3.1), or an assertion as a bearer. An error is as of FormCredential.
func HeaderCredential(r *http.Request) (tokenboundary.Credential, error) {
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return tokenboundary.Credential{}, unauthenticated("client authentication is required")
	case 1:
	default:
		return tokenboundary.Credential{}, several()
	}
	scheme, value, _ := strings.Cut(headers[0], " ")
	if strings.EqualFold(scheme, "Bearer") && value != "" {
		return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, Value: value}, nil
	}
	return basic(headers[0])
}

// maxBasic bounds a header with a secret, in bytes: it has room for a name and the longest secret, in base64.
const maxBasic = 24 << 10

// basic reads "Basic" with an id and a secret that were form-encoded before they were joined.
func basic(header string) (tokenboundary.Credential, error) {
	failed := unauthenticated("client authentication failed")
	scheme, encoded, _ := strings.Cut(header, " ")
	if len(header) > maxBasic || !strings.EqualFold(scheme, "Basic") {
		return tokenboundary.Credential{}, failed
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return tokenboundary.Credential{}, failed
	}
	rawID, rawSecret, found := strings.Cut(string(raw), ":")
	id, badID := url.QueryUnescape(rawID)
	secret, badSecret := url.QueryUnescape(rawSecret)
	if !found || badID != nil || badSecret != nil || id == "" || secret == "" || !utf8.ValidString(id+secret) {
		return tokenboundary.Credential{}, failed
	}
	return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: id, Value: secret}, nil
}

// unauthenticated is the one answer to every credential that is absent, malformed or not accepted.
func unauthenticated(why string) *Error {
	return &Error{Code: CodeInvalidClient, Description: why, Status: http.StatusUnauthorized}
}

func several() *Error { return invalid("more than one client credential") }
