package storetest

import (
	"errors"
	"math"
	"strings"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var atomicCases = []testCase{
	{"Commit/AllOrNothing", "nothing of a refused Tx is applied, not even its time", allOrNothing},
	{"Commit/Order", "each Tx of a Commit is judged as if those before it had been applied", commitOrder},
	{"Commit/Alone", "one Tx's refusal does not fail the others of the Commit", refusedAlone},
	{"Commit/Empty", "no Tx is no result; the zero Tx of an issuer raises the store time", emptyCommit},
	{"Commit/Invalid", "a Tx that can never be applied is ErrInvalid", invalidTx},
	{"Commit/NotKept", "what a caller passes in is not kept, and what is returned is the caller's", notKept},
}

// nothingOf checks that nothing of tx, which everything made, is visible.
func (c *check) nothingOf(tx store.Tx) {
	c.Helper()
	c.expect(tx.Records[0].ID().IsZero() || !c.has(tx.Records[0]), "a record of a refused transaction is there")
	for _, s := range tx.Swaps {
		if s.Version == 0 {
			c.expect(c.head(s.Key).Version == 0, "a swap of a refused transaction was applied")
		}
	}
	for _, a := range tx.Adds {
		c.expect(c.head(a.Key).Count == 0, "an add of a refused transaction was applied")
	}
	sel := tx.Revocations[0].Selector
	c.expect(len(c.marks(issuer, sel)) == 0, "a revocation of a refused transaction has an effect")
	for _, r := range c.feed(issuer, 0) {
		c.expect(r.Selector != sel, "a revocation of a refused transaction is in the feed")
	}
	c.expect(len(c.scan(issuer, sel, store.Position{})) == 0, "a record of a refused transaction is in the index")
}

func allOrNothing(c *check) {
	c.ok(swapping(10, store.Swap{Key: "head", State: "on"}), counting(10, store.Add{Key: "full", N: 1, Max: 1}),
		revoking(10, lineage.Block, subject("blocked")))
	blocked := store.Unrevoked{Selectors: []lineage.Selector{subject("blocked")}, Since: at(99)}
	refusals := map[string]struct {
		target error
		change func(tx *store.Tx)
	}{
		"swap": {store.ErrConflict, func(tx *store.Tx) { tx.Swaps = append(tx.Swaps, store.Swap{Key: "head", Version: 7}) }},
		"add": {store.ErrConflict, func(tx *store.Tx) {
			tx.Adds = append(tx.Adds, store.Add{Key: "other"}, store.Add{Key: "full", N: 1, Max: 1})
		}},
		"require": {store.ErrConflict, func(tx *store.Tx) { tx.Requires = []store.Require{{Key: "head", Version: 1, State: "off"}} }},
		"revoked": {store.ErrConflict, func(tx *store.Tx) { tx.Unrevoked = []store.Unrevoked{blocked} }},
		"behind":  {store.ErrBehind, func(tx *store.Tx) { tx.Time = at(0) }},
		"invalid": {store.ErrInvalid, func(tx *store.Tx) { tx.Revocations = append(tx.Revocations, lineage.Revocation{At: at(10)}) }},
	}
	for name, refusal := range refusals {
		tx := everything(c, 10_000, name)
		refusal.change(&tx)
		c.refused(refusal.target, tx)
		tx.Adds = tx.Adds[:1]
		c.nothingOf(tx)
	}
	c.ok(adding(10, c.record(issuer, 10))) // ErrBehind if a refused transaction had raised the store time
	c.expect(len(c.feed(issuer, 0)) == 1, "a refused transaction used up a sequence number")
}

func commitOrder(c *check) {
	require := requiring(1, store.Require{Key: "k", Version: 2, State: "two"})
	sel := subject("alice")
	errs := c.commit(
		swapping(1, store.Swap{Key: "k", State: "one"}),
		swapping(1, store.Swap{Key: "k", State: "again"}),
		swapping(1, store.Swap{Key: "k", Version: 1, State: "two"}),
		require,
		counting(1, store.Add{Key: "n", N: 2, Max: 3}),
		counting(1, store.Add{Key: "n", N: 2, Max: 3}),
		unrevoked(1, at(1), sel),
		revoking(1, lineage.Cut, sel),
		unrevoked(1, at(1), sel),
		swapping(500),
		adding(1, c.record(issuer, 1)),
	)
	want := []error{nil, store.ErrConflict, nil, nil, nil, store.ErrConflict, nil, nil, store.ErrConflict, nil, store.ErrBehind}
	for i, err := range errs {
		c.expect(errors.Is(err, want[i]), "transaction %d: %v; want %v", i, err, want[i])
	}
}

func refusedAlone(c *check) {
	first, last := c.record(issuer, 1), c.record(issuer, 2)
	errs := c.commit(adding(1, first), swapping(1, store.Swap{Key: "k", Version: 3}), store.Tx{}, adding(2, last))
	c.expect(errs[0] == nil && errs[3] == nil, "the neighbours of a refused transaction failed: %v", errs)
	c.expect(errors.Is(errs[1], store.ErrConflict) && errors.Is(errs[2], store.ErrInvalid), "the refusals are %v", errs[1:3])
	c.expect(c.has(first) && c.has(last), "the neighbours of a refused transaction were not written")
}

func emptyCommit(c *check) {
	c.expect(len(c.store.Commit(c.Context(), nil)) == 0, "a Commit of nothing has results")
	c.ok(txAt(100))
	c.refused(store.ErrBehind, adding(97, c.record(issuer, 97)))
	c.ok(adding(98, c.record(issuer, 98))) // exactly the leeway behind
	c.expect(len(c.feed(issuer, 0)) == 0, "an empty transaction left an entry in the feed")
}

func invalidTx(c *check) {
	long := strings.Repeat("k", store.MaxKey+1)
	noTime, negative, noIssuer := txAt(1), txAt(1), txAt(1)
	noTime.Time, negative.Leeway, noIssuer.Issuer = time.Time{}, -1, ""
	invalid := map[string]store.Tx{
		"no time": noTime, "negative leeway": negative, "no issuer": noIssuer,
		"long swap": swapping(1, store.Swap{Key: long}), "long add": counting(1, store.Add{Key: long, Max: math.MaxUint64}),
		"long require":      requiring(1, store.Require{Key: long}),
		"block of a token":  revoking(1, lineage.Block, c.record(issuer, 1).Selectors()[0]),
		"suspend a subject": revoking(1, lineage.Suspend, subject("alice")),
		"unknown action":    revoking(1, "shred", subject("alice")),
		"unknown kind":      revoking(1, lineage.Cut, lineage.Selector{Kind: "planet", Value: "mars"}),
		"empty value":       revoking(1, lineage.Cut, subject("")),
	}
	for name, tx := range invalid {
		err := c.commit(tx)[0]
		c.expect(errors.Is(err, store.ErrInvalid), "%s: %v; want ErrInvalid", name, err)
	}
	c.ok(swapping(1, store.Swap{Key: long[1:]}))
	c.expect(len(c.feed(issuer, 0)) == 0, "an invalid revocation is in the feed")
}

func notKept(c *check) {
	value := []byte("value")
	tx := swapping(1, store.Swap{Key: "k", State: "s", Value: value})
	c.ok(tx)
	value[0], tx.Swaps[0].State = 'X', "X"
	h := c.head("k")
	c.expect(h.State == "s" && string(h.Value) == "value", "the store kept what the caller passed in: state %q, value %q", h.State, h.Value)
	h.Value[0] = 'Y'
	c.expect(string(c.head("k").Value) == "value", "a change to a returned head reached the store")
}
