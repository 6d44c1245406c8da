package tokenboundary

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Erasure is what came of erasing somebody.
type Erasure struct {
	// Erased is how many records have lost their body. Remaining are those that are live, or whose credential a broker has
	// still to take back: revoke the selector, or wait, and erase again.
	Erased    int `json:"erased"`
	Remaining int `json:"remaining"`
	// Facts is how many sets of facts were forgotten, of what signals have said.
	Facts int `json:"facts"`
	// Digest stands for the selector in the log and in the record of the erasure. It does not tell what the selector was;
	// the same selector has the same digest in the same store.
	Digest string `json:"digest"`
	// Complete is false where the context ended first: erase again.
	Complete bool `json:"complete"`
}

// erasable are the kinds of selector that stand for somebody.
var erasable = []string{lineage.SelectSubject, lineage.SelectSession, lineage.SelectActor}

// Erase takes the bodies out of all records that carry a selector, for good, where neither the record nor anything derived
// from it is live. Their envelopes stay: chains still verify, and say that they were erased. What was counted of their
// use goes with them, and what signals have said about the selector, where nothing carries it any more; of a subject also
// what was said of it as an actor, and of its sessions.
//
// What stays by design: revocations that name the selector, for as long as Prune keeps them, since they are what keeps it
// out; and its name as an approver in the records of others. Facts that kept it out are gone: block what has to stay out.
//
// By must be an operator; the selector a subject, a session or an actor, else ErrInvalid. That somebody was erased, when and
// by whom is kept in the store and logged, with Erasure.Digest in place of the name. A store that keeps everything is an error that
// wraps [errors.ErrUnsupported].
func (g *Governor) Erase(ctx context.Context, by Client, sel lineage.Selector) (Erasure, error) {
	if !by.is(KindOperator) {
		return Erasure{}, g.answer(ctx, by, ErrForbidden)
	}
	if _, err := lineage.ParseSelector(sel.String()); err != nil || !slices.Contains(erasable, sel.Kind) {
		return Erasure{}, g.answer(ctx, by, fmt.Errorf("%w: selector", ErrInvalid))
	}
	p, err := g.pruning(ctx)
	if err != nil {
		if changed := g.change(ctx, by, g.tx(g.now())); changed != nil {
			err = changed
		}
		return Erasure{}, err
	}
	e := &eraser{pruning: p, sel: sel, begun: g.now()}
	if err := e.begin(ctx, by); err != nil {
		return Erasure{}, err
	}
	err = e.run(ctx)
	e.result.Complete = err == nil
	if err != nil && ctx.Err() != nil {
		err = nil
	}
	if noted := e.note(context.WithoutCancel(ctx), by); err == nil {
		err = noted
	}
	return e.result, err
}

// eraser is an erasure under way.
type eraser struct {
	*pruning
	sel    lineage.Selector
	begun  time.Time
	result Erasure
}

// erasureNote is what is kept of the erasures of one selector.
type erasureNote struct {
	At        time.Time `json:"at"` // of the last
	By        string    `json:"by"`
	Kind      string    `json:"kind"`
	Erased    int       `json:"erased"` // in all
	Remaining int       `json:"remaining"`
}

func erasureKey(digest string) string { return canon.Key("erasure", digest) }

// begin notes that an erasure was asked for, before anything is erased.
func (e *eraser) begin(ctx context.Context, by Client) error {
	secret, err := e.g.sharedSecret(ctx)
	if err != nil {
		return err
	}
	mac := hmac.New(sha256.New, secret)
	io.WriteString(mac, canon.Key("erasure", e.sel.String())) //nolint:errcheck // never fails (hash.Hash)
	e.result.Digest = base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
	tx, err := e.noting(ctx, by, "begun")
	if err != nil {
		return err
	}
	return e.g.answer(ctx, by, e.g.change(ctx, by, tx))
}

