package tokenboundary

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// headerRoom is what a token's header, signature and separators may take of canon.MaxMinted.
const headerRoom = 1024

// seal is the fifth step: it fixes times and limits and makes the records. From here on nothing can change the grant.
func (h *hop) seal(ctx context.Context) error {
	key := ""
	if h.mints {
		var err error
		if key, err = h.g.cfg.Minter.Key(ctx); err != nil {
			return unavailable("signing key", err)
		}
	}
	depth := min(h.ruling.depth-len(h.chain), canon.MaxChain)
	if h.ceiling != nil {
		depth = min(depth, h.ceiling.Depth-h.joined())
	}
	if depth < 0 {
		return refuse(CodeInvalidRequest, "subject_token", "the chain is longer than the policy allows")
	}
	terms := h.inheritedTask()
	parent := h.parentRecord()
	if h.task != nil {
		var err error
		if parent, err = h.sealTask(depth, parent); err != nil {
			return err
		}
		t := *parent.Body.Task
		t.ID = parent.ID()
		terms = &t
	}
	return h.sealToken(parent, terms, depth, key)
}

func (h *hop) joined() int {
	if h.joins {
		return 1
	}
	return 0
}

// sealTask makes the record of the task that is being started.
func (h *hop) sealTask(depth int, parent *lineage.Record) (*lineage.Record, error) {
	spec, deadline := h.req.Task, h.deadline()
	if !deadline.After(h.now) {
		return nil, refuse(CodeInvalidRequest, "subject_token", "no time is left for a task")
	}
	authority := lineage.Authority{
		Access: h.task.access, Details: h.task.details, NotAfter: deadline, Depth: depth,
	}.Normal()
	budget := h.task.derivations
	if spec.MaxDerivations != nil {
		budget = min(budget, *spec.MaxDerivations)
	}
	body := h.body(*h.task, parent)
	body.Granted = authority
	body.Task = &lineage.Task{
		Purpose: spec.Purpose, Context: spec.Context, Deadline: deadline, Budget: budget, Authority: &authority,
	}
	r, err := lineage.Seal(h.envelope(lineage.KindTask, parent, deadline), body)
	if err != nil {
		return nil, refuse(CodeInvalidRequest, "scope", "the record would be too large")
	}
	h.records = append(h.records, r)
	return &r, nil
}

// sealToken makes the record of the token.
func (h *hop) sealToken(parent *lineage.Record, terms *lineage.Task, depth int, key string) error {
	expires := h.now.Add(h.lifetime(h.ruling)).Truncate(time.Second)
	if parent != nil && parent.ExpiresAt.Before(expires) {
		expires = parent.ExpiresAt
	}
	if !expires.After(h.now) {
		return refuse(CodeInvalidRequest, "subject_token", "no time is left")
	}
	if !h.mints && h.req.Enforce&CapLifetime == 0 && expires.Before(h.now.Add(h.req.Lifetime).Truncate(time.Second)) {
		return refuse(CodeInvalidRequest, "", "the host cannot set the lifetime")
	}
	body := h.body(h.ruling, parent)
	body.Task, body.Key = terms, key
	if key != "" {
		body.Selectors = append(body.Selectors, lineage.Selector{Kind: lineage.SelectKey, Value: key})
	}
	body.Granted = lineage.Authority{
		Access: h.ruling.access, Details: h.ruling.details, NotAfter: expires, Depth: depth,
	}.Normal()
	if body.Audience = body.Granted.Resources(); len(body.Audience) == 0 {
		body.Audience = []string{h.g.cfg.Issuer}
	}
	body.Unconfirmed = !h.mints && h.req.Enforce&CapRecord == 0
	r, err := lineage.Seal(h.envelope(lineage.KindToken, parent, expires), body)
	if err != nil {
		return refuse(CodeInvalidRequest, "scope", "the record would be too large")
	}
	claims, err := json.Marshal(claimsOf(r))
	if err != nil || base64.RawURLEncoding.EncodedLen(len(claims)) > canon.MaxMinted-headerRoom {
		return refuse(CodeInvalidRequest, "scope", "the token would be too large")
	}
	h.records = append(h.records, r)
	return nil
}

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

// clamp bounds t by the end of everything that the result is made from.
func (h *hop) clamp(t time.Time) time.Time {
	bounds := []time.Time{h.bound}
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

func (h *hop) envelope(kind lineage.Kind, parent *lineage.Record, expires time.Time) lineage.Envelope {
	env := lineage.Envelope{
		Kind: kind, Issuer: h.g.cfg.Issuer, IssuedAt: h.now, ExpiresAt: expires, Since: h.since, Policy: h.ruling.version,
	}
	if parent != nil {
		env.Parents = []lineage.ID{parent.ID()}
		env.Ancestors = append(append(env.Ancestors, parent.Ancestors...), parent.ID())
		env.Grant = parent.Root()
	}
	return env
}

// body returns what every record of this hop says, its selectors included.
func (h *hop) body(r ruling, parent *lineage.Record) lineage.Body {
	b := lineage.Body{
		Client: h.client.ID, ClientKind: string(h.client.Kind), Subject: h.subject, Actors: h.chain, Session: h.session,
		GrantType: string(h.req.Grant), Connection: h.connection, Paths: r.paths,
		Requested: lineage.Requested{
			Resources: h.req.Resource, Scopes: h.req.Scopes, Lifetime: h.req.Lifetime, Details: h.req.Details,
		},
		Reasons: r.reasons, Controls: r.controls,
	}
	if h.facts != nil {
		b.Facts = map[string]uint64{envKey: h.facts.version}
	}
	if h.escort != nil {
		b.ActorToken = h.escort.Record.ID()
	}
	b.Selectors = h.selectors(r, parent)
	return b
}

// selectors returns the selectors of this hop and of everything it is made from, without those of its own envelope.
func (h *hop) selectors(r ruling, parent *lineage.Record) []lineage.Selector {
	own := []lineage.Selector{{Kind: lineage.SelectClient, Value: h.client.ID}}
	add := func(kind, value string) {
		if value != "" {
			own = append(own, lineage.Selector{Kind: kind, Value: value})
		}
	}
	add(lineage.SelectSubject, h.subject.ID)
	add(lineage.SelectConnection, h.connection)
	add(lineage.SelectSession, h.session.ID)
	for _, a := range h.chain {
		add(lineage.SelectActor, a.ID)
	}
	if h.actor != nil {
		add(lineage.SelectActor, h.actor.Party.ID)
		add(lineage.SelectSession, h.actor.Session.ID)
	}
	for _, p := range r.paths {
		own = append(own, lineage.PathSelectors(p)...)
	}
	if parent != nil {
		own = append(own, parent.Selectors()...)
	}
	if h.escort != nil {
		own = append(own, h.escort.Record.Selectors()...)
	}
	return lineage.Union(own)
}

// parentRecord returns the record behind the subject token, if it is ours.
func (h *hop) parentRecord() *lineage.Record {
	if h.parent == nil {
		return nil
	}
	return &h.parent.Record
}

// inheritedTask returns the terms of the task that the subject token belongs to. Only the task token stands for the
// task; what is derived from it does not.
func (h *hop) inheritedTask() *lineage.Task {
	if h.parent == nil || h.parent.Record.Body.Task == nil {
		return nil
	}
	t := *h.parent.Record.Body.Task
	t.Authority = nil
	return &t
}
