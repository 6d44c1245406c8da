package tokenboundary

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// denials remembers, for each client, what was denied in the current minute: identical denials become one record with
// a count, and above the configured rate only a counter grows.
type denials struct {
	mu      sync.Mutex
	clients map[string]*denialWindow
}

type denialWindow struct {
	start time.Time
	seen  map[[sha256.Size]byte]lineage.ID
	over  uint64
	taken int // places, of those whose record is under way too
}

// recall returns the record of an identical denial of this minute, or that the client is over its rate.
func (d *denials) recall(client string, digest [sha256.Size]byte, now time.Time, rate int) (same lineage.ID, over uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.clients[client]
	if w == nil || now.Sub(w.start) >= time.Minute || now.Before(w.start) {
		w = &denialWindow{start: now, seen: map[[sha256.Size]byte]lineage.ID{}}
		if d.clients == nil {
			d.clients = map[string]*denialWindow{}
		}
		d.clients[client] = w
	}
	if id, found := w.seen[digest]; found {
		return id, 0
	}
	if w.taken >= rate {
		w.over++
		return lineage.ID{}, w.over
	}
	w.taken++
	return lineage.ID{}, 0
}

// recent reports whether the client was denied anything in the current minute.
func (d *denials) recent(client string, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.clients[client]
	return w != nil && now.Sub(w.start) < time.Minute && !now.Before(w.start)
}

// remember notes a recorded denial.
func (d *denials) remember(client string, digest [sha256.Size]byte, id lineage.ID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if w := d.clients[client]; w != nil {
		w.seen[digest] = id
	}
}

// deny records a refusal and spends the single-use evidence that came with the request. Where that evidence cannot be spent
// nothing is answered: ErrUnavailable. Where there is none, and the record cannot be written, the answer is still the
// refusal, and Health says so.
func (h *hop) deny(ctx context.Context, no *refusal) (Decision, error) {
	no = h.told(no)
	r := h.ruling
	d := Decision{
		Effect: Deny, Code: no.code, Parameter: no.param, Client: h.client.ID, Subject: h.subject, Actors: h.chain,
		Path: r.path(), Version: r.version,
		Reasons: append(refused(r.reasons), lineage.Reason{Why: clip(no.why)}), Obligations: r.unmet, Deferral: no.again,
	}
	tx := h.g.tx(h.now)
	tx.Background = true
	for _, p := range h.proofs {
		tx.Swaps = append(tx.Swaps, h.g.spend(p))
	}
	if no.again != nil || len(no.effect.Swaps) > 0 {
		return h.denyFirst(ctx, no, d, tx)
	}
	digest := h.digest(no)
	same, over := h.g.denials.recall(h.client.ID, digest, h.now, h.g.cfg.DenialRate)
	switch {
	case !same.IsZero():
		d.ID = same
		key := lineage.Selector{Kind: lineage.SelectToken, Value: same.String()}.String()
		tx.Adds = []store.Add{{Key: key, N: 1, Max: math.MaxUint64}}
	case over > 0:
		if over == 1 {
			h.g.cfg.Logger.WarnContext(ctx, "denials of a client are only counted for now", "client", h.client.ID)
		}
	default:
		record, err := h.sealDenial(no, d.Reasons)
		if err != nil { // and the evidence is spent all the same
			h.g.unrecorded.Add(1)
			break
		}
		d.ID, tx.Records = record.ID(), []lineage.Record{record}
	}
	if len(tx.Records)+len(tx.Swaps)+len(tx.Adds) == 0 {
		return d, nil
	}
	return h.commitDenial(ctx, d, tx, digest)
}

// told returns a refusal as the client is told it. Of a client that is blocked all that it holds is dead: the reason is the
// block, in whatever way it asks.
func (h *hop) told(no *refusal) *refusal {
	own := lineage.Selector{Kind: lineage.SelectClient, Value: h.client.ID}
	for _, e := range h.sources() {
		if slices.ContainsFunc(e.Marks, func(m lineage.Mark) bool { return m.Blocked && m.Selector == own }) {
			return &refusal{code: CodeUnauthorizedClient, param: "client_id", why: "revoked: " + own.Kind}
		}
	}
	return no
}

// denyFirst answers a refusal that changes something, and a poll that has to wait: what they change is written, or nothing
// is answered.
func (h *hop) denyFirst(ctx context.Context, no *refusal, d Decision, tx store.Tx) (Decision, error) {
	tx.Background = false
	if no.again == nil {
		record, err := h.sealDenial(no, d.Reasons)
		if err != nil {
			return Decision{}, unavailable("denial", err)
		}
		d.ID, tx.Records = record.ID(), []lineage.Record{record}
	}
	tx.Swaps, tx.Revocations = append(tx.Swaps, no.effect.Swaps...), no.effect.Revocations
	for {
		err := h.g.commit(context.WithoutCancel(ctx), tx)
		var c *store.Conflict
		isProof := func(p *proof) bool { return c != nil && p.key == c.Key }
		switch {
		case err == nil:
			if len(tx.Revocations) > 0 {
				h.g.cfg.Logger.WarnContext(ctx, no.why, "client", h.client.ID, "decision", d.ID.String())
			}
			return d, nil
		case errors.As(err, &c) && h.client.proof != nil && isProof(h.client.proof):
			return Decision{}, ErrUnauthenticated
		case c != nil && slices.ContainsFunc(h.proofs, func(p *proof) bool { return isProof(p) && p.possession }):
			h.proofs = slices.DeleteFunc(h.proofs, isProof) // a replay: it changes nothing
			return h.deny(ctx, &refusal{code: CodeInvalidProof, param: "DPoP", why: "the proof was used before"})
		case c != nil && slices.ContainsFunc(h.proofs, isProof): // other evidence was spent before: the rest counts all the same
			tx.Swaps = slices.DeleteFunc(tx.Swaps, func(s store.Swap) bool { return s.Key == c.Key })
		case errors.Is(err, store.ErrConflict):
			return Decision{}, errStale
		default:
			return Decision{}, err
		}
	}
}

