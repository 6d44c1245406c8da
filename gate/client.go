package gate

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// maxBasic bounds a header with a secret, in bytes: it has room for a name and the longest secret, in base64.
const maxBasic = 24 << 10

// unauthenticated is the answer to a credential that is absent, malformed or not accepted.
func unauthenticated(why string) error {
	return &exchange.Error{Code: exchange.CodeInvalidClient, Description: why, Status: http.StatusUnauthorized}
}

// credentialOf returns the one credential of the client: a secret in the header (RFC 6749, section 2.3.1) or an assertion
// in the form (RFC 7523, section 2.2), as the boundary's own token endpoint takes them. Malformed is what was wrong with the
// form.
func credentialOf(r *http.Request, f exchange.Form, malformed error) (tokenboundary.Credential, error) {
	var none tokenboundary.Credential
	if malformed != nil && exchange.AsError(malformed).Status == http.StatusRequestEntityTooLarge {
		return none, malformed
	}
	headers := r.Header.Values("Authorization")
	asserted := f.Has("client_assertion") || f.Has("client_assertion_type")
	switch {
	case len(headers) > 1, len(headers) == 1 && (asserted || f.Has("client_secret")), asserted && f.Has("client_secret"):
		return none, problem(http.StatusBadRequest, "more than one client credential")
	case len(headers) == 1:
		cred, ok := basic(headers[0])
		if id := f.Get("client_id"); !ok || id != "" && id != cred.ID {
			return none, unauthenticated("client authentication failed")
		}
		return cred, nil
	case f.Has("client_secret"):
		return none, unauthenticated("client_secret_post is not supported")
	case !asserted:
		return none, unauthenticated("client authentication is required")
	case malformed != nil && (!f.Has("client_assertion_type") || !f.Has("client_assertion")):
		return none, malformed // it may be there, and twice
	case f.Get("client_assertion_type") != exchange.AssertionType || !f.Has("client_assertion"):
		return none, unauthenticated("client_assertion_type is not supported")
	}
	return tokenboundary.Credential{
		Type: tokenboundary.TypeClientAssertion, ID: f.Get("client_id"), Value: f.Get("client_assertion"),
	}, nil
}

// basic reads "Basic" with an id and a secret that were form-encoded before they were joined.
func basic(header string) (tokenboundary.Credential, bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	if len(header) > maxBasic || !strings.EqualFold(scheme, "Basic") {
		return tokenboundary.Credential{}, false
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return tokenboundary.Credential{}, false
	}
	rawID, rawSecret, found := strings.Cut(string(raw), ":")
	id, badID := url.QueryUnescape(rawID)
	secret, badSecret := url.QueryUnescape(rawSecret)
	ok := found && badID == nil && badSecret == nil && id != "" && secret != "" && utf8.ValidString(id+secret)
	return tokenboundary.Credential{Type: tokenboundary.TypeClientSecret, ID: id, Value: secret}, ok
}
