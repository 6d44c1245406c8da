package storetest

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

var hintCases = []testCase{
	{"Hints/Closes", "a channel is closed soon after the feed has an entry that it did not have when the channel was asked for", hintCloses},
	{"Hints/Feed", "whoever asks for a channel, reads the feed and waits misses no entry", hintFeed},
	{"Hints/Waits", "a channel is not closed all the time: whoever waits for it would never rest", hintWaits},
}

var lingerCases = []testCase{
	{"Linger/Positive", "Linger is longer than nothing, and always the same", lingerPositive},
}

// changed returns a channel of the store, for the test's issuer, of which something must have been committed.
func (c *check) changed() <-chan struct{} {
	c.Helper()
	h, ok := c.store.(store.Hinter)
	c.expect(ok, "the store is no store.Hinter, and Options.Hints says that it is")
	ch := h.Changed(c.Context(), issuer)
	c.expect(ch != nil, "Changed returned a nil channel, and Options.Hints says that the store tells of changes")
	return ch
}

// closes waits until ch is closed, or for as long as the store has declared.
func (c *check) closes(ch <-chan struct{}) bool {
	ctx, cancel := context.WithTimeout(c.Context(), c.patience)
	defer cancel()
	select {
	case <-ch:
		return true
	case <-ctx.Done():
		return false
	}
}

func hintCloses(c *check) {
	c.ok(txAt(1))
	for i := range 5 {
		var waiting []<-chan struct{}
		for range 4 {
			waiting = append(waiting, c.changed())
		}
		tx := everything(c, 1, fmt.Sprint("a", i)) // among other things
		c.ok(in(otherIssuer, revoking(1, lineage.Cut, subject("b"))), tx)
		for n, ch := range waiting {
			c.expect(c.closes(ch), "in round %d, channel %d of %d was open for %v after a revocation", i, n, len(waiting), c.patience)
			c.expect(c.closes(ch), "a closed channel did not stay closed")
		}
	}
}

func hintFeed(c *check) {
	const writers, perWriter = 4, 10
	c.ok(txAt(1))
	const readers = 2
	var failed, stuck atomic.Int64
	var waiting sync.WaitGroup // until each reader has asked and looked once
	waiting.Add(readers)
	each(writers+readers, func(i int) {
		if i < writers {
			waiting.Wait()
			for n := range perWriter {
				if c.one(revoking(1, lineage.Cut, subject(fmt.Sprint(i, "-", n)))) != nil {
					failed.Add(1)
				}
			}
			return
		}
		once := sync.OnceFunc(waiting.Done)
		defer once()
		for seq := uint64(0); seq < writers*perWriter && failed.Load()+stuck.Load() == 0; {
			h, _ := c.store.(store.Hinter)
			if h == nil {
				failed.Add(1)
				return
			}
			ch := h.Changed(c.Context(), issuer)
			before := seq
			for r, err := range c.store.Feed(c.Context(), issuer, seq) {
				if err != nil {
					failed.Add(1)
					return
				}
				seq = r.Seq
			}
			once()
			if seq == before && (ch == nil || !c.closes(ch)) {
				stuck.Add(1)
			}
		}
	})
	c.expect(failed.Load() == 0, "%d calls failed", failed.Load())
	c.expect(stuck.Load() == 0, "%d readers were told of nothing for %v, with entries still to come", stuck.Load(), c.patience)
}

func hintWaits(c *check) {
	c.ok(txAt(1), revoking(1, lineage.Cut, subject("a")))
	for range 1000 {
		select {
		case <-c.changed():
		default:
			return
		}
	}
	c.broken("1000 channels were closed when they were asked for, while nothing was committed")
}

func lingerPositive(c *check) {
	l, ok := c.store.(store.Lingerer)
	c.expect(ok, "the store is no store.Lingerer, and Options.Lingers says that it is")
	first := l.Linger()
	c.expect(first > 0, "Linger is %v", first)
	c.ok(everything(c, 1, "a"))
	c.expect(l.Linger() == first, "Linger was %v and is %v", first, l.Linger())
}
