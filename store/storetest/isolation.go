package storetest

import (
	"slices"
	"strings"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var isolationCases = []testCase{
	{"Isolation/Issuers", "nothing of one issuer can be read, changed or conflicted with from another", isolatedIssuers},
	{"Isolation/Names", "issuers are names without structure: a similar one is another one", similarIssuers},
	{"Isolation/Keys", "keys are opaque bytes of any content up to 2 KiB, and each names a head of its own", hostileKeys},
	{"Isolation/Selectors", "selectors are opaque bytes: each names only what carries exactly it", hostileSelectors},
	{"Isolation/Similar", "selectors that differ in one letter, in their kind, or in where it ends, are different ones", similarSelectors},
	{"Isolation/Huge", "a name longer than any that can be written names nothing", hugeNames},
}

const otherIssuer = "https://other.example"

func in(issuer string, tx store.Tx) store.Tx {
	tx.Issuer = issuer
	return tx
}

func isolatedIssuers(c *check) {
	sel := subject("alice")
	mine, theirs := c.record(issuer, 1, sel), c.record(otherIssuer, 2, sel)
	c.ok(adding(1, mine), in(otherIssuer, adding(2, theirs)))
	c.ok(revoking(1, lineage.Block, sel), revoking(1, lineage.Cut, sel), swapping(1, store.Swap{Key: "k", State: "mine"}),
		counting(1, store.Add{Key: "k", N: 5, Max: 5}), txAt(9000))

	// The other issuer is untouched: the same key, selector and sequence number are other things there.
	c.expect(c.get(otherIssuer, mine.ID())[0].Record.ID().IsZero(), "a record was read through another issuer")
	c.expect(len(c.get(otherIssuer, theirs.ID())[0].Marks) == 0, "a mark reached a record of another issuer")
	c.expect(len(c.marks(otherIssuer, sel)) == 0, "a mark was read through another issuer")
	c.expect(len(c.feed(otherIssuer, 0)) == 0, "a revocation was read through another issuer")
	c.same(c.scan(otherIssuer, sel, store.Position{}), []lineage.Record{theirs}, "a scan of the other issuer")
	h := c.heads(otherIssuer, "k")[0]
	c.expect(h.Version == 0 && h.Count == 0, "a head was read through another issuer: %+v", h)

	// And nothing here stands in its way.
	c.ok(in(otherIssuer, swapping(3, store.Swap{Key: "k", State: "theirs"})),
		in(otherIssuer, counting(3, store.Add{Key: "k", N: 5, Max: 5})),
		in(otherIssuer, unrevoked(3, at(3), sel)),
		in(otherIssuer, adding(3, c.record(otherIssuer, 3))), // not behind
		in(otherIssuer, revoking(3, lineage.Cut, sel)))
	feed := c.feed(otherIssuer, 0)
	c.expect(len(feed) == 1 && feed[0].Seq == 1 && feed[0].Before.Equal(at(3).Add(leeway)), "the other issuer's feed is %+v", feed)
	c.expect(c.head("k").State == "mine" && len(c.feed(issuer, 0)) == 2, "the other issuer's commits reached this one")
	c.expect(c.mark(sel).Blocked, "a cut in the other issuer changed this one's mark")
}

func similarIssuers(c *check) {
	names := []string{"a", "A", "a/", "a/b", "a:b", "a%", "a_", "*", ".", "..", "a b", "a'", `a"`, `a\`, "ä", "a\u0308",
		strings.Repeat("n", 512), strings.Repeat("n", 511), "heads", "records", "1:a"}
	for _, name := range names {
		c.ok(in(name, swapping(1, store.Swap{Key: "k", State: name})),
			in(name, counting(1, store.Add{Key: "b", N: 1, Max: 1})),
			in(name, adding(1, c.record(name, 1, subject("s")))), in(name, revoking(1, lineage.Cut, subject("s"))))
	}
	for _, name := range names {
		c.expect(c.heads(name, "k")[0].State == name, "the head of issuer %q is that of %q", name, c.heads(name, "k")[0].State)
		c.expect(len(c.feed(name, 0)) == 1, "the feed of issuer %q has entries of others", name)
		got := c.scan(name, subject("s"), store.Position{})
		c.expect(len(got) == 1 && got[0].Issuer == name, "the records of issuer %q are not its own", name)
	}
	for _, none := range []string{"", "b", "a\x00", "\xff", strings.Repeat("n", 4096)} {
		c.expect(c.heads(none, "k")[0].Version == 0 && len(c.feed(none, 0)) == 0, "issuer %.20q has something that was never written", none)
	}
}

// hostile are names that have a meaning to one storage technology or another.
var hostile = []string{
	"a", "A", "a ", " a", "a\x00", "a\x00b", "\x00", "\x00\x00", "a/b", "a.b", "a:b", "a|b", "a,b", "a;b", "1:a", "a%", "a_", "a*",
	"*", "%", "_", ">", "a.>", "?", "$a", "$1", "a'", "''", `a"`, "a`", `a\`, `\`, `a\'`, "'; drop table heads; --", "{}", "[a]", "..",
	"../a", "a\nb", "a\r\nb", "\xff", "\xff\xfe", "\xc3\x28", "é", "e\u0301", "🔑", "\u202ea", "a\ufffd", "NULL", "null", "true", "0", "-1",
	strings.Repeat("k", 255), strings.Repeat("k", 256), strings.Repeat("k", 2047) + "x", strings.Repeat("k", 2048),
	strings.Repeat("\x00", 2048), strings.Repeat("\xff", 2048), strings.Repeat("é", 1024),
}

func hostileKeys(c *check) {
	var txs []store.Tx
	for i, k := range hostile {
		tx := swapping(1, store.Swap{Key: k, State: k, Value: []byte(k), Expires: at(1000 + i)})
		tx.Adds = []store.Add{{Key: k, N: uint64(i), Max: uint64(i)}}
		txs = append(txs, tx)
	}
	c.ok(txs...)
	for i, h := range c.heads(issuer, hostile...) {
		k := hostile[i]
		c.expect(h.State == k && string(h.Value) == k && h.Version == 1 && h.Count == uint64(i), "the head of key %.40q is another one's: %.40q", k, h.State)
		c.ok(requiring(1, store.Require{Key: k, Version: 1, State: k}))
	}
	c.conflict(hostile[5], swapping(1, store.Swap{Key: hostile[5]}))
	c.expect(c.head("b").Version == 0 && c.head("k").Version == 0, "a key that was never written has a head")
}

func hostileSelectors(c *check) {
	var named []string // those that a revocation accepts
	for i, v := range hostile {
		if len(v) > 512 || (lineage.Revocation{Selector: subject(v)}).Check() != nil {
			continue
		}
		named = append(named, v)
		tx := adding(1, c.record(issuer, 1, subject(v)))
		if i%2 == 0 {
			tx.Revocations = []lineage.Revocation{{Selector: subject(v), At: at(1)}}
		}
		c.ok(tx)
	}
	c.expect(len(named) > 30, "only %d of the hostile selectors are accepted", len(named))
	for i, v := range hostile {
		_, marked := c.marks(issuer, subject(v))[subject(v)]
		want, carried := 0, slices.Contains(named, v)
		if carried {
			want = 1
		}
		c.expect(marked == (carried && i%2 == 0), "subject %.40q: revoked is %t", v, marked)
		got := c.scan(issuer, subject(v), store.Position{})
		c.expect(len(got) == want, "subject %.40q selects %d records; want %d", v, len(got), want)
		if !marked {
			c.ok(unrevoked(1, at(0), subject(v)))
		}
	}
}

// similarSelectors revokes some of many selectors that are easily taken for one another, and asks for all.
func similarSelectors(c *check) {
	kinds := []string{lineage.SelectSubject, lineage.SelectActor, lineage.SelectClient, lineage.SelectConnection, lineage.SelectSession, lineage.SelectPath}
	values := []string{"a", "A", "a ", "aa", "a:", ":a", "a:a", "subject:a", "a\x00", "\x00a", "a/", "a%", "a_", "a*", "á", "a\u0301", "а"} // the last is Cyrillic
	var revoked, all []lineage.Selector
	for i, kind := range kinds {
		for j, value := range values {
			sel := lineage.Selector{Kind: kind, Value: value}
			if all = append(all, sel); (i+j)%3 == 0 && (lineage.Revocation{Selector: sel}).Check() == nil {
				revoked = append(revoked, sel)
			}
		}
	}
	c.expect(len(revoked) > 20, "storetest: only %d selectors can be revoked", len(revoked))
	c.ok(revoking(1, lineage.Cut, revoked...))
	all = append(all, lineage.Selector{Kind: "subject:a", Value: "a"}, lineage.Selector{Kind: "subjecta"}, lineage.Selector{Value: "subject:a"},
		lineage.Selector{Kind: "subject", Value: "a\x00\x00"}, lineage.Selector{})
	got := c.marks(issuer, all...)
	for _, sel := range all {
		_, marked := got[sel]
		c.expect(marked == slices.Contains(revoked, sel), "selector %q of kind %q: revoked is %t", sel.Value, sel.Kind, marked)
		if !marked {
			c.ok(unrevoked(1, at(0), sel))
			continue
		}
		c.dead(1, at(0), sel)
	}
}

func hugeNames(c *check) {
	tx := everything(c, 1, "k")
	c.ok(tx)
	huge := strings.Repeat("k", 1<<20)
	c.ok(swapping(1, store.Swap{Key: huge[:store.MaxKey], State: "s"}))
	for _, name := range []string{huge, huge + "\x00", strings.Repeat("\x00", 1<<20), strings.Repeat("k'\xff%", 1<<18)} {
		heads, err := c.store.Heads(c.Context(), issuer, []string{name, "kswap"})
		c.expect(err != nil && heads == nil || len(heads) == 2 && gone(heads[0]) && heads[1].Version == 1, "Heads found something of a key of 1 MiB")
		marks, err := c.store.Revoked(c.Context(), issuer, []lineage.Selector{subject(name), {Kind: name, Value: "k"}, subject("k")})
		c.expect(err != nil && marks == nil || len(marks) == 1 && marks[0].Selector == subject("k"), "Revoked found something of a selector of 1 MiB")
		for r, err := range c.store.Scan(c.Context(), issuer, subject(name), store.Position{}) {
			c.expect(err != nil && r.ID().IsZero(), "a scan of a selector of 1 MiB yielded a record")
		}
		entries, err := c.store.Get(c.Context(), name, []lineage.ID{tx.Records[0].ID()})
		c.expect(err != nil && entries == nil || len(entries) == 1 && entries[0].Record.ID().IsZero(), "Get found something in an issuer of 1 MiB")
		for r, err := range c.store.Feed(c.Context(), name, 0) {
			c.expect(err != nil && r.Seq == 0, "the feed of an issuer of 1 MiB has an entry")
		}
		c.refused(store.ErrInvalid, swapping(1, store.Swap{Key: name}))
		c.refused(store.ErrInvalid, counting(1, store.Add{Key: name, N: 1, Max: 1}))
		c.refused(store.ErrInvalid, requiring(1, store.Require{Key: name}))
		c.refused(store.ErrInvalid, revoking(1, lineage.Cut, subject(name)))
		c.refused(store.ErrInvalid, in(name, txAt(1)))
	}
	c.expect(c.head("kswap").Version == 1 && len(c.feed(issuer, 0)) == 1, "a name of 1 MiB has changed something")
}
