package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// How long an intent lasts: where the request says nothing, and at most.
const (
	intentLife = time.Minute
	longIntent = 10 * time.Minute
)

// attachment is who asks for a lease, beside what a Request says.
type attachment struct {
	by      Client
	deliver bool
	intent  time.Duration
}

// Attach decides whether a broker may hold a credential of another system for a token that was presented to it, and records
// the lease below the token, as an intent, before there is any credential. The request takes every step that one for a token
// takes: the token, everything above it and its task must live, where it is bound to a key that key is proved, and the
// policy decides on present facts, with Leased as the grant, for the client, the connection and the actor chain of the token.
// The lease has no more than the token's scopes at the broker's resource, ends with it at the latest, and dies with
// anything that it comes from. It is no token: nothing derives from it, and it costs no derivation. The policy's
// limit on derivations bounds instead how many leases one task has of one connection, or what a root grant has without one.
//
// By must be a resource that is registered with the connection of the token. A refusal is a *DeniedError, recorded below the
// token. ErrUnavailable means that nothing could be decided or recorded.
func (g *Governor) Attach(ctx context.Context, by Client, req LeaseRequest) (Lease, error) {
	switch {
	case !by.is(KindResource):
		return Lease{}, g.answer(ctx, by, ErrForbidden)
	case req.Intent < 0 || req.Intent > longIntent || req.Lifetime < 0:
		return Lease{}, g.answer(ctx, by, fmt.Errorf("%w: lease", ErrInvalid))
	case req.Intent == 0:
		req.Intent = intentLife
	}
	var out Lease
	d, err := g.run(ctx, Request{
		Grant: Leased, Subject: req.Token, Proof: req.Proof, Scopes: req.Scopes, Lifetime: req.Lifetime,
		attach: &attachment{by, req.Deliver, req.Intent},
	}, true, func(h *hop) (err error) {
		out, err = h.attach(ctx)
		return err
	})
	switch {
	case err != nil:
		return Lease{}, err
	case d.Effect != Allow:
		return Lease{}, &DeniedError{d}
	}
	return out, nil
}

// admit is the first step of a lease: who asks has authenticated already. Until it is known whose token was presented, the
// request is the broker's own.
func (h *hop) admit(ctx context.Context, req Request) error {
	by := req.attach.by
	h.req, h.grant, h.client = Request{Grant: req.Grant}, req.Grant, by
	if by.proof != nil {
		h.proofs = append(h.proofs, by.proof)
	}
	if err := h.g.stands(ctx, by); err != nil { // the commit has that as a condition besides
		return err
	}
	mine := h.g.standing(by)
	h.evidence = append(h.evidence, witnessed(mine.Since, mine.Selectors...))
	var err error
	if h.req, err = req.canonical(); err != nil {
		h.req = Request{Grant: req.Grant}
	}
	return err
}

// presented is the ancestry of a lease: the token that was presented to the broker.
func (h *hop) presented(ctx context.Context) error {
	a := h.req.attach
	if a == nil {
		return refuse(CodeUnauthorizedClient, "grant_type", "a lease is no token")
	}
	if h.req.Subject.Type != TypeAccessToken {
		return h.unacceptable("not an access token of this boundary")
	}
	_, e, err := h.present(ctx, h.req.Subject, "token")
	if e != nil { // of a refusal too: the attempt belongs into the lineage of the token
		b := e.Record.Body
		h.parent, h.subject, h.session, h.carried, h.chain = e, b.Subject, b.Session, b.Actors, b.Actors
		h.client = Client{ID: b.Client, Kind: ClientKind(b.ClientKind), proof: a.by.proof}
	}
	switch {
	case err != nil:
		return err
	case e == nil:
		return h.unacceptable("not an access token of this boundary")
	}
	if err := h.registered(ctx, e.Record); err != nil {
		return err
	}
	h.client.proof = a.by.proof
	if err := h.uses(e.Record, &lineage.Lease{By: a.by.ID, Deliver: a.deliver}, a.by.Resource); err != nil {
		return err
	}
	if h.connection = h.req.Connection; !slices.Contains(a.by.Connections, h.connection) {
		return refuse(CodeInvalidTarget, "connection", "not a connection of this broker")
	}
	if err := h.reliable(ctx); err != nil {
		return err
	}
	return h.bind(ctx)
}