func (h *hop) commitDenial(ctx context.Context, d Decision, tx store.Tx, digest [sha256.Size]byte) (Decision, error) {
	err := h.g.commit(context.WithoutCancel(ctx), tx)
	var c *store.Conflict
	switch {
	case err == nil:
		if len(tx.Records) > 0 {
			h.g.denials.remember(h.client.ID, digest, d.ID)
		}
	case errors.As(err, &c) && h.client.proof != nil && c.Key == h.client.proof.key:
		return Decision{}, ErrUnauthenticated // the assertion was used before: nobody is answered
	case errors.As(err, &c) && slices.ContainsFunc(tx.Swaps, func(s store.Swap) bool { return s.Key == c.Key }):
		// The subject's or the actor's evidence was spent before: without it the rest is recorded and spent.
		tx.Swaps = slices.DeleteFunc(tx.Swaps, func(s store.Swap) bool { return s.Key == c.Key })
		return h.commitDenial(ctx, d, tx, digest)
	case len(tx.Swaps) > 0: // an answer is a use of the evidence, and this would be one that leaves it good for more
		h.g.cfg.Logger.ErrorContext(ctx, "a denial could not be recorded, nor what came with it be spent", "client", h.client.ID, "cause", err)
		return Decision{}, unavailable("denial", err)
	default:
		h.g.unrecorded.Add(1)
		h.g.cfg.Logger.ErrorContext(ctx, "a denial could not be recorded", "client", h.client.ID, "code", d.Code, "cause", err)
		d.ID = lineage.ID{}
	}
	return d, nil
}

func (h *hop) sealDenial(no *refusal, reasons []lineage.Reason) (lineage.Record, error) {
	var parent *lineage.Record
	if p := h.parentRecord(); p != nil && len(p.Ancestors) < canon.MaxChain {
		parent = p
	}
	body := h.body(h.ruling, parent)
	body.Reasons, body.Code, body.Granted = reasons, string(no.code), lineage.Authority{}
	body.Task = h.refusedTask()
	if len(body.Paths) == 0 { // it is found among all the others
		body.Selectors = append(body.Selectors, everything)
	}
	env := h.envelope(lineage.KindDenial, parent, time.Time{})
	r, err := lineage.Seal(env, body)
	if err != nil { // too large to be recorded whole: that it was refused, and why, must be
		body.Reasons, body.Requested, body.Shadow = reasons[len(reasons)-1:], lineage.Requested{}, nil
		body.Task, body.Facts = h.inheritedTask(), nil // so that nobody takes it for all that was asked
		r, err = lineage.Seal(env, body)
	}
	return r, err
}

// refusedTask returns the terms of the task that a refused request was about: of the one that it asked for, which has no
// id and only the authority that was listed, or of the one that it belongs to.
func (h *hop) refusedTask() *lineage.Task {
	t := h.req.Task
	if t == nil {
		return h.inheritedTask()
	}
	out := &lineage.Task{Purpose: t.Purpose, Context: t.Context, Deadline: h.deadline()}
	if t.MaxDerivations != nil {
		out.Budget = *t.MaxDerivations
	}
	if len(t.Authority) > 0 {
		out.Authority = &lineage.Authority{Access: t.Authority}
	}
	return out
}

// digest identifies a denial among those of one client.
func (h *hop) digest(no *refusal) [sha256.Size]byte {
	parent, task := "", ""
	if h.parent != nil {
		parent = h.parent.Record.ID().String()
	}
	if t := h.req.Task; t != nil {
		listed, _ := json.Marshal(t.Authority) // plain data: cannot fail
		task = canon.Key(t.Purpose, string(t.Context), t.ExpiresIn.String(), string(listed))
	}
	return sha256.Sum256([]byte(canon.Key(
		string(no.code), no.param, no.why, string(h.req.Grant), h.subject.Issuer, h.subject.ID, parent, h.req.Connection,
		strings.Join(h.req.Resource, " "), strings.Join(h.req.Scopes, " "), string(h.req.Details), task,
	)))
}

// refused returns the reasons of a decision that came to nothing: what a rule would have granted was not granted.
func refused(reasons []lineage.Reason) []lineage.Reason {
	out := make([]lineage.Reason, 0, len(reasons)+1)
	for _, r := range reasons {
		if r.Granted {
			r.Granted, r.Delegates, r.Refresh, r.Deliver, r.Why = false, nil, false, false, "the request was refused"
		}
		out = append(out, r)
	}
	return out
}

// clip bounds a text that came from a plug-in.
func clip(s string) string { return strings.ToValidUTF8(s[:min(len(s), 256)], "") }
