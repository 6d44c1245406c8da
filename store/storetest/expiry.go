package storetest

import (
	"fmt"
	"time"

	"github.com/tokenboundary/tokenboundary/store"
)

var expiryCases = []testCase{
	{"Expiry/NeverEarly", "a head is kept until the store time is after its Expires", neverEarly},
	{"Expiry/Whole", "a head that has expired is forgotten as if never written, or kept whole", forgottenWhole},
	{"Expiry/Renewed", "the Expires of a head is that of its last swap", renewed},
	{"Expiry/Refused", "a refused Tx does not make heads expire", refusedExpiry},
	{"Expiry/Many", "expiry takes only what has expired, however much that is", manyExpire},
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

func forgottenWhole(c *check) {
	c.ok(expiring(1, "k", 0, at(100)), counting(1, store.Add{Key: "k", N: 3, Max: 9}), swapping(1, store.Swap{Key: "stays", State: "s"}))
	c.ok(txAt(101), txAt(1_000_000))
	h := c.head("k")
	forgotten := h.Version == 0 && h.State == "" && h.Count == 0 && h.Expires.IsZero()
	kept := h.Version == 1 && h.State == "spent" && h.Count == 3 && h.Expires.Equal(at(100))
	c.expect(forgotten || kept, "an expired head is neither kept nor forgotten: %+v", h)
	c.expect(c.head("stays").Version == 1, "a head without Expires was forgotten")
	c.ok(expiring(1_000_000, "k", h.Version, at(2_000_000)))
	c.expect(c.head("k").Version == h.Version+1, "an expired head could not be swapped again")
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
}
