package tokenboundary

import (
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
)

// lifetime returns how long a token may live, before what stands above it is considered.
func (h *hop) lifetime(r ruling) time.Duration {
	d := min(r.lifetime, h.g.cfg.Lifetimes.AccessToken)
	if h.req.Lifetime > 0 {
		d = min(d, h.req.Lifetime)
	}
	return h.clamp(h.now.Add(d)).Sub(h.now)
}

// deadline returns when a task that is being started ends.
func (h *hop) deadline() time.Time {
	d := h.g.cfg.Lifetimes.Task
	if h.req.Task.ExpiresIn > 0 {
		d = min(d, h.req.Task.ExpiresIn)
	}
	return h.clamp(h.now.Add(d)).Truncate(time.Second)
}

// budget returns how many tokens may be made under a task that is being started.
func (h *hop) budget() uint64 {
	n := h.task.derivations
	if most := h.req.Task.MaxDerivations; most != nil {
		n = min(n, *most)
	}
	if outer := h.inheritedTask(); outer != nil { // it lives inside that one
		n = min(n, outer.Budget)
	}
	return n
}

// clamp bounds t by the end of everything that the result is made from.
func (h *hop) clamp(t time.Time) time.Time {
	bounds := append(make([]time.Time, 0, 4), h.bound)
	if h.parent != nil {
		bounds = append(bounds, h.parent.Record.ExpiresAt)
	}
	if h.escort != nil {
		bounds = append(bounds, h.escort.Record.ExpiresAt)
	}
	if h.ceiling != nil {
		bounds = append(bounds, h.ceiling.NotAfter)
	}
	for _, b := range bounds {
		if !b.IsZero() && b.Before(t) {
			t = b
		}
	}
	return t
}

// body returns what every record of this hop says, its selectors included, and those that only this one has.
func (h *hop) body(r ruling, parent *lineage.Record, own ...lineage.Selector) lineage.Body {
	b := lineage.Body{
		Client: h.client.ID, ClientKind: string(h.client.Kind), ClientGroups: h.client.Groups, Subject: h.subject, Actors: h.chain, Session: h.session,
		GrantType: string(h.grant), Connection: h.connection, Paths: r.paths,
		Requested: lineage.Requested{
			Resources: h.req.Resource, Scopes: h.req.Scopes, Lifetime: h.req.Lifetime, Details: h.req.Details,
			Deferrable: h.req.Deferrable,
		},
		Reasons: r.reasons, Controls: r.controls, Bound: h.key, Recheck: r.recheck, Approved: h.approved, Lease: h.lease, Shadow: r.shadow,
	}
	if h.parent != nil {
		b.Recheck = sooner(b.Recheck, h.parent.Record.Body.Recheck)
	}
	if h.facts != nil {
		b.Facts, b.Session = h.facts.versions(h.lent), h.facts.carried(h.session, h.parent == nil && h.deferred != nil && h.deferred.waitedFor(obligeStepUp))
	}
	if h.escort != nil {
		b.ActorToken = h.escort.Record.ID()
	}
	b.Selectors = h.selectors(r, parent, own)
	return b
}

// acting returns who acts: the actor chain or, where nobody else does, the subject itself.
func acting(subject lineage.Party, chain []lineage.Party) []lineage.Party {
	if len(chain) == 0 {
		return []lineage.Party{subject}
	}
	return chain
}

// selectors returns the selectors of this hop and of everything it is made from, without those of its own envelope, and
// with those of special that are not empty. They are put together in the order in which records have them, nearly.
func (h *hop) selectors(r ruling, parent *lineage.Record, special []lineage.Selector) []lineage.Selector {
	own := make([]lineage.Selector, 0, 12)
	add := func(kind, value string) {
		if value != "" {
			own = append(own, lineage.Selector{Kind: kind, Value: value})
		}
	}
	for _, a := range acting(h.subject, h.chain) {
		add(lineage.SelectActor, a.ID)
	}
	if h.actor != nil {
		add(lineage.SelectActor, h.actor.Party.ID)
	}
	add(lineage.SelectClient, h.client.ID)
	add(lineage.SelectConnection, h.connection)
	for _, s := range special {
		add(s.Kind, s.Value)
	}
	for _, p := range r.paths {
		own = append(own, lineage.PathSelectors(p)...)
	}
	add(lineage.SelectSession, h.session.ID)
	if h.actor != nil {
		add(lineage.SelectSession, h.actor.Session.ID)
	}
	add(lineage.SelectSubject, h.subject.ID)
	if h.approved != nil { // cutting what was agreed to cuts what it released
		add(lineage.SelectToken, h.approved.ID.String())
	}
	all := [][]lineage.Selector{own}
	if parent != nil {
		all = append(all, parent.Selectors())
	}
	if h.escort != nil {
		all = append(all, h.escort.Record.Selectors())
	}
	if h.deferred != nil { // and with it what was only known then
		all = append(all, h.deferred.entry.Record.Selectors())
	}
	return lineage.Union(all...)
}
