package tokenboundary

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// hop is the request of the record, before it is known what it comes from. Its Governor has only what deciding needs: it
// sees the time, the facts and the records of then, and no store.
func (p *Past) hop(policy Policy) *hop {
	r, b := p.Record, p.Record.Body
	g := &Governor{cfg: Config{
		Issuer: p.recall.Issuer, Policy: policy, Details: p.recall.Details, Clock: moment{at: r.IssuedAt},
		Lifetimes: Lifetimes{AccessToken: math.MaxInt64, Task: math.MaxInt64, ClockLeeway: p.recall.Leeway},
	}}
	g.known.Store(p.env)
	grant := Grant(b.GrantType)
	return &hop{
		g: g, now: r.IssuedAt, since: r.Since, mints: true, seen: p.seen, grant: grant, key: b.Bound,
		subject: b.Subject, session: b.Session, carried: b.Actors, chain: b.Actors, approved: b.Approved, client: pastClient(b),
		req: Request{
			Grant: grant, Connection: b.Connection, Lifetime: b.Requested.Lifetime, Deferrable: b.Requested.Deferrable,
			Resource: b.Requested.Resources, Scopes: b.Requested.Scopes, Details: b.Requested.Details,
		},
	}
}

// moment is a clock that stands still.
type moment struct {
	clock.Clock
	at time.Time
}

func (m moment) Now() time.Time { return m.at }

// pastClient is the client of a record as it was then.
func pastClient(b *lineage.Body) Client {
	return Client{
		ID: b.Client, Kind: ClientKind(b.ClientKind), Groups: b.ClientGroups, Connections: []string{b.Connection},
		Grants: []Grant{ClientCredentials, Exchange, Refresh},
	}
}

// comesFrom fills in what stands above the request, and the task that it asked for.
func (p *Past) comesFrom(ctx context.Context, h *hop) error {
	b := p.Record.Body
	direct := p.seen.records[firstOf(p.Record.Parents)]
	switch h.grant {
	case Refresh:
		return p.comesFromFamily(ctx, h, direct)
	case Leased:
		return p.comesFromToken(h, direct)
	}
	var started *lineage.Record
	for r := direct; r != nil; r = p.seen.records[firstOf(r.Parents)] {
		if r.Kind == lineage.KindToken {
			h.parent, h.carried = &store.Entry{Record: *r}, r.Body.Actors
			break
		}
		if r.Kind == lineage.KindTask && started == nil {
			started = r
		}
	}
	if e := p.seen.records[b.ActorToken]; e != nil {
		h.escort = &store.Entry{Record: *e}
	}
	h.g.cfg.Clients = p.lender(h)
	if b.Approved != nil {
		r := p.seen.records[b.Approved.ID]
		h.deferred, h.carried = &deferred{entry: store.Entry{Record: *r}}, r.Body.Actors
		return h.askAsDeferred(ctx, r.Body)
	}
	h.req.Task = p.asked(started)
	if h.parent == nil {
		return nil
	}
	return h.inherit(ctx)
}

// comesFromToken is comesFrom of a lease.
func (p *Past) comesFromToken(h *hop, token *lineage.Record) error {
	if token == nil || token.Kind != lineage.KindToken || len(h.req.Resource) != 1 {
		return fmt.Errorf("%w: a lease without its token", ErrInvalid)
	}
	h.parent = &store.Entry{Record: *token}
	return h.uses(*token, p.Record.Body.Lease, h.req.Resource[0])
}

// comesFromFamily is comesFrom of a refresh. What is recorded of its request is what was asked for in full.
func (p *Past) comesFromFamily(ctx context.Context, h *hop, family *lineage.Record) (err error) {
	if family == nil || family.Kind != lineage.KindGrant {
		return fmt.Errorf("%w: a refresh without its family", ErrInvalid)
	}
	h.parent = &store.Entry{Record: *family}
	ceiling := regrantable(family.Body)
	h.ceiling = &ceiling
	h.above, err = h.g.tokenAbove(ctx, *family, h.seen)
	return err
}

// lender is who would lend the client of the request what it derives from: the client of the token, or of the task that it
// stands for.
func (p *Past) lender(h *hop) ClientMap {
	if h.parent == nil || h.parent.Record.Body.Client == h.client.ID {
		return nil
	}
	r := &h.parent.Record
	if t := r.Body.Task; t != nil && t.Authority != nil {
		r = p.seen.records[t.ID]
	}
	if r == nil {
		return nil
	}
	return ClientMap{r.Body.Client: pastClient(r.Body)}
}

// asked returns the task that was asked for with the request; nil: none. Started is the one that it has started.
func (p *Past) asked(started *lineage.Record) *TaskSpec {
	b := p.Record.Body
	t := b.Task
	var listed []lineage.Access
	switch {
	case started != nil:
		// A task that was listed was decided by itself, and the token besides; else both are one decision.
		if t = started.Body.Task; len(b.Granted.Access) == 0 || len(b.Reasons) != len(started.Body.Reasons) {
			listed = withoutImplied(t.Authority.Access, started.Body.Reasons)
		}
	case b.Deferred != nil && b.Deferred.Task != nil:
		listed = b.Deferred.Task.Authority
	case p.Record.Kind == lineage.KindDenial && t != nil && t.ID.IsZero():
		if t.Authority != nil {
			listed = t.Authority.Access
		}
	default:
		return nil
	}
	return &TaskSpec{
		Purpose: t.Purpose, Context: t.Context, ExpiresIn: t.Deadline.Sub(p.Record.IssuedAt), Authority: slices.Clip(listed),
	}
}

// withoutImplied returns the part of access that was granted for itself. What a granted scope implies, its reason says.
func withoutImplied(access []lineage.Access, reasons []lineage.Reason) []lineage.Access {
	return grantedBy(access, reasons, func(r lineage.Reason) bool { return r.Why == "" })
}
