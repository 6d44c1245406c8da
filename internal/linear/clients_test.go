package linear_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

// issuers are as many as leave enough clients to each that they meet.
var issuers = []string{"https://a.example", "https://b.example", "https://c.example", "https://d.example"}

// world is what the clients of a history share: per issuer a task, and the tokens that they have made.
type world struct {
	*history
	seconds atomic.Int64 // the time, which goes on now and then

	mu     sync.Mutex
	tokens map[string][]lineage.Record
}

// newWorld commits a task for each issuer.
func newWorld(t *testing.T, h *history) *world {
	t.Helper()
	w := &world{history: h, tokens: map[string][]lineage.Record{}}
	first := &client{world: w, number: clients, ctx: t.Context(), rand: rand.New(rand.NewPCG(0, 0))}
	for _, issuer := range issuers {
		r, err := seal(lineage.Envelope{Kind: lineage.KindTask, Issuer: issuer}, at(0), nil)
		require.NoError(t, err)
		tx := store.Tx{Issuer: issuer, Time: at(0), Leeway: leeway, Records: []lineage.Record{r}}
		tx.Swaps = []store.Swap{{Key: taskOf(r).String(), State: "active"}}
		for result := unknown; result != "ok"; { // the repeat of one with an unknown outcome is what it is
			result = first.commit(tx)[0]
		}
		w.tokens[issuer] = []lineage.Record{r}
	}
	return w
}

// at is a moment n seconds into the time of the clients.
func at(n int64) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second)
}

func taskOf(r lineage.Record) lineage.Selector {
	return lineage.Selector{Kind: lineage.SelectTask, Value: r.Root().String()}
}

func seal(env lineage.Envelope, at time.Time, sels []lineage.Selector) (lineage.Record, error) {
	env.IssuedAt, env.Since = at, at
	if env.ExpiresAt.IsZero() {
		env.ExpiresAt = at.Add(time.Hour)
	}
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

// client is one of those that use a store at the same time.
type client struct {
	world       *world
	number      int
	rand        *rand.Rand
	ctx         context.Context
	last        store.Tx          // the last that was committed
	seen        map[string]uint64 // how far the feed was read
	revocations int
}

// act does what one request to the boundary does, or one step of it.
func (c *client) act() {
	issuer := issuers[c.rand.IntN(len(issuers))]
	if c.rand.IntN(8) == 0 {
		c.world.seconds.Add(1)
	}
	switch c.rand.IntN(14) {
	case 0, 1:
		c.keep(c.issue(issuer))
	case 2, 3:
		c.keep(c.exchange(issuer))
	case 4:
		c.refresh(issuer)
	case 5, 6:
		c.get(issuer, c.pick(issuer).ID())
	case 7:
		c.commit(c.revoke(issuer))
	case 8:
		c.pause(issuer)
	case 9:
		c.poll(issuer)
	case 10:
		c.look(issuer)
	case 11:
		c.together()
	case 12, 13:
		c.forget(issuer)
	}
}

// tx is an empty transaction by a clock that is a little behind, and now and then too far.
func (c *client) tx(issuer string) store.Tx {
	return store.Tx{Issuer: issuer, Time: at(c.world.seconds.Load() - c.rand.Int64N(4)), Leeway: leeway}
}

// subject returns one of few, so that they are revoked and used at the same time.
func (c *client) subject() lineage.Selector {
	return lineage.Selector{Kind: lineage.SelectSubject, Value: []string{"alice", "bob", "carol"}[c.rand.IntN(3)]}
}

// pick returns one of the records there are, the latest rather than others.
func (c *client) pick(issuer string) lineage.Record {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	all := c.world.tokens[issuer]
	return all[max(0, len(all)-1-c.rand.IntN(6))]
}

// keep commits tx, and lets others use its records where that may have worked.
func (c *client) keep(tx store.Tx) {
	if out := c.commit(tx)[0]; out == "ok" || out == unknown {
		c.last = tx
		c.world.mu.Lock()
		defer c.world.mu.Unlock()
		c.world.tokens[tx.Issuer] = append(c.world.tokens[tx.Issuer], tx.Records...)
	}
}

// sealed returns a Tx that adds a record, unless what the record carries is revoked.
func (c *client) sealed(env lineage.Envelope, sels []lineage.Selector) store.Tx {
	tx := c.tx(env.Issuer)
	if !env.ExpiresAt.IsZero() && !env.ExpiresAt.After(tx.Time) { // time has gone on meanwhile
		env.ExpiresAt = tx.Time.Add(time.Second)
	}
	r, err := seal(env, tx.Time, sels)
	if err != nil {
		panic(err) // a mistake of this test
	}
	tx.Records = []lineage.Record{r}
	tx.Unrevoked = []store.Unrevoked{{Selectors: r.Selectors(), Since: r.Since}}
	return tx
}

// issue makes a root from evidence that can be used once.
func (c *client) issue(issuer string) store.Tx {
	env := lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer}
	if c.rand.IntN(2) == 0 { // it can be forgotten soon
		env.ExpiresAt = at(c.world.seconds.Load() + 1)
	}
	tx := c.sealed(env, []lineage.Selector{c.subject()})
	tx.Swaps = []store.Swap{{Key: fmt.Sprint("proof ", c.rand.IntN(40)), State: "spent"}}
	if c.rand.IntN(3) == 0 { // the one head that is forgotten
		tx.Swaps[0] = store.Swap{Key: "expiring", State: "spent", Expires: tx.Time.Add(leeway)}
	}
	return tx
}

