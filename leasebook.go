package tokenboundary

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// The book of a broker's leases lists those that have not ended, in pages by the first byte of their ids. What is in it is
// found however long ago it was made, by reading the pages and nothing else.
const (
	leasePages   = 256
	maxLeasePage = 4096 // leases of one page
	pagesAtOnce  = 32
)

// leaseHead is the value of a lease's head, beside its state. It is enough to take the credential back, even where the
// record is gone. Its key is the selector of the record, so that it is read with it.
type leaseHead struct {
	By         string    `json:"by"`
	Connection string    `json:"connection"`
	Resource   string    `json:"resource"`
	Expires    time.Time `json:"expires"`
	Until      time.Time `json:"until"` // of an intent
	// Given says that the lease was given back while it lived: no revocation is why it is over.
	Given  bool   `json:"given,omitempty"`
	Handle []byte `json:"handle,omitempty"`
}

func leaseKey(id lineage.ID) string {
	return lineage.Selector{Kind: lineage.SelectToken, Value: id.String()}.String()
}

func leasePageKey(by string, page int) string { return canon.Key("book", by, strconv.Itoa(page)) }

// swap returns the write that gives the head this value and the state.
func (v leaseHead) swap(head store.Head, state string) store.Swap {
	value, err := json.Marshal(v)
	if err != nil {
		panic(err) // plain data
	}
	return store.Swap{Key: head.Key, Version: head.Version, State: state, Value: value}
}

// readLease reads the head of a lease.
func readLease(head store.Head) (v leaseHead, err error) {
	err = readHead(head, &v)
	return v, err
}

// leaseOf returns the lease that an entry describes, to which alive is what its lineage amounts to.
func leaseOf(e store.Entry, alive lineage.State) Lease {
	r := e.Record
	b := r.Body
	out := Lease{ID: r.ID(), State: LeaseEnded, Alive: alive, IssuedAt: r.IssuedAt, ExpiresAt: r.ExpiresAt}
	if b != nil {
		out.Token, out.Task, out.Client, out.Subject, out.Actors = firstOf(r.Parents), r.TaskID(), b.Client, b.Subject, slices.Clone(b.Actors)
		out.Connection, out.Deliver = b.Connection, b.Lease.Deliver
		for _, a := range b.Granted.Access {
			out.Resource, out.Scopes = a.Resource, slices.Clone(a.Scopes)
		}
	}
	head := headOf(e, leaseKey(r.ID()))
	if v, err := readLease(head); err == nil && head.Version > 0 { // one that is forgotten has ended
		out.State, out.Until, out.Handle = LeaseState(head.State), v.Until, v.Handle
		out.Connection, out.Resource = v.Connection, v.Resource
	}
	return out
}

// gone is a lease of which only the head is left.
func gone(id lineage.ID, head store.Head) Lease {
	v, err := readLease(head)
	if err != nil {
		return Lease{ID: id, State: LeaseState(head.State), Alive: lineage.Expired}
	}
	return Lease{
		ID: id, State: LeaseState(head.State), Alive: lineage.Expired, Connection: v.Connection, Resource: v.Resource, ExpiresAt: v.Expires,
		Until: v.Until, Handle: v.Handle,
	}
}

// found is a lease with what it was read from.
type found struct {
	Lease
	entry store.Entry // without a record where that is gone
	head  store.Head
}

// leases reads leases by their ids. What is not there, or is no lease of this broker, is left out; of an operator nothing is.
func (g *Governor) leases(ctx context.Context, by Client, ids []lineage.ID) ([]found, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	entries, err := g.cfg.Store.Get(ctx, g.cfg.Issuer, ids)
	if err != nil {
		return nil, unavailable("store", err)
	}
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = leaseKey(id)
	}
	var heads []store.Head // of those whose records are gone
	now, out := g.latest(), make([]found, 0, len(ids))
	for i, e := range entries {
		f := found{entry: e, head: headOf(e, keys[i])}
		if e.Record.ID().IsZero() {
			if heads == nil {
				if heads, err = g.cfg.Store.Heads(ctx, g.cfg.Issuer, keys); err != nil {
					return nil, unavailable("store", err)
				}
			}
			f.head = heads[i]
		}
		switch {
		case !f.isOf(by):
			continue
		case e.Record.ID().IsZero():
			f.Lease = gone(ids[i], f.head)
		default:
			f.Lease = leaseOf(e, stateOf(e, now))
		}
		out = append(out, f)
	}
	return out, nil
}

// isOf reports whether by may see the lease.
func (f found) isOf(by Client) bool {
	r := f.entry.Record
	owner := ""
	switch v, err := readLease(f.head); {
	case f.head.Version > 0 && err == nil:
		owner = v.By
	case r.Kind == lineage.KindLease && r.Body != nil:
		owner = r.Body.Lease.By
	}
	isLease := r.Kind == lineage.KindLease || r.ID().IsZero()
	return isLease && owner != "" && (owner == by.ID || by.is(KindOperator))
}

// one reads one lease that by may see.
func (g *Governor) one(ctx context.Context, by Client, id lineage.ID) (found, error) {
	all, err := g.leases(ctx, by, []lineage.ID{id})
	switch {
	case err != nil:
		return found{}, err
	case len(all) == 0 || id.IsZero():
		return found{}, fmt.Errorf("%w: lease", ErrNotFound)
	}
	return all[0], nil
}

// open returns the write that puts a lease into the book.
func (g *Governor) open(ctx context.Context, by string, id lineage.ID) (store.Swap, error) {
	page, ids, err := g.page(ctx, by, id)
	switch {
	case err != nil:
		return store.Swap{}, err
	case len(ids) >= maxLeasePage:
		return store.Swap{}, unavailable("leases", errors.New("too many have not ended"))
	}
	at, _ := slices.BinarySearchFunc(ids, id, compareIDs)
	return pageSwap(page, slices.Insert(ids, at, id))
}

// shut returns the write that takes a lease out of the book.
func (g *Governor) shut(ctx context.Context, by string, id lineage.ID) (store.Swap, error) {
	page, ids, err := g.page(ctx, by, id)
	if err != nil {
		return store.Swap{}, err
	}
	return pageSwap(page, slices.DeleteFunc(ids, func(x lineage.ID) bool { return x == id }))
}

// page reads the page of the book that a lease belongs on.
func (g *Governor) page(ctx context.Context, by string, id lineage.ID) (store.Head, []lineage.ID, error) {
	heads, err := g.cfg.Store.Heads(ctx, g.cfg.Issuer, []string{leasePageKey(by, int(id[0]))})
	if err != nil {
		return store.Head{}, nil, unavailable("store", err)
	}
	ids, err := pageIDs(heads[0])
	return heads[0], ids, err
}

func pageIDs(head store.Head) (ids []lineage.ID, err error) {
	if head.Version > 0 {
		err = readHead(head, &ids)
	}
	return ids, err
}

func pageSwap(page store.Head, ids []lineage.ID) (store.Swap, error) {
	value, err := json.Marshal(ids)
	if err != nil {
		return store.Swap{}, unavailable("leases", err)
	}
	return store.Swap{Key: page.Key, Version: page.Version, State: "set", Value: value}, nil
}

func compareIDs(a, b lineage.ID) int { return slices.Compare(a[:], b[:]) }
