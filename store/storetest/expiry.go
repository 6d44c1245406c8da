package storetest

import (
	"fmt"
	"slices"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
)

var expiryCases = []testCase{
	{"Expiry/NeverEarly", "a head is kept until the store time is after its Expires", neverEarly},
	{"Expiry/Forgotten", "the Tx that takes the store time beyond the Expires of a head forgets it as if never written", forgotten},
	{"Expiry/Renewed", "the Expires of a head is that of its last swap", renewed},
	{"Expiry/Refused", "a refused Tx does not make heads expire", refusedExpiry},
	{"Expiry/Many", "expiry takes only what has expired, and all of it in the end, at least one head with each Tx", manyExpire},
}

func expiring(n int, key string, version uint64, expires time.Time) store.Tx {
	return swapping(n, store.Swap{Key: key, Version: version, State: "spent", Expires: expires})
}

func neverEarly(c *check) {
	c.ok(expiring(1, "k", 0, at(100)), counting(1, store.Add{Key: "k", N: 3, Max: 9}), expiring(1, "later", 0, at(100).Add(time.Millisecond)))
	for _, n := range []int{50, 99, 100} {
		c.ok(txAt(n))
		for _, h := range c.heads(issuer, "k", "later") {
			c.expect(h.Version == 1 && h.State == "spent", "head %q was forgotten at %d s, and expires after 100 s", h.Key, n)
		}
		c.expect(c.head("k").Count == 3, "the count was forgotten at %d s", n)
		c.conflict("k", expiring(n, "k", 0, at(100)))
	}
}

func gone(h store.Head) bool {
	return h.Version == 0 && h.State == "" && len(h.Value) == 0 && h.Count == 0 && h.Expires.IsZero()
}

func forgotten(c *check) {
	r := c.record(issuer, 1, subject("alice"))
	c.ok(adding(1, r), swapping(1, store.Swap{Key: "stays", State: "s"}))
	for _, key := range []string{"k", subject("alice").String()} {
		c.ok(swapping(1, store.Swap{Key: key, State: "secret", Value: []byte("v"), Expires: at(100)}),
			counting(1, store.Add{Key: key, N: 3, Max: 9}))
	}
	c.ok(txAt(100))
	for _, h := range c.heads(issuer, "k", subject("alice").String()) {
		kept := h.Version == 1 && h.State == "secret" && string(h.Value) == "v" && h.Count == 3 && h.Expires.Equal(at(100))
		c.expect(kept, "a head that has not expired is not whole: %+v", h)
	}
	last := requiring(100, store.Require{Key: "k", Version: 1, State: "secret"})
	last.Time = at(100).Add(1)
	c.ok(last) // it is judged before it forgets
	for _, h := range c.heads(issuer, "k", subject("alice").String()) {
		c.expect(gone(h), "a head that has expired is still there: %+v", h)
	}
	c.expect(len(c.get(issuer, r.ID())[0].Heads) == 0, "a head that has expired is still in the entry of its record")
	c.expect(c.head("stays").Version == 1, "a head without Expires was forgotten")
	c.ok(requiring(101, store.Require{Key: "k"}))
	c.ok(counting(101, store.Add{Key: "k", N: 9, Max: 9}), expiring(101, "k", 0, at(200)))
	h := c.head("k")
	c.expect(h.Version == 1 && h.Count == 9 && len(h.Value) == 0, "a forgotten head began anew as %+v", h)
	c.ok(expiring(300, "stillborn", 0, at(299)))
	c.expect(gone(c.head("stillborn")), "a head is there that had expired when it was written")
}

func renewed(c *check) {
	c.ok(expiring(1, "longer", 0, at(100)), expiring(1, "longer", 1, at(300)))
	c.ok(expiring(1, "shorter", 0, at(500)), expiring(1, "shorter", 1, at(300)))
	c.ok(expiring(1, "forever", 0, at(100)), swapping(1, store.Swap{Key: "forever", Version: 1, State: "spent"}))
	c.ok(expiring(1, "counted", 0, at(300)), counting(1, store.Add{Key: "counted", N: 1, Max: 1}))
	c.ok(txAt(200), txAt(300))
	for _, h := range c.heads(issuer, "longer", "shorter", "forever") {
		c.expect(h.Version == 2, "head %q was forgotten by an Expires that was replaced", h.Key)
	}
	c.expect(c.head("counted").Count == 1, "a head was forgotten because it was counted")
	c.ok(txAt(1_000_000))
	c.expect(c.head("forever").Version == 2, "a head without Expires was forgotten")
}

func refusedExpiry(c *check) {
	c.ok(expiring(1, "k", 0, at(100)))
	tx := txAt(1000)
	tx.Requires = []store.Require{{Key: "absent", Version: 1}}
	c.refused(store.ErrConflict, tx)
	c.expect(c.head("k").Version == 1, "a refused transaction made a head expire")
}

func manyExpire(c *check) {
	const n = 300
	var txs []store.Tx
	var keys []string
	for i := range n {
		keys = append(keys, fmt.Sprint("k", i))
		txs = append(txs, expiring(1, keys[i], 0, at(100+i)))
	}
	c.ok(txs...)
	c.ok(txAt(250), txAt(250), txAt(250), txAt(250))
	for i, h := range c.heads(issuer, keys...) {
		if i >= 150 {
			c.expect(h.Version == 1, "head %d was forgotten at 250 s, and expires after %d s", i, 100+i)
		}
	}
	c.ok(slices.Repeat([]store.Tx{txAt(1000)}, n)...)
	for i, h := range c.heads(issuer, keys...) {
		c.expect(gone(h), "head %d is still there %d transactions after it expired", i, n)
	}
}
