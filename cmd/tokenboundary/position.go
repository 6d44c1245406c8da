package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"

	"github.com/benbjohnson/clock"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// errUnknownStore says that the store has lost what this node has seen in it.
var errUnknownStore = errors.New("the store is not the one that this node served before, or an older copy of it: what was " +
	"revoked or used up since may be alive in it; start with --accept-store to end every token signed until now")

// self is what the server does of its own accord is recorded under.
var self = tokenboundary.Client{ID: "serve", Kind: tokenboundary.KindOperator}

// position notices that a store was wiped, or restored from a copy, however many nodes serve it. The store has an id, and a
// mark of each node, which every start of that node puts anew. A file beside the node's signing keys has both, and the
// newest place of the revocation feed that the node has seen. A copy from before the node's last start has another mark, one
// from before the last revocation that it saw lacks the place, and one that was accepted elsewhere has another id.
type position struct {
	g      *tokenboundary.Governor
	store  store.Store
	issuer string
	dir    string // of the signing keys, this node's alone
	clock  clock.Clock

	seen seen // the content of the file
	name name
	has  stamp        // what the store says
	head []store.Head // of storeKey and of the mark
	lost bool         // the store has lost entries, is accepted, and not renewed yet
}

// stamp is what tells a store from others, and from what it was.
type stamp struct {
	Store string `json:"store"` // id of the store
	Mark  string `json:"mark"`  // of the node
}

// storeKey is the head of the store that has its name.
const storeKey = "serve:store"

// name is the value of that head.
type name struct {
	ID string `json:"id"`
	// InsteadOf are the ids of lost stores in whose place this one was accepted: the keys it trusted then are revoked.
	InsteadOf []string `json:"instead_of,omitempty"`
}

const (
	// maxInsteadOf bounds how many lost stores are remembered.
	maxInsteadOf = 64
	// tries is how often a start tries again because another node was faster.
	tries = 8
)

// markKey is the key of the head that has the mark of a node.
func markKey(node string) string { return "serve:mark:" + node }

// recognise compares the store with what was seen before, and enters it. One that lost something is refused before anything
// but an epoch is written to it; if that is accepted, and no other node has accepted it before, accept is left to enter it.
func (p *position) recognise(ctx context.Context, acceptable bool) error {
	for range tries {
		known, err := p.look(ctx)
		switch {
		case err != nil:
			return err
		case known:
			err = p.enter(ctx, p.name, nil, true)
		case !acceptable:
			return errUnknownStore
		case !slices.Contains(p.name.InsteadOf, p.seen.Store):
			p.lost = true
			return nil
		default:
			err = p.follows(ctx)
		}
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
	}
	return errors.New("another node keeps changing the store")
}

// look reads the file and what the store says of itself, and reports whether that is the store that was seen. A node
// without a file has seen none: it joins.
func (p *position) look(ctx context.Context) (known bool, err error) {
	joins := false
	if p.seen, joins, err = readSeen(p.dir); err != nil {
		return false, err
	}
	if p.name, p.head, err = p.ask(ctx); err != nil {
		return false, err
	}
	p.has = stamp{p.name.ID, string(p.head[1].Value)}
	was := p.seen.Was
	switch {
	case joins:
		return true, nil
	case p.seen.Store == "":
		return false, nil
	case p.has != p.seen.stamp && (was == nil || p.has != *was):
		return false, nil
	}
	return p.keeps(ctx)
}

// ask reads the name of the store, and the heads of it and of this node's mark.
func (p *position) ask(ctx context.Context) (n name, heads []store.Head, err error) {
	heads, err = p.store.Heads(ctx, p.issuer, []string{storeKey, markKey(p.seen.Node)})
	if err == nil && len(heads[0].Value) > 0 {
		err = json.Unmarshal(heads[0].Value, &n)
	}
	return n, heads, err
}

// keeps reports whether the feed still has the place that was seen.
func (p *position) keeps(ctx context.Context) (bool, error) {
	if p.seen.Seq == 0 {
		return true, nil
	}
	for _, err := range p.g.Revocations(ctx, self, p.seen.Seq) {
		if errors.Is(err, tokenboundary.ErrGone) {
			return p.passed(ctx)
		}
		return err == nil, err
	}
	return true, nil
}

// passed reports whether the place that was seen is only too old: what is kept of the feed begins behind it. The newest
// entry is always kept.
func (p *position) passed(ctx context.Context) (bool, error) {
	for r, err := range p.g.Revocations(ctx, self, 0) {
		return err == nil && r.Seq > p.seen.Seq, err
	}
	return false, nil
}

// enter puts a new mark into the file and the store, the name where it is new, and what else tx says. For a store that is
// known the file comes first as well, so that a start that breaks off in between is not taken for a loss; for one that is
// accepted it comes last, so that such a start has to be accepted again.
func (p *position) enter(ctx context.Context, as name, revoke []lineage.Revocation, known bool) error {
	if as.ID == "" {
		as.ID = rand.Text()
	}
	next := seen{Node: p.seen.Node, stamp: stamp{as.ID, rand.Text()}}
	tx := store.Tx{Issuer: p.issuer, Time: p.clock.Now(), Revocations: revoke, Swaps: []store.Swap{
		{Key: markKey(next.Node), Version: p.head[1].Version, State: "set", Value: []byte(next.Mark)},
	}}
	if as.ID == p.name.ID {
		tx.Requires = []store.Require{{Key: storeKey, Version: p.head[0].Version, State: "set"}}
	} else {
		value, err := json.Marshal(as)
		if err != nil {
			return err
		}
		tx.Swaps = append(tx.Swaps, store.Swap{Key: storeKey, Version: p.head[0].Version, State: "set", Value: value})
	}
	if known {
		next.Seq = p.seen.Seq
		moving := next
		moving.Was = &p.has
		if err := moving.write(p.dir); err != nil {
			return err
		}
	}
	if err := p.store.Commit(ctx, []store.Tx{tx})[0]; err != nil {
		return err
	}
	p.seen, p.name, p.has = next, as, next.stamp
	return next.write(p.dir)
}
