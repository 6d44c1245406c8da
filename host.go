package tokenboundary

import (
	"bytes"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// recordWindow is how old a decision may be when it is recorded.
const recordWindow = 60 * time.Second

// Decide decides a request for a host that mints the token itself. A refusal is a Decision, recorded already; an error
// means that nothing could be decided, and the host must answer with a failure of its own.
//
// An allow of a host that calls Record (CapRecord) writes nothing yet: the host mints, with the decision's ID as a
// claim, and then calls Record. For any other host the allow is committed here, everything it takes is spent, and the
// record is marked unconfirmed.
func (g *Governor) Decide(ctx context.Context, req Request) (Decision, error) {
	var pending *Pending
	d, err := g.run(ctx, req, false, func(h *hop) error {
		if req.Enforce&CapRecord == 0 {
			tx, err := h.transaction()
			if err != nil {
				return err
			}
			return h.commit(ctx, tx)
		}
		if err := h.affordable(); err != nil {
			return err
		}
		pending = &Pending{Records: h.records}
		for _, s := range h.spends() {
			pending.Spends = append(pending.Spends, Spend(s))
		}
		secret, err := g.sharedSecret(ctx)
		if err == nil {
			pending.MAC = pending.mac(secret)
		}
		return err
	})
	if err != nil || d.Effect != Allow {
		return d, err
	}
	d.Pending = pending
	return d, nil
}

// Record commits an allow of Decide and binds the host's token to it. Every condition of the decision is checked again:
// what was alive, active and unspent must still be, and the decision must be younger than a minute.
//
// ErrUnavailable leaves open whether it was recorded: the host calls Record again with the same arguments. After any
// other error it must discard the token. A second Record with the same handle succeeds again; with
// another handle it is ErrConflict, as is a decision that no longer holds.
func (g *Governor) Record(ctx context.Context, d Decision, host HostToken) error {
	defer g.flights.enter()()
	if d.Effect != Allow || d.Pending == nil || len(d.Pending.Records) == 0 || canon.Name(host.Handle) != nil {
		return fmt.Errorf("%w: not a pending decision and a handle", ErrInvalid)
	}
	records := d.Pending.Records
	last := records[len(records)-1]
	bodiless := func(r lineage.Record) bool { return r.Body == nil }
	if last.ID() != d.ID || last.Kind != lineage.KindToken || last.Issuer != g.cfg.Issuer || slices.ContainsFunc(records, bodiless) {
		return fmt.Errorf("%w: not a decision of this boundary", ErrInvalid)
	}
	secret, err := g.sharedSecret(ctx)
	if err != nil {
		return err
	}
	if !hmac.Equal(d.Pending.MAC, d.Pending.mac(secret)) {
		return fmt.Errorf("%w: not a decision of this boundary", ErrInvalid)
	}
	if done, err := g.recorded(ctx, d.ID, host.Handle); done || err != nil {
		return err
	}
	now := g.now()
	if age := now.Sub(last.IssuedAt); age > recordWindow || age < -g.cfg.Lifetimes.ClockLeeway || !now.Before(last.ExpiresAt) {
		return fmt.Errorf("%w: the decision is too old", ErrConflict)
	}
	if v, ok := g.cfg.Policy.(versioned); ok && v.Version() != last.Policy {
		return fmt.Errorf("%w: another policy set is in force", ErrConflict)
	}
	tx, err := g.recording(ctx, now, records)
	if err != nil {
		return err
	}
	for _, s := range d.Pending.Spends {
		tx.Swaps = append(tx.Swaps, store.Swap(s))
	}
	tx.Swaps = append(tx.Swaps,
		store.Swap{Key: decisionKey(d.ID), State: "recorded", Value: []byte(host.Handle), Expires: last.ExpiresAt.Add(recordWindow)},
		store.Swap{Key: handleKey(host.Handle), State: "recorded", Value: []byte(d.ID.String()), Expires: last.ExpiresAt.Add(recordWindow)})
	if err := g.commit(ctx, tx); err != nil && !errors.Is(err, store.ErrConflict) {
		return err
	}
	// After a success too: a Tx whose records are there already succeeds and binds nothing.
	done, err := g.recorded(ctx, d.ID, host.Handle)
	if err == nil && !done {
		err = fmt.Errorf("%w: the decision no longer holds", ErrConflict)
	}
	return err
}

func decisionKey(id lineage.ID) string { return canon.Key("decision", id.String()) }

// recorded reports whether the decision is bound to this handle already; to another one is ErrConflict.
func (g *Governor) recorded(ctx context.Context, id lineage.ID, handle string) (bool, error) {
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{decisionKey(id)})
	switch {
	case err != nil:
		return false, unavailable("store", err)
	case heads[0].Version == 0:
		return false, nil
	case !bytes.Equal(heads[0].Value, []byte(handle)):
		return false, fmt.Errorf("%w: recorded with another handle", ErrConflict)
	}
	return true, nil
}

// recording rebuilds the transaction of a pending decision from its records and the present state of what they were
// made from.
func (g *Governor) recording(ctx context.Context, now time.Time, records []lineage.Record) (store.Tx, error) {
	b := records[0].Body
	h := &hop{g: g, now: now, records: records, grant: Grant(b.GrantType), req: Request{Grant: Grant(b.GrantType)}}
	h.facts = recordedFacts(*b)
	if records[0].Kind == lineage.KindTask {
		h.task = &ruling{}
	}
	if a := b.Approved; a != nil && a.By != "" && h.grant != Refresh { // of a release, as there
		h.evidence = append(h.evidence, waitHead{By: a.By, Person: a.Person, At: a.At}.approver())
	}
	switch s, err := h.comeFrom(ctx, records[0]); {
	case err != nil:
		return store.Tx{}, err
	case s != lineage.Active:
		return store.Tx{}, fmt.Errorf("%w: what the decision was made from is %s", ErrConflict, s)
	}
	return h.transaction()
}
