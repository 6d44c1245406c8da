package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// hop is one request on its way through the pipeline. Each step fills in what the later ones need; none reaches back.
type hop struct {
	g     *Governor
	req   Request // in canonical form
	now   time.Time
	mints bool // the boundary mints; otherwise the host does
	again bool // what an earlier attempt had read was stale

	// authenticate
	client Client
	proofs []*proof // single-use evidence to spend
	key    string   // thumbprint of the key that was proved

	// ancestry
	grant    Grant // what the decision is about: in a poll, the grant that was deferred
	subject  lineage.Party
	session  lineage.Session
	carried  []lineage.Party // the actor chain that the subject token carries
	mayAct   *lineage.Party
	actor    *Principal         // nil: the client itself
	parent   *store.Entry       // what stands behind the subject token, where it is ours; the family in a refresh
	above    *ParentFacts       // the token of ours that the result is made from
	family   *family            // the refresh family whose token was presented, or that begins
	deferred *deferred          // the deferred request that is polled for
	approved *lineage.Approved  // who has agreed
	lease    *lineage.Lease     // the terms of a lease: who holds it
	escort   *store.Entry       // what stands behind the actor token, where it is ours
	ceiling  *lineage.Authority // nil: only policy bounds what is granted
	since    time.Time          // the oldest outside evidence
	evidence []store.Unrevoked  // what must not have been revoked since the evidence was made
	bound    time.Time          // the end of the outside credential, where it bounds the result
	lapse    time.Time          // the end of the outside credential, which bounds how long the request may wait

	// chain
	chain []lineage.Party // the actor chain of the result

	// decide, narrow
	connection string
	facts      *factSet
	lent       *factSet             // what was known when it was asked whether the client is a delegate
	seen       *glance              // what was read already; nil: nothing
	ruling     ruling               // what was decided for the token
	task       *ruling              // what was decided for a task that is being started
	wants      []lineage.Obligation // what has to happen first; the request is then deferred

	// seal
	records []lineage.Record // the new task's and refresh family's, if any, and the token's; or that of a deferral
}

// errStale means that what was read has changed before it could be relied on: the pipeline starts again.
var errStale = errors.New("tokenboundary: state has changed")

// attempts bounds how often the pipeline starts again.
const attempts = 4

// Issue decides a request and, if it is allowed, returns a token that is recorded and signed.
//
// A refusal is a *DeniedError; it is recorded unless the client could not be authenticated, which is
// ErrUnauthenticated. A *DeniedError with CodeAuthorizationPending or CodeSlowDown refuses nothing: the request waits.
// ErrUnavailable means that nothing could be decided or recorded. No token is returned together with an error, and nothing
// single-use is spent unless the answer is a token, a refusal, or to wait.
func (g *Governor) Issue(ctx context.Context, req Request) (Token, error) {
	if g.cfg.Minter == nil {
		return Token{}, fmt.Errorf("%w: Config.Minter is required to issue", ErrInvalid)
	}
	var tok Token
	d, err := g.run(ctx, req, true, func(h *hop) (err error) {
		tok, err = h.release(ctx)
		return err
	})
	switch {
	case err != nil:
		return Token{}, err
	case d.Effect != Allow:
		return Token{}, &DeniedError{d}
	}
	return tok, nil
}

// run takes a request through the pipeline and hands the sealed hop to finish. The decision is an allow only if finish
// succeeded.
func (g *Governor) run(ctx context.Context, req Request, mints bool, finish func(*hop) error) (Decision, error) {
	defer g.flights.enter()()
	for n := range attempts {
		now := g.now()
		h := &hop{g: g, now: now, since: now, mints: mints, again: n > 0}
		d, err := h.outcome(ctx, req, finish)
		if err == nil {
			return d, nil
		}
		var no *refusal
		if errors.As(err, &no) {
			d, err = h.deny(ctx, no)
		}
		if !errors.Is(err, errStale) {
			return d, err
		}
	}
	return Decision{}, unavailable("decide", errStale)
}

// outcome takes the hop through all steps: to a token, or to a request that waits.
func (h *hop) outcome(ctx context.Context, req Request, finish func(*hop) error) (Decision, error) {
	if err := h.pass(ctx, req); err != nil {
		return Decision{}, err
	}
	if len(h.wants) > 0 {
		return h.postpone(ctx)
	}
	if err := finish(h); err != nil {
		return Decision{}, err
	}
	return h.decision(), nil
}

// pass is the one path: every grant takes every step.
func (h *hop) pass(ctx context.Context, req Request) error {
	if err := h.authenticate(ctx, req); err != nil {
		return err
	}
	for _, step := range [...]func(*hop, context.Context) error{
		(*hop).ancestry, (*hop).extend, (*hop).decide, (*hop).seal, (*hop).unblocked,
	} {
		if err := step(h, ctx); err != nil {
			return err
		}
	}
	return nil
}

// decision returns what an allowed hop amounts to.
func (h *hop) decision() Decision {
	r := h.records[len(h.records)-1]
	b := r.Body
	return Decision{
		ID: r.ID(), Effect: Allow, Client: b.Client, Subject: b.Subject, Actors: b.Actors, Granted: b.Granted, Audience: b.Audience,
		ExpiresAt: r.ExpiresAt, TaskID: r.TaskID(), Path: h.ruling.path(), Version: r.Policy, Reasons: b.Reasons,
		Obligations: h.ruling.unmet, Family: h.familyID(),
	}
}
