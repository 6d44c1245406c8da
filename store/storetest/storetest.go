// Package storetest proves that a store.Store keeps its contract, and breaks one on purpose to prove that its user
// fails closed. It needs nothing beyond the standard library, so that any adapter can import it.
//
// An adapter's test is one call:
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) store.Store { return open(t) })
//	}
//
// What a store can do beyond store.Store it declares in Options; the kit checks what is declared, and skips what is not by
// name. With -short it leaves out what repeats everything else. A store that outlives its process also passes RunDurable. A
// failure prints the rule that was broken, in words.
package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// Run checks the store's contract. It calls newStore once per case; each call returns an empty store that shares
// nothing with the others, and closes it in t.Cleanup where it has to be closed.
func Run(t *testing.T, newStore func(t *testing.T) store.Store, opts ...Options) {
	t.Helper()
	var declared Options
	if len(opts) > 0 {
		declared = opts[0]
	}
	if declared.Repeats && testing.Short() {
		t.Skip("repeats the kit for another arrangement of a store that has passed it")
	}
	for _, group := range [][]testCase{
		recordCases, atomicCases, headCases, expiryCases, markCases, feedCases, scanCases, isolationCases,
		clockCases, contextCases, faultCases, concurrentCases, skewCases, severalCases,
	} {
		for _, tc := range group {
			t.Run(tc.name, func(t *testing.T) { tc.run(&check{T: t, store: newStore(t), rule: tc.rule}) })
		}
	}
	declared.run(t, newStore)
}

// testCase is one rule of the contract, in words, and what shows that a store keeps it.
type testCase struct {
	name, rule string
	run        func(c *check)
}

// check is a case under way.
type check struct {
	*testing.T
	store    store.Store
	rule     string
	patience time.Duration // how long a hint may take
	breaks   func(t *testing.T, s store.Store, n int, arrives bool) (mend func() (broke bool))
}

// broken ends the case with what was seen and the rule that forbids it.
func (c *check) broken(format string, args ...any) {
	c.Helper()
	c.Fatalf("%s\n    rule broken: %s", fmt.Sprintf(format, args...), c.rule)
}

// expect ends the case unless holds.
func (c *check) expect(holds bool, format string, args ...any) {
	c.Helper()
	if !holds {
		c.broken(format, args...)
	}
}

func (c *check) commit(txs ...store.Tx) []error {
	c.Helper()
	errs := c.store.Commit(c.Context(), txs)
	if len(errs) != len(txs) {
		c.Fatalf("Commit of %d transactions returned %d results\n    rule broken: Commit returns one error per Tx, in order", len(txs), len(errs))
	}
	return errs
}

// ok commits txs in one call, all of which must be applied.
func (c *check) ok(txs ...store.Tx) {
	c.Helper()
	for i, err := range c.commit(txs...) {
		c.expect(err == nil, "transaction %d of %d was refused: %v", i, len(txs), err)
	}
}

// refused commits tx, which must fail with target alone.
func (c *check) refused(target error, tx store.Tx) error {
	c.Helper()
	err := c.commit(tx)[0]
	c.expect(err != nil, "a transaction was applied that had to be refused with %q", target)
	for _, known := range []error{store.ErrConflict, store.ErrBehind, store.ErrInvalid} {
		c.expect(errors.Is(err, known) == (known == target), "refused with %q; want %q and no other", err, target)
	}
	return err
}

// conflict commits tx, whose head key must be what does not fit.
func (c *check) conflict(key string, tx store.Tx) {
	c.Helper()
	var cf *store.Conflict
	err := c.refused(store.ErrConflict, tx)
	c.expect(errors.As(err, &cf) && cf.Key == key, "the conflict is %#v; want a store.Conflict that names the head %q", err, key)
}

func (c *check) get(issuer string, ids ...lineage.ID) []store.Entry {
	c.Helper()
	got, err := c.store.Get(c.Context(), issuer, ids)
	c.expect(err == nil, "Get: %v", err)
	c.expect(len(got) == len(ids), "Get of %d ids returned %d entries; want one per id", len(ids), len(got))
	return got
}

func (c *check) has(r lineage.Record) bool {
	c.Helper()
	got := c.get(r.Issuer, r.ID())[0].Record
	c.expect(got.ID().IsZero() || got.Equal(r), "a record was read back with other bytes")
	return !got.ID().IsZero()
}

func (c *check) heads(issuer string, keys ...string) []store.Head {
	c.Helper()
	got, err := c.store.Heads(c.Context(), issuer, keys)
	c.expect(err == nil, "Heads: %v", err)
	c.expect(len(got) == len(keys), "Heads of %d keys returned %d; want one per key", len(keys), len(got))
	for i, h := range got {
		c.expect(h.Key == keys[i], "the head at place %d has the key %.40q; want %.40q", i, h.Key, keys[i])
	}
	return got
}

func (c *check) head(key string) store.Head {
	c.Helper()
	return c.heads(issuer, key)[0]
}

