package storetest

import (
	"context"
	"errors"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var contextCases = []testCase{
	{"Context/Commit", "a Commit whose context has ended before it began applies nothing and fails for all", cancelledCommit},
	{"Context/Reads", "a read whose context has ended is an error, never an empty answer", cancelledReads},
}

func (c *check) cancelled() context.Context {
	ctx, cancel := context.WithCancel(c.Context())
	cancel()
	return ctx
}

func cancelledCommit(c *check) {
	one, two := everything(c, 1, "one"), everything(c, 1, "two")
	errs := c.store.Commit(c.cancelled(), []store.Tx{one, two})
	c.expect(len(errs) == 2, "Commit of 2 transactions returned %d results", len(errs))
	for _, err := range errs {
		c.expect(errors.Is(err, context.Canceled), "the result is %v; want the context's error", err)
	}
	c.nothingOf(one)
	c.nothingOf(two)
	c.ok(one, two)
}

func cancelledReads(c *check) {
	tx := everything(c, 1, "a")
	c.ok(tx)
	ctx := c.cancelled()
	entries, err := c.store.Get(ctx, issuer, []lineage.ID{tx.Records[0].ID()})
	c.expect(err != nil && entries == nil, "Get returned %d entries and %v", len(entries), err)
	heads, err := c.store.Heads(ctx, issuer, []string{"aswap"})
	c.expect(err != nil && heads == nil, "Heads returned %d heads and %v", len(heads), err)
	marks, err := c.store.Revoked(ctx, issuer, []lineage.Selector{subject("a")})
	c.expect(err != nil && marks == nil, "Revoked returned %d marks and %v", len(marks), err)
	n := 0
	for r, err := range c.store.Scan(ctx, issuer, subject("a"), store.Position{}) {
		n++
		c.expect(err != nil && r.ID().IsZero(), "Scan yielded a record")
	}
	c.expect(n == 1, "Scan yielded %d times; want one error", n)
	n = 0
	for r, err := range c.store.Feed(ctx, issuer, 0) {
		n++
		c.expect(err != nil && r.Seq == 0, "Feed yielded an entry")
	}
	c.expect(n == 1, "Feed yielded %d times; want one error", n)
}
