package storetest

import (
	"errors"
	"math"

	"github.com/tokenboundary/tokenboundary/store"
)

var headCases = []testCase{
	{"Heads/Absent", "a head that was never written has its key and is otherwise zero", absentHead},
	{"Heads/Swap", "a swap applies exactly if the version is still the one named, and makes it one higher", swapVersions},
	{"Heads/Require", "a required head has exactly the version and the state named; AnyVersion leaves the version open", requireHead},
	{"Heads/Count", "an add applies unless the sum would exceed its maximum", counts},
	{"Heads/SwapAndCount", "swaps leave the count alone, and adds the version, state and value", swapAndCount},
	{"Heads/Several", "all swaps and adds of a Tx apply, each to its own head", severalHeads},
}

func absentHead(c *check) {
	for range 2 { // in an empty store, and in one that has something
		for _, h := range c.heads(issuer, "a", "b", "a") {
			c.expect(h.Version == 0 && h.State == "" && len(h.Value) == 0 && h.Count == 0 && h.Expires.IsZero(), "%+v", h)
		}
		c.expect(len(c.heads(issuer)) == 0, "Heads of no keys returned heads")
		c.ok(requiring(1, store.Require{Key: "a"}))
		c.conflict("a", requiring(1, store.Require{Key: "a", State: "s", AnyVersion: true}))
		c.ok(swapping(1, store.Swap{Key: c.Name(), Version: c.head(c.Name()).Version, State: "s"}))
	}
}

func swapVersions(c *check) {
	for v := uint64(0); v < 3; v++ {
		for _, stale := range []uint64{v + 1, v - 1, v + 100, math.MaxUint64} {
			if stale != v {
				c.conflict("k", swapping(1, store.Swap{Key: "k", Version: stale, State: "stale"}))
			}
		}
		value := []byte{byte(v), 0, 255}
		c.ok(swapping(1, store.Swap{Key: "k", Version: v, State: "s", Value: value, Expires: at(int(1000 + v))}))
		h := c.head("k")
		c.expect(h.Version == v+1 && h.State == "s", "after swap %d: version %d, state %q", v+1, h.Version, h.State)
		c.expect(string(h.Value) == string(value), "after swap %d the value is %v", v+1, h.Value)
		c.expect(h.Expires.Equal(at(int(1000+v))), "after swap %d the head expires at %v", v+1, h.Expires)
	}
	c.ok(swapping(1, store.Swap{Key: "k", Version: 3}))
	h := c.head("k")
	c.expect(h.State == "" && len(h.Value) == 0 && h.Expires.IsZero(), "a swap kept something of the one before: %+v", h)
}

func requireHead(c *check) {
	c.ok(swapping(1, store.Swap{Key: "k", State: "on"}), swapping(1, store.Swap{Key: "k", Version: 1, State: "on"}))
	c.ok(requiring(1, store.Require{Key: "k", Version: 2, State: "on"}))
	c.ok(requiring(1, store.Require{Key: "k", Version: 9, State: "on", AnyVersion: true}))
	for _, r := range []store.Require{
		{Key: "k", Version: 1, State: "on"}, {Key: "k", Version: 3, State: "on"}, {Key: "k", State: "on"},
		{Key: "k", Version: 2, State: "off"}, {Key: "k", Version: 2}, {Key: "k", Version: 2, State: "ON"},
		{Key: "k", AnyVersion: true}, {Key: "k", Version: 2, State: "off", AnyVersion: true},
	} {
		c.conflict("k", requiring(1, r))
	}
	c.expect(c.head("k").Version == 2, "a condition changed the head")
}

func counts(c *check) {
	full := func(key string, n, max uint64) {
		c.Helper()
		var cf *store.Conflict
		err := c.refused(store.ErrConflict, counting(1, store.Add{Key: key, N: n, Max: max}))
		c.expect(errors.As(err, &cf) && cf.Full && cf.Key == key, "the conflict is %#v; want one that says %q is full", err, key)
	}
	full("n", 1, 0) // a maximum of nothing means nothing
	full("n", 4, 3)
	c.ok(counting(1, store.Add{Key: "n", N: 3, Max: 3}))
	full("n", 1, 3)
	full("n", math.MaxUint64, math.MaxUint64) // the sum would wrap around
	c.ok(counting(1, store.Add{Key: "n", N: 0, Max: 3}))
	full("n", 1, 2) // the maximum was lowered below the count
	c.ok(counting(1, store.Add{Key: "n", N: math.MaxUint64 - 3, Max: math.MaxUint64}))
	full("n", 1, math.MaxUint64)
	h := c.head("n")
	c.expect(h.Count == math.MaxUint64 && h.Version == 0, "the count is %d, the version %d", h.Count, h.Version)
	c.ok(requiring(1, store.Require{Key: "n"}))
}

func swapAndCount(c *check) {
	tx := swapping(1, store.Swap{Key: "k", State: "on", Value: []byte("v"), Expires: at(500)})
	tx.Adds = []store.Add{{Key: "k", N: 2, Max: 5}}
	c.ok(tx)
	c.ok(counting(1, store.Add{Key: "k", N: 1, Max: 5}))
	h := c.head("k")
	c.expect(h.Version == 1 && h.State == "on" && string(h.Value) == "v" && h.Expires.Equal(at(500)), "an add changed the head: %+v", h)
	c.expect(h.Count == 3, "the count is %d; want 3", h.Count)
	c.ok(swapping(1, store.Swap{Key: "k", Version: 1, State: "off"}))
	h = c.head("k")
	c.expect(h.Version == 2 && h.State == "off" && h.Count == 3, "a swap changed the count: %+v", h)
}

func severalHeads(c *check) {
	tx := swapping(1, store.Swap{Key: "a", State: "A"}, store.Swap{Key: "b", State: "B"})
	tx.Adds = []store.Add{{Key: "c", N: 1, Max: 9}, {Key: "d", N: 2, Max: 9}, {Key: "c", N: 1, Max: 9}}
	c.ok(tx)
	h := c.heads(issuer, "d", "c", "b", "a", "e")
	c.expect(h[3].State == "A" && h[2].State == "B", "the swaps made %+v and %+v", h[3], h[2])
	c.expect(h[1].Count == 2 && h[0].Count == 2, "the counts are %d and %d; want 2 and 2", h[1].Count, h[0].Count)
	c.expect(h[4].Version == 0, "a head was written that nobody named")
}
