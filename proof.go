package tokenboundary

import (
	"context"
	"errors"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// prove verifies the proof of possession that came with a request (RFC 9449). From a client whose tokens are not bound it
// is looked at only where something bound is used: see bind.
func (h *hop) prove(ctx context.Context, c Credential) error {
	switch off := h.client.Binding == BindingOff; {
	case c.IsZero() && !off && h.client.Binding != BindingOptional:
		return refuse(CodeInvalidProof, "DPoP", "a proof of possession is required")
	case c.IsZero(), off:
		return nil
	}
	return h.verifyProof(ctx, c)
}

func (h *hop) verifyProof(ctx context.Context, c Credential) error {
	no := func(why string) error { return refuse(CodeInvalidProof, "DPoP", why) }
	if c.Type != TypeDPoP {
		return no("not a proof of possession")
	}
	p, err := h.g.identify(ctx, c)
	switch {
	case errors.Is(err, ErrUnavailable):
		return err
	case err != nil:
		return no("not acceptable: " + scrubbed(err, c))
	case !thumbprint(p.Key):
		return no("it proves no key")
	case !p.Expires.IsZero() && !h.g.latest().Before(p.Expires.Add(h.g.cfg.Lifetimes.ClockLeeway)):
		return no("expired")
	}
	once, err := onceProof(p)
	if err != nil {
		return no(err.Error())
	}
	if once == nil && c.Verified == nil { // a host that has verified it answers for that too
		return no("it could be used again")
	}
	if once != nil {
		once.possession = true
		h.proofs = append(h.proofs, once)
	}
	h.key = p.Key
	return nil
}

// thumbprint reports whether s is a SHA-256 thumbprint in base64url (RFC 7638).
func thumbprint(s string) bool {
	_, err := lineage.ParseID(s)
	return err == nil
}

// bind keeps what is bound to a key bound: the client it was issued to proves that key, anybody else who may use it a key
// of their own, and the result is bound to what was proved.
func (h *hop) bind(ctx context.Context) error {
	for _, e := range h.sources() {
		if e.Record.Body.Bound == "" {
			continue
		}
		if h.key == "" && !h.req.Proof.IsZero() {
			if err := h.verifyProof(ctx, h.req.Proof); err != nil {
				return err
			}
		}
		b := e.Record.Body
		switch {
		case h.key != "" && (h.key == b.Bound || b.Client != h.client.ID):
		case h.req.Grant == Refresh || h.req.Grant == Deferred:
			return h.unacceptable("bound to a key that is not proved")
		default:
			return refuse(CodeInvalidProof, "DPoP", "bound to a key that is not proved")
		}
	}
	return nil
}
