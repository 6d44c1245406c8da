package storetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var brokenCases = []testCase{
	{"Broken/Commit", "a Commit that loses what it writes to, at any exchange, fails for all, if it fails; each Tx is applied wholly or not at all, and by a repeat once", brokenCommit},
	{"Broken/Reads", "a read that loses what it reads from, at any exchange, is an error, or all that was asked for", brokenReads},
	{"Broken/Forget", "a Forget that loses what it writes to, at any exchange, takes out all or nothing, and by a repeat all", brokenForget},
}

// everyExchange calls f with the store broken at its first exchange, at the second and so on, before and after it arrives, until
// there are no more. What f returns is called when the store is whole again.
func (c *check) everyExchange(f func(name string) (whole func())) {
	c.Helper()
	for _, arrives := range []bool{false, true} {
		broke := true
		for n := 1; broke; n++ {
			c.expect(n < 100, "a call has more than 100 exchanges with what is below the store")
			mend := c.breaks(c.T, c.store, n, arrives)
			whole := f(fmt.Sprint(n, arrives))
			broke = mend()
			whole()
			c.expect(broke || n > 1, "Options.Break has broken nothing")
		}
	}
}

func brokenCommit(c *check) {
	c.ok(txAt(1))
	c.everyExchange(func(name string) func() {
		one, two := everything(c, 1, "one"+name), everything(c, 1, "two"+name)
		errs := c.commit(one, two)
		c.expect((errs[0] == nil) == (errs[1] == nil), "one Tx of a Commit that was lost was acknowledged, and one not: %v", errs)
		for _, own := range []error{store.ErrConflict, store.ErrBehind, store.ErrInvalid, store.ErrGone} {
			c.expect(!errors.Is(errs[0], own), "a Commit that was lost failed with %q", errs[0])
		}
		return func() {
			for i, tx := range []store.Tx{one, two} {
				there := c.applied(tx, []string{"one", "two"}[i]+name)
				c.expect(errs[i] != nil || there, "a Commit was acknowledged and is not there")
			}
			c.ok(one, two)
			c.expect(c.applied(one, "one"+name) && c.applied(two, "two"+name), "the repeat of a Commit that was lost is not there")
		}
	})
}

func brokenReads(c *check) {
	tx := everything(c, 1, "a")
	c.ok(tx)
	id, ctx := tx.Records[0].ID(), context.Background()
	reads := map[string]func() (found int, err error){
		"Get": func() (int, error) {
			got, err := c.store.Get(ctx, issuer, []lineage.ID{id})
			if len(got) == 1 && got[0].Record.ID() != id {
				return 0, err
			}
			return len(got), err
		},
		"Heads": func() (int, error) {
			got, err := c.store.Heads(ctx, issuer, []string{"aswap"})
			if len(got) == 1 && got[0].Version != 1 {
				return 0, err
			}
			return len(got), err
		},
		"Revoked": func() (int, error) {
			got, err := c.store.Revoked(ctx, issuer, []lineage.Selector{subject("a")})
			return len(got), err
		},
		"Scan": func() (n int, err error) {
			for _, e := range c.store.Scan(ctx, issuer, subject("a"), store.Position{}) {
				n, err = n+1, e
			}
			return n, err
		},
		"Feed": func() (n int, err error) {
			for _, e := range c.store.Feed(ctx, issuer, 0) {
				n, err = n+1, e
			}
			return n, err
		},
	}
	for name, read := range reads {
		c.everyExchange(func(string) func() {
			found, err := read()
			c.expect(err != nil || found == 1, "%s found %d of 1 in what was lost, without an error", name, found)
			return func() {
				found, err := read()
				c.expect(err == nil && found == 1, "%s found %d of 1 when all was well again, and %v", name, found, err)
			}
		})
	}
}

func brokenForget(c *check) {
	if _, ok := c.store.(store.Forgetter); !ok {
		c.Skip("the store keeps everything")
	}
	var removals []store.Removal
	for i := range 20 {
		name := fmt.Sprint(i)
		over, body := c.record(issuer, 1, subject(name)), c.record(issuer, 2, subject(name))
		tx := adding(2, over, body)
		tx.Swaps = []store.Swap{{Key: name}}
		c.ok(tx)
		r := removal(over)
		r.Bodies, r.Heads = []lineage.ID{body.ID()}, []store.HeadVersion{{Key: name, Version: 1}}
		removals = append(removals, r)
	}
	c.ok(txAt(afterAll))
	c.everyExchange(func(string) func() {
		r := removals[0]
		removals = removals[1:]
		key := r.Heads[0].Key
		err := c.forgetter().Forget(c.Context(), r)
		for _, own := range []error{store.ErrConflict, store.ErrInvalid} {
			c.expect(!errors.Is(err, own), "a Forget that was lost failed with %q", err)
		}
		left := func() int {
			n := len(c.scan(issuer, subject(key), store.Position{}))
			there := !c.get(issuer, r.Records...)[0].Record.ID().IsZero()
			c.expect(there == (n == 2) && (c.head(key).Version == 1) == (n == 2), "a part was taken out: %d records of two are found", n)
			return n
		}
		return func() {
			n := left()
			c.expect(n == 2 || n == 0, "%d records of two are found", n)
			c.expect(err != nil || n == 0, "a Forget was acknowledged and has taken out nothing")
			if n == 2 {
				c.forget(r)
			}
			c.expect(left() == 0, "the repeat of a Forget that was lost has taken out nothing")
		}
	})
}
