package tokenboundary

import (
	"context"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// refresh is the ancestry of a token that is granted again (RFC 6749, section 6). What is presented must be the current
// refresh token of a live family, from the client and the key that it was issued to. A stranger's attempt changes
// nothing; a token that was used before puts the family in doubt, and ends it.
func (h *hop) refresh(ctx context.Context) error {
	if !h.req.Actor.IsZero() || h.req.Task != nil {
		return refuse(CodeInvalidRequest, "", "a refresh has neither an actor nor a new task")
	}
	e, f, err := h.presentFamily(ctx)
	if err != nil {
		return err
	}
	b := e.Record.Body
	h.parent, h.subject, h.session, h.carried = &e, b.Subject, b.Session, b.Actors
	if b.Client != h.client.ID {
		return h.unacceptable("issued to another client")
	}
	if err := h.bind(ctx); err != nil {
		return err
	}
	h.family, h.approved = f, b.Approved
	s := stateOf(e, h.g.latest())
	if f != nil && (s == lineage.Active || s == lineage.Suspended) { // reuse ends a suspended family too
		if err := h.use(f); err != nil {
			return err
		}
	}
	if s != lineage.Active {
		return h.unacceptable("the refresh family is " + string(s))
	}
	if h.above, err = h.g.tokenAbove(ctx, e.Record, nil); err != nil {
		return unavailable("family", err)
	}
	return h.askAgain(b)
}

// presentFamily finds the family that the credential names: by a refresh token of ours or, from a host that keeps its
// own, by the id of its record.
func (h *hop) presentFamily(ctx context.Context) (store.Entry, *family, error) {
	c := h.req.Subject
	var e store.Entry
	var f *family
	err := error(ErrNotMine)
	switch {
	case c.Type != TypeRefreshToken:
	case c.Verified == nil && h.mints:
		e, f, err = h.g.familyOf(ctx, c.Value)
	case c.Verified != nil && !h.mints:
		if e, err = h.g.entry(ctx, c.Verified.Lineage); err == nil && (e.Record.Kind != lineage.KindGrant || e.Record.Body == nil) {
			err = ErrNotMine
		}
	}
	switch {
	case errors.Is(err, ErrUnavailable):
		return e, nil, err
	case err != nil:
		return e, nil, h.unacceptable("not a refresh token of this boundary")
	}
	return e, f, nil
}

// use decides what the presented token amounts to.
func (h *hop) use(f *family) error {
	now, grace := h.g.latest(), h.g.cfg.Lifetimes.RefreshGrace
	switch f.state.Present(f.presented.generation, f.presented.digest(), now, grace) {
	case state.Fresh:
		next := newRefreshToken(f.id, f.state.Generation+1)
		f.next = &next
		return nil
	case state.Repeat:
		text, err := unwrap(f.presented, f.successor.Value)
		if err != nil {
			return h.unacceptable("it may not be repeated any more") // by the store's clock, which ends the window
		}
		f.text, f.repeat = text, true
		return nil
	case state.Reused:
		no := &refusal{code: CodeInvalidGrant, param: "refresh_token", why: "it was used before: the refresh family ends"}
		no.effect.Swaps = []store.Swap{{Key: f.head.Key, Version: f.head.Version, State: "reused", Expires: f.expires}}
		no.effect.Revocations = []lineage.Revocation{{
			Selector: lineage.Selector{Kind: lineage.SelectToken, Value: f.id.String()}, At: h.now, By: h.client.ID,
			Reason: "a refresh token was used twice",
		}}
		return no
	}
	return h.unacceptable("it was not used for too long")
}

// regrantable is what a refresh family can be granted again.
func regrantable(b *lineage.Body) lineage.Authority {
	out := b.Granted.Normal()
	out.Access = refreshable(out.Access, b.Reasons)
	return out
}

// askAgain makes the request ask for what the family was granted or, where it names less, for that part. The family keeps
// the whole grant.
func (h *hop) askAgain(b *lineage.Body) error {
	ceiling := regrantable(b)
	h.ceiling = &ceiling
	if h.req.Connection != "" && h.req.Connection != b.Connection {
		return refuse(CodeInvalidTarget, "connection", "not the connection that was granted")
	}
	h.req.Connection = b.Connection
	whole := ceiling
	if !h.mints && h.req.Enforce&CapScopes == 0 { // what the host would grant again by itself
		whole = b.Granted
	}
	if len(h.req.Resource) == 0 {
		h.req.Resource = whole.Resources()
	}
	var all []string
	for _, r := range h.req.Resource {
		all = sortedUnion(all, whole.Scopes(r))
	}
	if slices.ContainsFunc(h.req.Scopes, func(s string) bool { return len(all) > 0 && !slices.Contains(all, s) }) {
		return refuse(CodeInvalidScope, "scope", "more than was granted")
	}
	if len(h.req.Scopes) == 0 {
		h.req.Scopes = all
	}
	if len(h.req.Details) == 0 {
		h.req.Details = detailsOf(ceiling.Details)
	}
	if h.req.Lifetime == 0 {
		h.req.Lifetime = b.Requested.Lifetime
	}
	return nil
}