func (c *check) marks(issuer string, sels ...lineage.Selector) map[lineage.Selector]lineage.Mark {
	c.Helper()
	got, err := c.store.Revoked(c.Context(), issuer, sels)
	c.expect(err == nil, "Revoked: %v", err)
	out := map[lineage.Selector]lineage.Mark{}
	for _, m := range got {
		c.expect(slices.Contains(sels, m.Selector), "Revoked returned a mark of %v, which was not asked for", m.Selector)
		out[m.Selector] = m
	}
	return out
}

func (c *check) mark(sel lineage.Selector) lineage.Mark {
	c.Helper()
	return c.marks(issuer, sel)[sel]
}

func (c *check) feed(issuer string, after uint64) (out []lineage.Revocation) {
	c.Helper()
	for r, err := range c.store.Feed(c.Context(), issuer, after) {
		c.expect(err == nil, "Feed after %d: %v", after, err)
		out = append(out, r)
	}
	return out
}

func (c *check) scan(issuer string, sel lineage.Selector, from store.Position) (out []lineage.Record) {
	c.Helper()
	for r, err := range c.store.Scan(c.Context(), issuer, sel, from) {
		c.expect(err == nil, "Scan of %v: %v", sel, err)
		out = append(out, r)
	}
	return out
}

const (
	issuer = "https://boundary.example"
	leeway = 2 * time.Second
)

// at is a moment n seconds into the test's time.
func at(n int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

// txAt is an empty transaction of the test's issuer.
func txAt(n int) store.Tx { return store.Tx{Issuer: issuer, Time: at(n), Leeway: leeway} }

func adding(n int, records ...lineage.Record) store.Tx {
	tx := txAt(n)
	tx.Records = records
	return tx
}

func swapping(n int, swaps ...store.Swap) store.Tx {
	tx := txAt(n)
	tx.Swaps = swaps
	return tx
}

func counting(n int, adds ...store.Add) store.Tx {
	tx := txAt(n)
	tx.Adds = adds
	return tx
}

func requiring(n int, requires ...store.Require) store.Tx {
	tx := txAt(n)
	tx.Requires = requires
	return tx
}

func revoking(n int, action lineage.Action, sels ...lineage.Selector) store.Tx {
	tx := txAt(n)
	for _, s := range sels {
		tx.Revocations = append(tx.Revocations, lineage.Revocation{Selector: s, Action: action, At: at(n)})
	}
	return tx
}

func unrevoked(n int, since time.Time, sels ...lineage.Selector) store.Tx {
	tx := txAt(n)
	tx.Unrevoked = []store.Unrevoked{{Selectors: sels, Since: since}}
	return tx
}

func subject(name string) lineage.Selector {
	return lineage.Selector{Kind: lineage.SelectSubject, Value: name}
}

// record returns a root record of the issuer, decided n seconds in, that carries the selectors.
func (c *check) record(issuer string, n int, sels ...lineage.Selector) lineage.Record {
	c.Helper()
	return c.seal(lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer}, n, sels)
}

// task returns the record of a task.
func (c *check) task(n int, sels ...lineage.Selector) lineage.Record {
	c.Helper()
	return c.seal(lineage.Envelope{Kind: lineage.KindTask, Issuer: issuer}, n, sels)
}

// child returns a record that was derived from parent.
func (c *check) child(parent lineage.Record, n int, sels ...lineage.Selector) lineage.Record {
	c.Helper()
	r, err := derive(parent, at(n), sels)
	if err != nil {
		c.Fatalf("storetest: %v", err)
	}
	return r
}

func derive(parent lineage.Record, at time.Time, sels []lineage.Selector) (lineage.Record, error) {
	return seal(lineage.Envelope{
		Kind: lineage.KindToken, Issuer: parent.Issuer, Parents: []lineage.ID{parent.ID()},
		Ancestors: append(slices.Clone(parent.Ancestors), parent.ID()), Grant: parent.Root(),
	}, at, lineage.Union(parent.Selectors(), sels))
}

func (c *check) seal(env lineage.Envelope, n int, sels []lineage.Selector) lineage.Record {
	c.Helper()
	r, err := seal(env, at(n), sels)
	if err != nil {
		c.Fatalf("storetest: %v", err)
	}
	return r
}

func seal(env lineage.Envelope, at time.Time, sels []lineage.Selector) (lineage.Record, error) {
	env.IssuedAt, env.Since, env.ExpiresAt = at, at, at.Add(time.Hour)
	body := lineage.Body{
		Client: "orchestrator", Subject: lineage.Party{ID: "alice"}, GrantType: "client_credentials", Selectors: sels,
		Granted: lineage.Authority{
			Access:   []lineage.Access{{Resource: "https://crm.example.com/", Scopes: []string{"cases:read"}}},
			NotAfter: env.ExpiresAt,
		},
	}
	if env.Kind == lineage.KindTask {
		body.Task = &lineage.Task{Purpose: "triage", Deadline: env.ExpiresAt, Budget: 10, Authority: &body.Granted}
	}
	return lineage.Seal(env, body)
}
