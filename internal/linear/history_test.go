package linear_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

const (
	clients = 16
	calls   = 24 // or a few more, that each client makes
	leeway  = 2 * time.Second
	// undecided is how long one history is looked at. Few take a hundredth of it, but some have very many orders to try.
	undecided = 30 * time.Second
)

// history is what clients have seen of a store.
type history struct {
	store store.Store
	clock atomic.Int64 // numbers calls and returns in the order in which they happened

	mu      sync.Mutex
	ops     []porcupine.Operation
	entries map[string]lineage.Revocation // of the feed, that anybody has seen, by who made them
}

// record notes calls that were made together, and what they returned. What failed has shown nothing, but a commit may have
// happened all the same, then or later.
func (h *history) record(client int, made []call, f func() []string) {
	began := h.clock.Add(1)
	returned := f()
	ended := h.clock.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, c := range made {
		op := porcupine.Operation{ClientId: client, Input: c, Call: began, Output: returned[i], Return: ended}
		if returned[i] == unknown {
			if c.tx == nil && c.removal == nil {
				continue
			}
			op.Return = math.MaxInt64
		}
		h.ops = append(h.ops, op)
	}
}

// check looks for an order in which h can have happened.
func (h *history) check(t *testing.T) porcupine.CheckResult {
	t.Helper()
	found, info := porcupine.CheckOperationsVerbose(model, h.ops, undecided)
	if found == porcupine.Illegal {
		path := filepath.Join(t.ArtifactDir(), "history.html")
		require.NoError(t, porcupine.VisualizePath(model, info, path))
		t.Logf("%d calls have no order; %s shows how far one goes (-artifacts keeps it)", len(h.ops), path)
	}
	return found
}

// run lets clients use s, and returns what they saw.
func run(t *testing.T, s store.Store, seed uint64) *history {
	t.Helper()
	h := &history{store: s, entries: map[string]lineage.Revocation{}}
	w := newWorld(t, h)
	var all sync.WaitGroup
	for n := range clients {
		all.Go(func() {
			c := &client{world: w, number: n, rand: rand.New(rand.NewPCG(seed, uint64(n))), ctx: t.Context()}
			for range calls {
				c.act()
			}
		})
	}
	all.Wait()
	last := &client{world: w, number: clients, ctx: t.Context()}
	for _, issuer := range issuers {
		last.feed(issuer, 0)
		h.order(issuer)
	}
	return h
}

// order notes what each revocation came to be in the feed. It follows from the last call of the history, and from those before
// what is not kept any more was forgotten; known beforehand it spares the search all other orders of revocations.
func (h *history) order(issuer string) {
	for i, op := range h.ops {
		if c := op.Input.(call); c.issuer == issuer && c.tx != nil && len(c.tx.Revocations) > 0 {
			c.entry = h.entries[c.tx.Revocations[0].By]
			h.ops[i].Input = c
		}
	}
	h.ops = slices.DeleteFunc(h.ops, func(op porcupine.Operation) bool { // has not happened
		c := op.Input.(call)
		return c.issuer == issuer && c.tx != nil && len(c.tx.Revocations) > 0 && c.entry.Seq == 0 && op.Output == unknown
	})
}

// number returns what the environment says, or else what it would say.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, name)
	return n
}

// linear checks histories of stores that newStore opens.
func linear(t *testing.T, rounds uint64, newStore func(t *testing.T) store.Store) {
	t.Helper()
	if testing.Short() {
		rounds = 1
	}
	first := number(t, "TOKENBOUNDARY_LINEAR_SEED", rand.Uint64())
	for round := range number(t, "TOKENBOUNDARY_LINEAR_ROUNDS", rounds) {
		seed := first + round
		t.Run(fmt.Sprint(round), func(t *testing.T) {
			h := run(t, newStore(t), seed)
			found := h.check(t)
			require.NotEqual(t, porcupine.Illegal, found, "TOKENBOUNDARY_LINEAR_SEED=%d", seed)
			enough(t, h)
			if found == porcupine.Unknown {
				t.Skipf("%d calls in more orders than could be tried in %v", len(h.ops), undecided)
			}
		})
	}
}

// enough makes sure that a history has shown something: commits that were applied and such that were not, marks, and entries
// of the feed.
func enough(t *testing.T, h *history) {
	t.Helper()
	seen := map[string]int{}
	for _, op := range h.ops {
		c, out := op.Input.(call), op.Output.(string)
		switch {
		case c.removal != nil:
			seen["forget "+out[:1]]++
		case c.tx != nil && out[0] == 'c':
			seen["conflict"]++
		case c.tx != nil:
			seen[out]++
		case c.feed != nil && out != "":
			seen["entries"]++
		case c.marks != nil && out != "":
			seen["marks"]++
		}
	}
	kinds := []string{"ok", "conflict", "entries", "marks"}
	if _, can := h.store.(store.Forgetter); can {
		kinds = append(kinds, "forget o", "forget i") // ok, and invalid: it was not over
	}
	for _, kind := range kinds {
		require.Greater(t, seen[kind], 2, "of %s; the history shows %v", kind, seen)
	}
}

// commit makes commits in one call.
func (c *client) commit(txs ...store.Tx) []string {
	made := make([]call, len(txs))
	for i := range txs {
		made[i] = call{issuer: txs[i].Issuer, tx: &txs[i]}
	}
	results := make([]string, len(txs))
	c.world.record(c.number, made, func() []string {
		for i, err := range c.world.store.Commit(c.ctx, txs) {
			results[i] = result(err)
		}
		return results
	})
	return results
}

// read makes a call that reads.
func read[T any](c *client, made call, text func(T) string, f func(context.Context, store.Store) (T, error)) (out T) {
	c.world.record(c.number, []call{made}, func() []string {
		var err error
		if out, err = f(c.ctx, c.world.store); err != nil {
			return []string{unknown}
		}
		return []string{text(out)}
	})
	return out
}

func (c *client) get(issuer string, id lineage.ID) store.Entry {
	return read(c, call{issuer: issuer, get: id}, entryText, func(ctx context.Context, s store.Store) (store.Entry, error) {
		got, err := s.Get(ctx, issuer, []lineage.ID{id})
		if err != nil {
			return store.Entry{}, err
		}
		return got[0], nil
	})
}

func (c *client) heads(issuer string, keys ...string) []store.Head {
	return read(c, call{issuer: issuer, heads: keys}, headsText, func(ctx context.Context, s store.Store) ([]store.Head, error) {
		return s.Heads(ctx, issuer, keys)
	})
}

func (c *client) marks(issuer string, sels ...lineage.Selector) []lineage.Mark {
	return read(c, call{issuer: issuer, marks: sels}, marksText, func(ctx context.Context, s store.Store) ([]lineage.Mark, error) {
		return s.Revoked(ctx, issuer, sels)
	})
}

func (c *client) feed(issuer string, after uint64) []lineage.Revocation {
	all := read(c, call{issuer: issuer, feed: &after}, feedText, func(ctx context.Context, s store.Store) (out []lineage.Revocation, err error) {
		for r, err := range s.Feed(ctx, issuer, after) {
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
		return out, nil
	})
	c.world.history.mu.Lock()
	defer c.world.history.mu.Unlock()
	for _, r := range all {
		c.world.entries[r.By] = r
	}
	return all
}
