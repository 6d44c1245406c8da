package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// poll is the ancestry of a deferred request that is asked for again. While it waits, the client is told to; once it need
// not, the request is decided anew, from what its record says and within what was agreed to.
func (h *hop) poll(ctx context.Context) error {
	r := h.req
	if !r.Actor.IsZero() || r.Task != nil || r.Deferrable || r.Connection != "" || len(r.Resource)+len(r.Scopes)+len(r.Details) > 0 {
		return refuse(CodeInvalidRequest, "", "a poll asks for nothing but the answer")
	}
	d, err := h.presentCode(ctx)
	if err != nil {
		return err
	}
	b := d.entry.Record.Body
	h.subject, h.session, h.carried = b.Subject, b.Session, b.Actors
	h.approved = &lineage.Approved{ID: d.entry.Record.ID()} // of a refusal too: it belongs to the request
	if b.Client != h.client.ID {
		return h.unacceptable("issued to another client")
	}
	h.deferred = d
	if err := h.bind(ctx); err != nil {
		return err
	}
	if !slices.Contains(h.client.Grants, Grant(b.GrantType)) {
		return refuse(CodeUnauthorizedClient, "grant_type", "the client may not use this grant any more")
	}
	switch s := stateOf(d.entry, h.g.latest()); {
	case d.head.State == state.Released:
		return h.unacceptable("it was answered with a token already")
	case d.head.State == state.Refused:
		return refuse(CodeAccessDenied, "deferral_code", "refused by "+d.wait.By)
	case s == lineage.Expired:
		return refuse(CodeExpiredToken, "deferral_code", "nobody agreed in time")
	case s == lineage.Suspended:
		return h.stillWaiting()
	case s != lineage.Active:
		return h.unacceptable("what it was made from is " + string(s))
	case d.head.State == state.Pending:
		return h.stillWaiting()
	}
	if _, ok := state.Wait(d.head.State, state.Release); !ok {
		return h.unacceptable("in a state that permits nothing")
	}
	return h.recall(ctx)
}

// presentCode finds the request that the deferral code names.
func (h *hop) presentCode(ctx context.Context) (*deferred, error) {
	c := h.req.Subject
	err := error(ErrNotMine)
	var d *deferred
	if c.Type == TypeDeferralCode && c.Verified == nil {
		d, err = h.g.deferredOf(ctx, c.Value)
	}
	switch {
	case errors.Is(err, ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, h.unacceptable("not a deferral code of this boundary")
	}
	return d, nil
}

// stillWaiting tells the client to poll again, and to do so more slowly if it came too early.
func (h *hop) stillWaiting() error {
	d, code := h.deferred, CodeAuthorizationPending
	pace := state.Pace{Interval: pollInterval}
	if d.pace.Version > 0 {
		if err := readHead(d.pace, &pace); err != nil {
			return err
		}
	}
	pace, inTime := pace.Poll(h.now)
	if !inTime {
		code = CodeSlowDown
	}
	value, err := json.Marshal(pace)
	if err != nil {
		return unavailable("deferral", err)
	}
	no := &refusal{code: code, param: "deferral_code", why: "not yet", again: &Deferral{
		Interval: pace.Interval, ExpiresIn: d.entry.Record.ExpiresAt.Sub(h.now),
	}}
	no.effect.Swaps = []store.Swap{{
		Key: d.pace.Key, Version: d.pace.Version, State: "set", Value: value, Expires: d.entry.Record.ExpiresAt.Add(2 * h.g.cfg.Lifetimes.ClockLeeway),
	}}
	return no
}

// recall makes the hop what the deferred request was, within what was agreed to.
func (h *hop) recall(ctx context.Context) error {
	r := h.deferred.entry.Record
	b := r.Body
	h.grant, h.since = Grant(b.GrantType), r.Since
	h.approved = &lineage.Approved{
		ID: r.ID(), By: h.deferred.wait.By, Person: h.deferred.wait.Person, At: h.deferred.wait.At, Groups: groupsOf(r),
	}
	switch s, err := h.comeFrom(ctx, r); {
	case err != nil:
		return unavailable("deferral", err)
	case s != lineage.Active:
		return h.unacceptable("what it was made from is " + string(s))
	}
	if h.approved.At.IsZero() { // nobody had to agree: it waited for a step-up
		h.approved.At = h.now
	}
	return h.askAsDeferred(ctx, b)
}

// askAsDeferred makes the hop ask for what was deferred, within what was agreed to.
func (h *hop) askAsDeferred(ctx context.Context, b *lineage.Body) error {
	if h.parent != nil {
		h.above = parentFacts(h.parent.Record, derivable(h.parent.Record, h.client.ID))
	}
	ceiling := b.Granted
	h.req.Connection = b.Connection
	h.req.Resource, h.req.Scopes = b.Requested.Resources, b.Requested.Scopes
	h.req.Lifetime = b.Deferred.Lifetime
	if t := b.Deferred.Task; t != nil {
		ceiling.Access = slices.Concat(ceiling.Access, b.Task.Authority.Access)
		ceiling.Details = slices.Concat(ceiling.Details, b.Task.Authority.Details)
		h.req.Task = &TaskSpec{
			Purpose: b.Task.Purpose, Context: b.Task.Context, ExpiresIn: b.Task.Deadline.Sub(h.now), MaxDerivations: &b.Task.Budget,
			Authority: t.Authority,
		}
	}
	if len(b.Granted.Access) > 0 { // by default, what was resolved then
		if len(h.req.Resource) == 0 {
			h.req.Resource = b.Granted.Resources()
		}
		if len(h.req.Scopes) == 0 {
			h.req.Scopes = b.Granted.Access[0].Scopes
		}
	}
	ceiling = ceiling.Normal()
	if err := h.delegated(ctx, &ceiling); err != nil {
		return err
	}
	h.ceiling = &ceiling
	h.req.Details = detailsOf(ceiling.Details) // each as itself: what one covers besides was not shown to anybody
	return nil
}

// comeFrom reads what a record was made from into h, and returns the state of the first of it that is not active.
func (h *hop) comeFrom(ctx context.Context, r lineage.Record) (lineage.State, error) {
	for _, a := range []struct {
		id   lineage.ID
		into **store.Entry
	}{{firstOf(r.Parents), &h.parent}, {r.Body.ActorToken, &h.escort}} {
		if a.id.IsZero() {
			continue
		}
		e, err := h.g.entry(ctx, a.id)
		if err != nil {
			return "", err
		}
		if s := stateOf(e, h.g.latest()); s != lineage.Active {
			return s, nil
		}
		*a.into = &e
	}
	return lineage.Active, nil
}

func firstOf(ids []lineage.ID) lineage.ID {
	if len(ids) == 0 {
		return lineage.ID{}
	}
	return ids[0]
}
