package tokenboundary

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Authenticate verifies a client's credential and returns its registration, for use with the verbs that take a
// Client. A single-use assertion is not spent yet: the verb spends it if it changes anything.
//
// It returns ErrUnauthenticated, which never says why, or ErrUnavailable.
func (g *Governor) Authenticate(ctx context.Context, cred Credential) (Client, error) {
	if !identifies(cred.Type) || slices.Contains([]string{TypeAccessToken, TypeIDToken, TypeJWT}, cred.Type) {
		return Client{}, g.stranger(ctx, cred, errors.New("not a client's credential"))
	}
	p, err := g.identify(ctx, cred)
	if errors.Is(err, ErrUnavailable) {
		return Client{}, err
	}
	if err == nil && cred.ID != "" && cred.ID != p.Party.ID {
		err = errors.New("the credential is another client's")
	}
	if err != nil {
		return Client{}, g.stranger(ctx, cred, err)
	}
	c, err := g.cfg.Clients.Client(ctx, p.Party.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return Client{}, g.stranger(ctx, cred, err)
	case err != nil:
		return Client{}, unavailable("clients", err)
	case c.ID != p.Party.ID:
		return Client{}, unavailable("clients", errors.New("registration of another client"))
	}
	if !p.Expires.IsZero() && !g.latest().Before(p.Expires.Add(g.cfg.Lifetimes.ClockLeeway)) {
		return Client{}, g.stranger(ctx, cred, errors.New("expired")) // spent ids are kept by our leeway, not the source's
	}
	if c.proof, err = onceProof(p); err != nil {
		return Client{}, g.stranger(ctx, cred, err)
	}
	return c, nil
}

// stranger counts and logs a request that is nobody's.
func (g *Governor) stranger(ctx context.Context, cred Credential, why error) error {
	g.unauthenticated.Add(1)
	g.cfg.Logger.DebugContext(ctx, "client authentication failed", "method", cred.Type, "cause", scrubbed(why, cred))
	return ErrUnauthenticated
}

// authenticate is the first step: who asks, whether they may ask this way at all, and what exactly they ask.
func (h *hop) authenticate(ctx context.Context, req Request) error {
	if req.attach != nil {
		return h.admit(ctx, req)
	}
	h.req = Request{Grant: req.Grant} // until the rest is known to be well formed
	h.grant = req.Grant               // in a poll, until it is known what was deferred
	var err error
	if h.client, err = h.g.Authenticate(ctx, req.Client); err != nil {
		return err
	}
	if p := h.client.proof; p != nil {
		h.proofs = append(h.proofs, p)
		h.attestClient(p)
	}
	unproved := h.prove(ctx, req.Proof)
	switch {
	case req.Malformed != "":
		return refuse(req.Malformed, "", "malformed")
	case !h.client.mayUse(req.Grant):
		return refuse(CodeUnauthorizedClient, "grant_type", "the client may not use this grant")
	case unproved != nil:
		return unproved
	}
	if h.req, err = req.canonical(); err != nil {
		h.req = Request{Grant: req.Grant}
	}
	return err
}

// assertionLife is how old a client assertion that does not say is taken to be at its end: the longest that package
// identity accepts.
const assertionLife = 5 * time.Minute

// attestClient notes how old the client's assertion is: the client must not have been revoked since.
func (h *hop) attestClient(p *proof) {
	since := h.g.made(p, h.now)
	if h.req.Grant == ClientCredentials && since.Before(h.since) {
		h.since = since
	}
	sel := lineage.Selector{Kind: lineage.SelectClient, Value: h.client.ID}
	h.evidence = append(h.evidence, witnessed(since, sel))
}

// witnessed is the condition under which evidence as old as since counts: nothing that it proves was revoked since, nor, in the
// place of revocations that were forgotten, everything (Retention).
func witnessed(since time.Time, of ...lineage.Selector) store.Unrevoked {
	return store.Unrevoked{Selectors: append(of, everything), Since: since}
}

// made returns how old a client's assertion is.
func (g *Governor) made(p *proof, now time.Time) time.Time {
	since := p.issued
	if since.IsZero() {
		if since = p.expires.Add(-assertionLife); since.After(now.Add(g.cfg.Lifetimes.ClockLeeway)) {
			since = time.UnixMilli(0) // of a source that accepts longer ones: of any age
		}
	}
	return lineage.Time(since)
}

// standing is the condition under which c may do anything: it is not blocked, nor was it cut since the assertion was made
// that it authenticated with. A secret has no age, and is stopped by a block only.
func (g *Governor) standing(c Client) store.Unrevoked {
	since := endOfTime
	if c.proof != nil {
		since = g.made(c.proof, g.now())
	}
	return store.Unrevoked{Selectors: []lineage.Selector{{Kind: lineage.SelectClient, Value: c.ID}}, Since: since}
}

// endOfTime is later than any cut.
var endOfTime = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// stands checks that c may do anything. What changes something has that as a condition besides.
func (g *Governor) stands(ctx context.Context, c Client) error {
	need := g.standing(c)
	marks, err := g.cfg.Store.Revoked(ctx, g.cfg.Issuer, need.Selectors)
	if err != nil {
		return unavailable("store", err)
	}
	return g.upright(c, need, marks)
}

// upright is stands by marks that were read.
func (g *Governor) upright(c Client, need store.Unrevoked, marks []lineage.Mark) error {
	for _, m := range marks {
		if m.Kills(need.Since) {
			return g.fallen(c, m, need.Since)
		}
	}
	return nil
}

// entryFor is stands of a client and then entry, in one round trip; with the zero id nothing is found.
func (g *Governor) entryFor(ctx context.Context, c Client, id lineage.ID) (store.Entry, error) {
	need := g.standing(c)
	var ids []lineage.ID
	if !id.IsZero() {
		ids = []lineage.ID{id}
	}
	found, marks, err := store.Look(ctx, g.cfg.Store, g.cfg.Issuer, ids, need.Selectors)
	if err != nil {
		return store.Entry{}, unavailable("store", err)
	}
	if err := g.upright(c, need, marks); err != nil {
		return store.Entry{}, err
	}
	return g.found(found, id)
}

// fallen says what a mark on c means for whatever it asks: blocked, it may nothing; an assertion from before a cut proves
// nothing any more.
func (g *Governor) fallen(c Client, m lineage.Mark, since time.Time) error {
	h := &hop{g: g, now: g.now(), client: c}
	switch err := h.dead(m, since); {
	case m.Blocked:
		return ErrForbidden
	case errors.Is(err, ErrUnavailable):
		return err
	}
	return ErrUnauthenticated
}

// identify verifies a foreign credential by the first source that recognises it.
func (g *Governor) identify(ctx context.Context, c Credential) (Principal, error) {
	if c.Verified != nil {
		return *c.Verified, c.Verified.check()
	}
	if c.Value == "" || len(c.Value) > canon.MaxToken {
		return Principal{}, errors.New("credential is empty or too long")
	}
	for _, source := range g.cfg.Identities {
		p, err := source.Identify(ctx, c)
		switch {
		case errors.Is(err, ErrNotMine):
			continue
		case err != nil:
			return Principal{}, scrub(err, c)
		}
		return p, p.check()
	}
	return Principal{}, fmt.Errorf("no source: %w", ErrNotMine)
}
