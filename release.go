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

// release is the end of the pipeline: the token leaves only when it is both signed and durably recorded. Where the
// commit changes a head, the signature comes first, so that nothing is spent on a token that cannot be released;
// otherwise the two run side by side.
func (h *hop) release(ctx context.Context) (Token, error) {
	tx, err := h.transaction()
	if err != nil {
		return Token{}, err
	}
	r := h.records[len(h.records)-1]
	var raw signed
	if len(tx.Swaps) > 0 || len(tx.Adds) > 0 {
		if raw = h.sign(ctx); raw.err == nil {
			err = h.commit(ctx, tx)
		}
	} else {
		signing := make(chan signed, 1)
		go func() { signing <- h.sign(ctx) }()
		err = h.commit(ctx, tx)
		raw = <-signing
	}
	if err = cmp.Or(err, raw.err); err != nil {
		return Token{}, err
	}
	return h.token(r, raw.token), nil
}

// signed is a token that is signed, or why it is not.
type signed struct {
	token string
	err   error
}

func (h *hop) sign(ctx context.Context) signed {
	raw, err := h.g.cfg.Minter.Mint(ctx, claimsOf(h.records[len(h.records)-1]))
	switch {
	case err != nil:
		h.again = true // a refusal goes before a signer that fails
		return signed{err: cmp.Or(h.unblocked(context.WithoutCancel(ctx)), unavailable("sign", err))}
	case raw == "" || len(raw) > canon.MaxMinted:
		return signed{err: unavailable("sign", errors.New("token of unusable length"))}
	}
	return signed{token: raw}
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
