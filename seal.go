package tokenboundary

import (
	"context"
	"encoding/base64"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
)

// headerRoom is what a token's header, signature and separators may take of canon.MaxMinted.
const headerRoom = 1024

// ownClaims is what the claims of a token take that its record does not hold: its id, times, and the names of members.
const ownClaims = 1024

// seal is the fifth step: it fixes times and limits and makes the records. From here on nothing can change the grant.
func (h *hop) seal(ctx context.Context) error {
	if !h.g.raised.Load() {
		if _, err := h.g.longestLife(ctx); err != nil {
			return err
		}
	}
	if h.grant == Leased {
		return h.sealLease()
	}
	key := ""
	if h.mints {
		var err error
		if key, err = h.g.cfg.Minter.Key(ctx); err != nil {
			return unavailable("signing key", err)
		}
	}
	depth, err := h.room()
	if err != nil {
		return err
	}
	if len(h.wants) > 0 {
		return h.sealDeferral(depth)
	}
	terms, parent := h.inheritedTask(), h.parentRecord()
	if terms != nil && terms.Authority != nil { // of a refreshed task token
		terms.Authority.Depth = min(terms.Authority.Depth, depth)
	}
	if h.task != nil {
		var err error
		if parent, err = h.sealTask(depth, parent); err != nil {
			return err
		}
		t := *parent.Body.Task
		t.ID = parent.ID()
		terms = &t
	}
	if h.begins(terms) {
		var err error
		if parent, err = h.sealFamily(parent, terms, depth); err != nil {
			return err
		}
	}
	if f := h.family; f != nil && f.next != nil {
		shared, err := h.g.sharedSecret(ctx)
		if err != nil {
			return err
		}
		f.text = f.next.encode(shared)
	}
	return h.sealToken(parent, terms, depth, key)
}

// room returns how many further actors may join the chain of the result.
func (h *hop) room() (int, error) {
	depth := min(h.ruling.depth-len(h.chain), canon.MaxChain)
	if h.ceiling != nil {
		depth = min(depth, h.ceiling.Depth-(len(h.chain)-len(h.carried)))
	}
	if depth < 0 {
		return 0, h.unacceptable(whyTooLong)
	}
	return depth, nil
}

// ends returns when the token ends, which is made below parent.
func (h *hop) ends(parent *lineage.Record) (time.Time, error) {
	expires := h.now.Add(h.lifetime(h.ruling)).Truncate(time.Second)
	if parent != nil && parent.ExpiresAt.Before(expires) {
		expires = parent.ExpiresAt
	}
	if !expires.After(h.now) {
		return expires, h.unacceptable("no time is left")
	}
	return expires, nil
}

// sealTask makes the record of the task that is being started.
func (h *hop) sealTask(depth int, parent *lineage.Record) (*lineage.Record, error) {
	spec, deadline := h.req.Task, h.deadline()
	if !deadline.After(h.now) {
		return nil, h.unacceptable("no time is left for a task")
	}
	authority := lineage.Authority{
		Access: h.task.access, Details: h.task.details, NotAfter: deadline, Depth: depth,
	}.Normal()
	body := h.body(*h.task, parent)
	body.Granted = authority
	body.Task = &lineage.Task{
		Purpose: spec.Purpose, Context: spec.Context, Deadline: deadline, Budget: h.budget(), Authority: &authority,
	}
	return h.record(lineage.KindTask, parent, deadline, body)
}

// record adds a record to those of the hop.
func (h *hop) record(kind lineage.Kind, parent *lineage.Record, expires time.Time, body lineage.Body) (*lineage.Record, error) {
	env := h.envelope(kind, parent, expires)
	r, err := lineage.Seal(env, body)
	if err != nil && body.Shadow != nil { // a trial changes no answer
		body.Shadow = nil
		r, err = lineage.Seal(env, body)
	}
	if err != nil {
		return nil, refuse(CodeInvalidRequest, "scope", "the record would be too large")
	}
	h.records = append(h.records, r)
	return &h.records[len(h.records)-1], nil
}

// sealToken makes the record of the token.
func (h *hop) sealToken(parent *lineage.Record, terms *lineage.Task, depth int, key string) error {
	expires, err := h.ends(parent)
	if err != nil {
		return err
	}
	if !h.mints && h.req.Enforce&CapLifetime == 0 && expires.Before(h.now.Add(h.req.Lifetime).Truncate(time.Second)) {
		return refuse(CodeInvalidRequest, "", "the host cannot set the lifetime")
	}
	body := h.body(h.ruling, parent, lineage.Selector{Kind: lineage.SelectKey, Value: key})
	body.Task, body.Key = terms, key
	body.Granted = lineage.Authority{
		Access: h.ruling.access, Details: h.ruling.details, NotAfter: expires, Depth: depth,
	}.Normal()
	if body.Audience = body.Granted.Resources(); len(body.Audience) == 0 {
		body.Audience = []string{h.g.cfg.Issuer}
	}
	body.Unconfirmed = !h.mints && h.req.Enforce&CapRecord == 0
	r, err := h.record(lineage.KindToken, parent, expires, body)
	if err != nil {
		return err
	}
	most := base64.RawURLEncoding.DecodedLen(canon.MaxMinted - headerRoom)
	if len(r.Raw())+len(r.RawBody())+ownClaims <= most { // a token says less than its record
		return nil
	}
	if payload, err := claimsOf(*r).AppendJSON(nil); err != nil || len(payload) > most {
		return refuse(CodeInvalidRequest, "scope", "the token would be too large")
	}
	return nil
}

func (h *hop) envelope(kind lineage.Kind, parent *lineage.Record, expires time.Time) lineage.Envelope {
	env := lineage.Envelope{
		Kind: kind, Issuer: h.g.cfg.Issuer, IssuedAt: h.now, ExpiresAt: expires, Since: h.since, Policy: h.ruling.version,
	}
	if parent != nil {
		env.Ancestors = slices.Concat(parent.Ancestors, []lineage.ID{parent.ID()})
		env.Parents = env.Ancestors[len(parent.Ancestors):]
		env.Grant = parent.Root()
	}
	return env
}

// parentRecord returns the record behind the subject token, if it is ours.
func (h *hop) parentRecord() *lineage.Record {
	if h.parent == nil {
		return nil
	}
	return &h.parent.Record
}

// inheritedTask returns the terms of the task that the subject token belongs to. Only the task token stands for the
// task, and after it the one that it is refreshed to, as far as it can be; what is derived from it does not.
func (h *hop) inheritedTask() *lineage.Task {
	if h.parent == nil || h.parent.Record.Body.Task == nil {
		return nil
	}
	if h.parent.Record.Body.Task.Authority == nil {
		return h.parent.Record.Body.Task // like all of a record, it does not change
	}
	t := *h.parent.Record.Body.Task
	if h.req.Grant == Refresh {
		a := t.Authority.Normal()
		a.Access = refreshable(a.Access, h.parent.Record.Body.Reasons)
		t.Authority = &a
		return &t
	}
	t.Authority = nil
	return &t
}