// registered looks up the client of a record, as it is registered now.
func (h *hop) registered(ctx context.Context, r lineage.Record) error {
	c, err := h.g.cfg.Clients.Client(ctx, r.Body.Client)
	switch {
	case errors.Is(err, ErrNotFound):
		return refuse(CodeUnauthorizedClient, "client_id", "the client is not registered any more")
	case err != nil:
		return unavailable("clients", err)
	case c.ID != r.Body.Client || !c.mayUse(h.grant):
		return refuse(CodeUnauthorizedClient, "grant_type", "the client may not use this grant any more")
	}
	h.client = c
	return nil
}

// uses makes the hop a use of the token at the resource: what the token itself has there is the ceiling, and not what could
// be derived from it; who has agreed to the token has agreed to its use.
func (h *hop) uses(token lineage.Record, terms *lineage.Lease, resource string) error {
	b := token.Body
	h.lease, h.approved = terms, b.Approved
	if resource == "" || !slices.Contains(b.Audience, resource) {
		return refuse(CodeInvalidTarget, "resource", "the token is not for this resource")
	}
	h.req.Resource, h.req.Connection, h.req.Details = []string{resource}, b.Connection, detailsOf(b.Granted.Details)
	ceiling := lineage.Authority{
		Access:  []lineage.Access{{Resource: resource, Scopes: b.Granted.Scopes(resource)}},
		Details: b.Granted.Details, NotAfter: b.Granted.NotAfter, Depth: b.Granted.Depth,
	}.Normal()
	h.ceiling, h.above = &ceiling, parentFacts(token, derivable(token, b.Client))
	return nil
}

// reliable refuses a token that would not be issued now, once it may not be relied on without asking again.
func (h *hop) reliable(ctx context.Context) error {
	no, err := h.g.rechecked(ctx, *h.parent)
	if no != nil {
		return h.unacceptable("the token would not be issued now: " + no.why)
	}
	return err
}

// rechecked decides a record anew where what was decided may be relied on no longer. The refusal says why it would not be
// issued now.
func (g *Governor) rechecked(ctx context.Context, e store.Entry) (*refusal, error) {
	d := e.Record.Body.Recheck
	if d <= 0 || g.latest().Before(e.Record.IssuedAt.Add(d)) {
		return nil, nil
	}
	_, no, err := g.redecide(ctx, e, nil)
	return no, err
}

// sealLease makes the record of a lease. Nothing joins its chain, and no token is signed.
func (h *hop) sealLease() error {
	if _, err := h.room(); err != nil {
		return err
	}
	parent := h.parentRecord()
	expires, err := h.ends(parent)
	if err != nil {
		return err
	}
	body := h.body(h.ruling, parent, lineage.Selector{Kind: lineage.SelectClient, Value: h.lease.By})
	body.Task = h.inheritedTask()
	body.Granted = lineage.Authority{Access: h.ruling.access, Details: h.ruling.details, NotAfter: expires}.Normal()
	_, err = h.record(lineage.KindLease, parent, expires, body)
	return err
}

// attach commits the lease as an intent, with its place in the book.
func (h *hop) attach(ctx context.Context) (Lease, error) {
	r := h.records[len(h.records)-1]
	head := leaseHead{
		By: h.lease.By, Connection: h.connection, Resource: h.req.Resource[0], Expires: r.ExpiresAt,
		Until: lineage.Time(h.now.Add(h.req.attach.intent)),
	}
	tx := h.grounds()
	tx.Adds = append(tx.Adds, store.Add{Key: leasesKey(r), N: 1, Max: h.ruling.derivations})
	swap, err := h.g.open(ctx, head.By, r.ID())
	if err != nil {
		return Lease{}, err
	}
	first := head.swap(store.Head{Key: leaseKey(r.ID())}, state.Intent)
	tx.Swaps = append(tx.Swaps, first, swap)
	if err := h.commit(ctx, tx); err != nil {
		return Lease{}, err
	}
	return leaseOf(store.Entry{Record: r, Heads: []store.Head{{
		Key: first.Key, Version: 1, State: first.State, Value: first.Value,
	}}}, lineage.Active), nil
}

// leasesKey is the head that counts the leases of a task, or of a root grant without one, through one connection.
func leasesKey(r lineage.Record) string {
	under := r.TaskID()
	if under.IsZero() {
		under = r.Root()
	}
	return canon.Key("leases", under.String(), r.Body.Connection)
}