// exchange derives from a token, within the budget of the task while that is active.
func (c *client) exchange(issuer string) store.Tx {
	parent := c.pick(issuer)
	if len(parent.Ancestors) > 3 || !parent.ExpiresAt.After(at(c.world.seconds.Load())) {
		parent = c.root(issuer)
	}
	c.get(issuer, parent.ID())
	tx := c.sealed(lineage.Envelope{
		Kind: lineage.KindToken, Issuer: issuer, Parents: []lineage.ID{parent.ID()},
		Ancestors: append(slices.Clone(parent.Ancestors), parent.ID()), Grant: parent.Root(),
		ExpiresAt: parent.ExpiresAt,
	}, parent.Selectors())
	task := c.task(issuer).String()
	tx.Requires = []store.Require{{Key: task, State: "active", AnyVersion: true}}
	tx.Adds = []store.Add{{Key: task, N: 1, Max: 20}}
	return tx
}

// root returns the issuer's task.
func (c *client) root(issuer string) lineage.Record {
	c.world.mu.Lock()
	defer c.world.mu.Unlock()
	return c.world.tokens[issuer][0]
}

// task returns the selector of the issuer's task.
func (c *client) task(issuer string) lineage.Selector { return taskOf(c.root(issuer)) }

// refresh takes the next turn of a family, and tries again as the boundary does.
func (c *client) refresh(issuer string) {
	for range 2 {
		family := c.heads(issuer, "family")
		if len(family) == 0 {
			return
		}
		tx := c.sealed(lineage.Envelope{Kind: lineage.KindToken, Issuer: issuer}, []lineage.Selector{c.subject()})
		value := fmt.Append(nil, c.number)
		tx.Swaps = []store.Swap{{Key: "family", Version: family[0].Version, State: "live", Value: value}}
		if c.commit(tx)[0] == "ok" {
			return
		}
	}
}

// revoke cuts a token or a subject, or blocks one until it is lifted.
func (c *client) revoke(issuer string) store.Tx {
	tx := c.tx(issuer)
	r := c.revocation(tx, c.subject(), lineage.Cut)
	switch c.rand.IntN(5) {
	case 0, 1:
		r.Selector = lineage.Selector{Kind: lineage.SelectToken, Value: c.pick(issuer).ID().String()}
	case 2:
		r.Action = lineage.Block
	case 3:
		r.Action = lineage.Lift
	}
	tx.Revocations = []lineage.Revocation{r}
	return tx
}

// pause suspends the task, or lets it go on.
func (c *client) pause(issuer string) {
	task := c.task(issuer)
	heads := c.heads(issuer, task.String())
	if len(heads) == 0 {
		return
	}
	tx := c.tx(issuer)
	next, action := "suspended", lineage.Suspend
	if heads[0].State == next {
		next, action = "active", lineage.Resume
	}
	tx.Swaps = []store.Swap{{Key: task.String(), Version: heads[0].Version, State: next}}
	tx.Revocations = []lineage.Revocation{c.revocation(tx, task, action)}
	c.commit(tx)
}

// revocation returns one that can be told from every other.
func (c *client) revocation(tx store.Tx, sel lineage.Selector, action lineage.Action) lineage.Revocation {
	c.revocations++
	return lineage.Revocation{Selector: sel, Action: action, At: tx.Time, By: fmt.Sprint(c.number, "-", c.revocations)}
}

// poll reads the feed, from the beginning or from where it was last read to.
func (c *client) poll(issuer string) {
	if c.seen == nil {
		c.seen = map[string]uint64{}
	}
	after := c.seen[issuer]
	if c.rand.IntN(3) == 0 {
		after = 0
	}
	if all := c.feed(issuer, after); len(all) > 0 {
		c.seen[issuer] = all[len(all)-1].Seq
	}
}

// look reads several marks or heads at once.
func (c *client) look(issuer string) {
	if c.rand.IntN(2) == 0 {
		c.heads(issuer, "family", "expiring", "never", c.task(issuer).String())
		return
	}
	c.marks(issuer, c.subject(), everything, lineage.Selector{Kind: lineage.SelectSubject, Value: "alice"},
		lineage.Selector{Kind: lineage.SelectToken, Value: c.pick(issuer).ID().String()})
}

// together commits for all issuers in one call, and repeats what was committed.
func (c *client) together() {
	var txs []store.Tx
	for _, i := range c.rand.Perm(len(issuers)) {
		txs = append(txs, c.revoke(issuers[i]))
	}
	if c.last.Issuer != "" {
		txs = append(txs, c.last)
	}
	c.commit(txs...)
}
