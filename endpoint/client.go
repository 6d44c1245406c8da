package endpoint

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// unauthenticated is the one answer to every credential that is absent, malformed or not accepted.
func unauthenticated(why string) error {
	return &exchange.Error{Code: exchange.CodeInvalidClient, Description: why, Status: http.StatusUnauthorized}
}

// formCredential returns the one credential of a client at an endpoint that takes a form: an Authorization header with
// a secret (RFC 6749, section 2.3.1) or an assertion in the form (RFC 7523, section 2.2). A client_id must agree.
// Malformed is what was wrong with the form: only a body that is too large is answered here already.
func formCredential(r *http.Request, f exchange.Form, malformed error) (tokenboundary.Credential, error) {
	var none tokenboundary.Credential
	if malformed != nil && exchange.AsError(malformed).Status == http.StatusRequestEntityTooLarge {
		return none, malformed
	}
	headers := r.Header.Values("Authorization")
	asserted := f.Has("client_assertion") || f.Has("client_assertion_type")
	id := f.Get("client_id")
	switch {
	case len(headers) > 1, len(headers) == 1 && (asserted || f.Has("client_secret")), asserted && f.Has("client_secret"):
		return none, bad("more than one client credential")
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
	case f.Get("client_assertion_type") != exchange.AssertionType || !f.Has("client_assertion"):
		return none, unauthenticated("client_assertion_type is not supported")
	}
	return tokenboundary.Credential{Type: tokenboundary.TypeClientAssertion, ID: id, Value: f.Get("client_assertion")}, nil
}

// headerCredential returns the credential of a client at the other endpoints: a secret, or an assertion as a bearer.
func headerCredential(r *http.Request) (tokenboundary.Credential, error) {
	headers := r.Header.Values("Authorization")
	switch len(headers) {
	case 0:
		return tokenboundary.Credential{}, unauthenticated("client authentication is required")
	case 1:
	default:
		return tokenboundary.Credential{}, bad("more than one client credential")
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

// authenticateForm authenticates the client of a form, and only then reports what was wrong with the form.
func (h *Handler) authenticateForm(c *call) (tokenboundary.Client, exchange.Form, error) {
	f, malformed := exchange.ReadForm(c.r)
	cred, err := formCredential(c.r, f, malformed)
	if err != nil {
		return tokenboundary.Client{}, f, err
	}
	by, err := h.authenticate(c, cred)
	if err == nil {
		err = malformed
	}
	return by, f, err
}

// malformed says what a request that would change something and cannot be understood is answered with. The verb was asked
// for nothing in its place: it knows who may ask at all, and has spent what the client was authenticated with. Where
// nothing was malformed, the verb's error is the answer.
func malformed(why, verb error) error {
	if why != nil && (verb == nil || errors.Is(verb, tokenboundary.ErrInvalid) || errors.Is(verb, tokenboundary.ErrNotFound)) {
		return why
	}
	return verb
}

// authenticateHeader authenticates the client of a request whose body, if any, is not a form.
func (h *Handler) authenticateHeader(c *call) (tokenboundary.Client, error) {
	c.bearer = true
	cred, err := headerCredential(c.r)
	if err != nil {
		return tokenboundary.Client{}, err
	}
	return h.authenticate(c, cred)
}

func (h *Handler) authenticate(c *call, cred tokenboundary.Credential) (tokenboundary.Client, error) {
	by, err := h.g.Authenticate(c.r.Context(), cred)
	if err == nil {
		c.client = by.ID
	}
	return by, err
}