// noting returns the write of what is kept of the erasure.
func (e *eraser) noting(ctx context.Context, by Client, state string) (store.Tx, error) {
	tx := e.g.tx(e.g.now())
	heads, err := e.g.cfg.Store.Heads(ctx, e.g.cfg.Issuer, []string{erasureKey(e.result.Digest)})
	if err != nil {
		return tx, unavailable("store", err)
	}
	note := erasureNote{}
	if heads[0].Version > 0 {
		if err := readHead(heads[0], &note); err != nil {
			return tx, err
		}
	}
	note = erasureNote{e.begun, by.ID, e.sel.Kind, note.Erased + e.result.Erased, e.result.Remaining}
	value, err := json.Marshal(note)
	tx.Swaps = []store.Swap{{Key: heads[0].Key, Version: heads[0].Version, State: state, Value: value}}
	return tx, err
}

// note notes what came of the erasure, and logs it.
func (e *eraser) note(ctx context.Context, by Client) error {
	r := e.result
	e.g.cfg.Logger.WarnContext(ctx, "records were erased", "client", by.ID, "kind", e.sel.Kind, "digest", r.Digest,
		"erased", r.Erased, "remaining", r.Remaining, "facts", r.Facts, "complete", r.Complete)
	state := "done"
	if r.Remaining > 0 || !r.Complete {
		state = "in part"
	}
	return again(func() error {
		tx, err := e.noting(ctx, by, state)
		if err == nil {
			err = stale(e.g.commit(ctx, tx))
		}
		return err
	})
}

// run erases slice by slice, in the order of time.
func (e *eraser) run(ctx context.Context) error {
	var batch []lineage.Record
	flush := func() error {
		err := again(func() error { return e.slice(ctx, batch) })
		batch = batch[:0]
		return err
	}
	for r, err := range e.g.cfg.Store.Scan(ctx, e.g.cfg.Issuer, e.sel, store.Position{}) {
		if err != nil {
			return unavailable("store", err)
		}
		if r.Body == nil {
			continue
		}
		if batch = append(batch, r); len(batch) == pruneSlice {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	if err := flush(); err != nil || e.result.Remaining > 0 {
		return err
	}
	return again(func() error { return e.slice(ctx, nil) }) // facts about whom nothing was ever issued to
}

// slice erases those of the records that are dead, and with the last that carries a party or a session what is known of it.
func (e *eraser) slice(ctx context.Context, batch []lineage.Record) error {
	dead, remaining, err := e.split(ctx, batch)
	if err != nil {
		return err
	}
	heads, err := e.beside(ctx, dead)
	if err != nil {
		return err
	}
	var r store.Removal
	for _, rec := range dead {
		id := rec.ID()
		r.Bodies = append(r.Bodies, id)
		if h, used := heads[id][usageKey(id)]; used {
			r.Heads = append(r.Heads, store.HeadVersion{Key: h.Key, Version: h.Version})
		}
	}
	facts, err := e.lastFacts(ctx, dead, &r)
	if err != nil {
		return err
	}
	if len(r.Bodies)+len(r.Heads) > 0 {
		if err := e.forget(ctx, r); err != nil {
			return err
		}
	}
	e.result.Erased, e.result.Remaining, e.result.Facts = e.result.Erased+len(dead), e.result.Remaining+remaining, e.result.Facts+facts
	return nil
}

// split returns the records of which nothing is live, nor can ever be again, and how many the others are. By what makes a
// record dead, everything that was derived from it is: it has the same marks and tasks, and ends no later.
func (e *eraser) split(ctx context.Context, batch []lineage.Record) (dead []lineage.Record, remaining int, err error) {
	entries, err := e.g.entries(ctx, batch)
	if err != nil {
		return nil, 0, err
	}
	at := e.begun.Add(-2 * e.g.cfg.Lifetimes.ClockLeeway) // no clock of a node that issues is behind this
	for _, entry := range entries {
		r := entry.Record
		s := stateOf(entry, at)
		over := s == lineage.Denied || s == lineage.Revoked || s == lineage.Expired
		if !over || r.Kind == lineage.KindLease && open(headOf(entry, leaseKey(r.ID()))) {
			remaining++
			continue
		}
		dead = append(dead, r)
	}
	return dead, remaining, nil
}
