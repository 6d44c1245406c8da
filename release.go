package tokenboundary

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// release is the end of the pipeline: the token leaves only when it is both signed and durably recorded. The signature comes
// first, so that nothing is recorded or spent for a token that cannot be released.
func (h *hop) release(ctx context.Context) (Token, error) {
	tx, err := h.transaction()
	if err != nil {
		return Token{}, err
	}
	raw, err := h.sign(ctx)
	if err == nil {
		err = h.commit(ctx, tx)
	}
	if err != nil {
		return Token{}, err
	}
	return h.token(h.records[len(h.records)-1], raw), nil
}

func (h *hop) sign(ctx context.Context) (string, error) {
	raw, err := h.g.cfg.Minter.Mint(ctx, claimsOf(h.records[len(h.records)-1]))
	switch {
	case err != nil:
		h.again = true // a refusal goes before a signer that fails
		return "", cmp.Or(h.unblocked(context.WithoutCancel(ctx)), unavailable("sign", err))
	case raw == "" || len(raw) > canon.MaxMinted:
		return "", unavailable("sign", errors.New("token of unusable length"))
	}
	return raw, nil
}

func (h *hop) token(r lineage.Record, raw string) Token {
	t := Token{
		value: raw, ID: r.ID(), Client: r.Body.Client,
		IssuedAt: r.IssuedAt.Truncate(time.Second), ExpiresIn: time.Duration(r.ExpiresAt.Unix()-r.IssuedAt.Unix()) * time.Second,
		Audience: slices.Clone(r.Body.Audience), Details: slices.Clone(r.Body.Granted.Details), TaskID: r.TaskID(),
	}
	if len(r.Body.Granted.Access) > 0 {
		t.Scopes = slices.Clone(r.Body.Granted.Access[0].Scopes)
	}
	if h.task != nil {
		t.Task = r.Body.Task
	}
	if h.family != nil {
		t.refresh = h.family.text
	}
	t.Bound = r.Body.Bound
	return t
}
