package tokenboundary

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/state"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// family is a refresh family at one request: its record, its head, and what becomes of them.
type family struct {
	id        lineage.ID
	expires   time.Time
	head      store.Head
	successor store.Head // holds the next refresh token while the previous one may be repeated
	state     state.Family
	presented refreshToken
	next      *refreshToken // what the answer carries
	text      string        // of next
	repeat    bool          // the answer of a use before, once more
}

const familyActive = "active"

func familyKey(id lineage.ID) string    { return canon.Key("family", id.String()) }
func successorKey(id lineage.ID) string { return canon.Key("successor", id.String()) }

// familyOf returns the family of a refresh token and the entry of its record. ErrNotMine is no token of ours.
func (g *Governor) familyOf(ctx context.Context, text string) (store.Entry, *family, error) {
	shared, err := g.sharedSecret(ctx)
	if err != nil {
		return store.Entry{}, nil, err
	}
	t, ok := parseRefreshToken(text, shared)
	if !ok {
		return store.Entry{}, nil, ErrNotMine
	}
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{familyKey(t.family), successorKey(t.family)})
	if err != nil {
		return store.Entry{}, nil, unavailable("store", err)
	}
	e, err := g.entry(ctx, t.family)
	if err != nil {
		return store.Entry{}, nil, err
	}
	if e.Record.Kind != lineage.KindGrant || e.Record.Body == nil {
		return store.Entry{}, nil, ErrNotMine
	}
	f := &family{id: t.family, expires: e.Record.ExpiresAt, head: heads[0], successor: heads[1], presented: t}
	if heads[0].State == familyActive {
		err = readHead(heads[0], &f.state)
	}
	return e, f, err
}

// begins reports whether a refresh family begins with the result: the client may refresh, and a rule that granted
// something says that it can be.
func (h *hop) begins(task *lineage.Task) bool {
	if h.req.Grant == Refresh || !slices.Contains(h.client.Grants, Refresh) || h.depth() >= canon.MaxChain {
		return false
	}
	access := h.ruling.access
	if task != nil && task.Authority != nil {
		access = task.Authority.Access
	}
	return len(refreshable(access, h.ruling.reasons)) > 0
}

// refreshable returns the part of access whose granting rules let it be granted again by a refresh.
func refreshable(access []lineage.Access, reasons []lineage.Reason) []lineage.Access {
	return grantedBy(access, reasons, func(r lineage.Reason) bool { return r.Refresh })
}

// deliverable returns the part of access whose granting rules let a credential that is leased for it leave the broker.
func deliverable(access []lineage.Access, reasons []lineage.Reason) []lineage.Access {
	return grantedBy(access, reasons, func(r lineage.Reason) bool { return r.Deliver })
}

// sealFamily makes the record of a refresh family: the parent of the first token and of all that are refreshed. It holds
// the whole grant, and the reasons say what of it can be refreshed.
func (h *hop) sealFamily(parent *lineage.Record, terms *lineage.Task, depth int) (*lineage.Record, error) {
	expires := h.clamp(h.now.Add(h.g.cfg.Lifetimes.RefreshToken)).Truncate(time.Second)
	if parent != nil && parent.ExpiresAt.Before(expires) {
		expires = parent.ExpiresAt
	}
	if !expires.After(h.now) {
		return nil, h.unacceptable("no time is left")
	}
	body := h.body(h.ruling, parent)
	body.Task = terms
	body.Granted = lineage.Authority{
		Access: h.ruling.access, Details: h.ruling.details, NotAfter: expires, Depth: depth,
	}.Normal()
	r, err := h.record(lineage.KindGrant, parent, expires, body)
	if err != nil || !h.mints { // the host keeps refresh tokens of its own
		return r, err
	}
	next := newRefreshToken(r.ID(), 1)
	h.family = &family{id: r.ID(), expires: expires, head: store.Head{Key: familyKey(r.ID())}, next: &next}
	return r, nil
}

// familyID returns the id of the refresh family that the result belongs to; zero where there is none.
func (h *hop) familyID() lineage.ID {
	last := h.records[len(h.records)-1]
	for _, r := range h.records {
		if r.Kind == lineage.KindGrant {
			return r.ID()
		}
	}
	if h.req.Grant == Refresh && len(last.Parents) > 0 {
		return last.Parents[0]
	}
	return lineage.ID{}
}

// rotate adds to tx what becomes of the refresh family: the next token takes the place of the one that was presented. The
// answer of a use before, once more, changes nothing.
func (h *hop) rotate(tx *store.Tx) error {
	f := h.family
	if f == nil {
		return nil
	}
	if f.repeat {
		tx.Requires = append(tx.Requires, store.Require{Key: f.head.Key, Version: f.head.Version, State: familyActive})
		return nil
	}
	l := h.g.cfg.Lifetimes
	value, err := json.Marshal(f.state.Next(f.next.digest(), tx.Time, tx.Time.Add(l.RefreshIdle)))
	if err != nil {
		return unavailable("family", err)
	}
	tx.Swaps = append(tx.Swaps, store.Swap{
		Key: f.head.Key, Version: f.head.Version, State: familyActive, Value: value, Expires: f.expires.Add(2 * l.ClockLeeway),
	})
	var kept []byte
	if f.head.Version > 0 && l.RefreshGrace > 0 {
		kept = wrap(f.presented, f.text)
	}
	if kept != nil || f.successor.Version > 0 { // what an earlier use kept is forgotten
		tx.Swaps = append(tx.Swaps, store.Swap{
			Key: successorKey(f.id), Version: f.successor.Version, State: "set", Value: kept, Expires: tx.Time.Add(l.RefreshGrace),
		})
	}
	return nil
}
