package tokenboundary

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// waitHead is the value of a deferred request's head; its state is one of package state.
type waitHead struct {
	Digest []byte `json:"digest"` // of the secret
	// Of a decision: by which operator, for whom it stands, and when.
	By     string    `json:"by,omitempty"`
	Person string    `json:"person,omitempty"`
	At     time.Time `json:"at,omitzero"`
}

// approver returns the condition that whoever decided had not been cut or blocked when it did, nor has been since.
func (w waitHead) approver() store.Unrevoked {
	return store.Unrevoked{Since: w.At, Selectors: []lineage.Selector{
		{Kind: lineage.SelectClient, Value: w.By}, {Kind: lineage.SelectSubject, Value: w.Person},
	}}
}

func waitKey(id lineage.ID) string { return canon.Key("approval", id.String()) }
func paceKey(id lineage.ID) string { return canon.Key("pace", id.String()) }

// deferred is a deferred request that is being polled for.
type deferred struct {
	entry store.Entry
	head  store.Head
	pace  store.Head // how it is polled; in a head of its own, so that polls do not stand in the way of a decision
	wait  waitHead
}

// waitsFor reports whether the obligation is one that the request was deferred for.
func (d *deferred) waitsFor(o lineage.Obligation) bool {
	return slices.ContainsFunc(d.entry.Record.Body.Deferred.Wants, func(w lineage.Obligation) bool {
		return joinable(w, o)
	})
}

// waitedFor reports whether the request was deferred for an obligation of the kind.
func (d *deferred) waitedFor(kind string) bool {
	return slices.ContainsFunc(d.entry.Record.Body.Deferred.Wants, func(w lineage.Obligation) bool { return w.Kind == kind })
}

// release returns the write by which the request is answered, once.
func (d *deferred) release(g *Governor) store.Swap {
	to, _ := state.Wait(d.head.State, state.Release) // poll lets nothing else come here
	return d.becomes(g, to, d.head.Value)
}

// becomes returns the write of the request's next state.
func (d *deferred) becomes(g *Governor, to string, value []byte) store.Swap {
	return store.Swap{
		Key: d.head.Key, Version: d.head.Version, State: to, Value: value,
		Expires: d.entry.Record.ExpiresAt.Add(2 * g.cfg.Lifetimes.ClockLeeway),
	}
}

// deferredOf returns the deferred request of a code. ErrNotMine is no code of ours.
func (g *Governor) deferredOf(ctx context.Context, code string) (*deferred, error) {
	encoded, ours := strings.CutPrefix(code, deferralPrefix)
	if !ours || len(encoded) != base64.RawURLEncoding.EncodedLen(deferralSize) {
		return nil, ErrNotMine
	}
	raw, err := canon.Base64URL(encoded)
	if err != nil {
		return nil, ErrNotMine
	}
	d, err := g.waiting(ctx, lineage.ID(raw[:32]))
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(raw[32:])
	if subtle.ConstantTimeCompare(digest[:], d.wait.Digest) != 1 {
		return nil, ErrNotMine
	}
	return d, nil
}

// waiting returns a deferred request by the id of its record. One whose head is gone has lapsed long ago.
func (g *Governor) waiting(ctx context.Context, id lineage.ID) (*deferred, error) {
	found, err := g.waitingAll(ctx, []lineage.ID{id})
	if err != nil {
		return nil, err
	}
	if found[0] == nil {
		return nil, fmt.Errorf("%w: deferred request", ErrNotFound)
	}
	return found[0], nil
}

// waitingAll returns deferred requests, in order, in two looks at the store; nil for what is none.
func (g *Governor) waitingAll(ctx context.Context, ids []lineage.ID) ([]*deferred, error) {
	keys := make([]string, 0, 2*len(ids))
	for _, id := range ids {
		keys = append(keys, waitKey(id), paceKey(id))
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys)
	if err != nil {
		return nil, unavailable("store", err)
	}
	entries, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, ids)
	if err != nil {
		return nil, unavailable("store", err)
	}
	out := make([]*deferred, len(ids))
	for i, e := range entries {
		head := heads[2*i]
		if e.Record.ID() != ids[i] || e.Record.Kind != lineage.KindApproval || e.Record.Body == nil || head.Version == 0 {
			continue
		}
		d := &deferred{entry: e, head: head, pace: heads[2*i+1]}
		if err := readHead(head, &d.wait); err != nil {
			return nil, err
		}
		out[i] = d
	}
	return out, nil
}
