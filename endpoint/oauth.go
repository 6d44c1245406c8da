package endpoint

import (
	"errors"
	"net/http"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// serveToken is the token endpoint. The Governor authenticates the client as the first step of issuing, also of one that
// sent no request: only then is it told what was wrong.
func (h *Handler) serveToken(c *call) error {
	f, malformed := exchange.ReadForm(c.r)
	cred, err := exchange.FormCredential(c.r, f, malformed)
	if err != nil {
		return err
	}
	req, malformed := h.tokenRequest(c.r, f, malformed)
	req.Client = cred
	tok, err := h.g.Issue(c.r.Context(), req)
	c.client = tok.Client
	var denied *tokenboundary.DeniedError
	if errors.As(err, &denied) {
		c.client = denied.Decision.Client
	}
	switch {
	case denied != nil && malformed != nil:
		return malformed // says more than the code
	case err != nil:
		return err
	}
	body, err := exchange.Response(req, tok)
	if err != nil {
		return err
	}
	return c.raw(http.StatusOK, printable(body))
}

// tokenRequest returns what the form and the header of a request ask for. What is no request says so, beside what is
// wrong with it.
func (h *Handler) tokenRequest(r *http.Request, f exchange.Form, malformed error) (tokenboundary.Request, error) {
	var req tokenboundary.Request
	if malformed == nil {
		req, malformed = exchange.Parse(f)
	}
	if malformed == nil {
		req.Proof, malformed = exchange.Proof(r, h.token)
	}
	if malformed != nil {
		return tokenboundary.Request{Malformed: tokenboundary.Code(exchange.AsError(malformed).Code)}, malformed
	}
	return req, nil
}

// serveIntrospect is the introspection endpoint (RFC 7662).
func (h *Handler) serveIntrospect(c *call) error {
	by, token, err := h.tokenForm(c)
	if err != nil {
		return err
	}
	state, err := h.g.Introspect(c.r.Context(), by, token)
	switch {
	case err != nil:
		return err
	case !state.Active:
		return c.raw(http.StatusOK, []byte(`{"active":false}`))
	}
	bound := ""
	if state.Claims.Confirm != nil {
		bound = state.Claims.Confirm.Thumbprint
	}
	return c.json(http.StatusOK, struct {
		Active    bool   `json:"active"`
		TokenType string `json:"token_type"`
		tokenboundary.Claims
	}{true, exchange.TokenType(bound), state.Claims})
}

// serveRevoke is the revocation endpoint (RFC 7009). A token that is unknown or dead already is no error.
func (h *Handler) serveRevoke(c *call) error {
	by, token, err := h.tokenForm(c)
	if err != nil && by.ID == "" {
		return err
	}
	if retired := h.g.Retire(c.r.Context(), by, token); err != nil || retired != nil {
		return malformed(err, retired)
	}
	c.Header().Set("Cache-Control", "no-store")
	c.WriteHeader(http.StatusOK)
	return nil
}

// tokenForm authenticates the client and returns the token it asks about. A token_type_hint is not needed to find it,
// and is ignored.
func (h *Handler) tokenForm(c *call) (tokenboundary.Client, string, error) {
	by, f, err := h.authenticateForm(c)
	if err != nil {
		return by, "", err
	}
	token, err := exchange.PresentedToken(f)
	return by, token, err
}
