package endpoint

import (
	"errors"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/exchange"
)

// authenticateForm authenticates the client of a form, and only then reports what was wrong with the form.
func (h *Handler) authenticateForm(c *call) (tokenboundary.Client, exchange.Form, error) {
	f, malformed := exchange.ReadForm(c.r)
	cred, err := exchange.FormCredential(c.r, f, malformed)
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
	cred, err := exchange.HeaderCredential(c.r)
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
